package render

import (
	"bytes"
	"maps"
	"path"
	"slices"

	"kargo"
	"kargo/pattern"
)

// mentions knows which variables the files of a workspace mention: scripts and
// programs may read a variable in any way. It scans a file again only if its content
// changed. The zero value has seen no files.
type mentions struct {
	files map[string][]byte // as they were scanned
	// counts has the number of mentions of each name, in any way and as a variable.
	counts map[string]*mentionCount
}

type mentionCount struct{ any, asVariable int }

// update scans the files that changed.
func (m *mentions) update(files map[string]kargo.File) {
	if m.counts == nil {
		m.files, m.counts = map[string][]byte{}, map[string]*mentionCount{}
	}
	for name, before := range m.files {
		if _, exists := files[name]; !exists {
			m.count(name, before, -1)
			delete(m.files, name)
		}
	}
	for name, file := range files {
		before := m.files[name]
		if len(before) == len(file.Data) && (len(before) == 0 || &before[0] == &file.Data[0]) {
			continue // the same bytes in memory
		}
		was, is := differing(before, file.Data)
		m.count(name, was, -1)
		m.count(name, is, 1)
		m.files[name] = file.Data
	}
}

// differing returns the lines of two texts without the first and the last ones that are
// equal.
func differing(before, now []byte) ([]byte, []byte) {
	first, shorter := 0, min(len(before), len(now))
	for at := 0; at < shorter && before[at] == now[at]; at++ {
		if before[at] == '\n' {
			first = at + 1
		}
	}
	last := 0 // of the equal bytes at the end, those from the beginning of a line on
	for at := 1; at <= shorter-first && before[len(before)-at] == now[len(now)-at]; at++ {
		if before[len(before)-at] == '\n' {
			last = at - 1
		}
	}
	return before[first : len(before)-last], now[first : len(now)-last]
}

// count adds the mentions in lines of a file to the counts, or takes them away.
func (m *mentions) count(file string, data []byte, change int) {
	if path.Base(file) == kargo.FileEnv {
		data = withoutAssigned(data)
	}
	for start := 0; start < len(data); start++ {
		if !startsName(data[start]) {
			continue
		}
		end := start + 1
		for end < len(data) && (startsName(data[end]) || isDigit(data[end])) {
			end++
		}
		if end > start+1 {
			m.add(data[start:end], change, isReference(data, start, end))
		}
		start = end
	}
}

func (m *mentions) add(name []byte, change int, asVariable bool) {
	count := m.counts[string(name)]
	if count == nil {
		count = &mentionCount{}
		m.counts[string(name)] = count
	}
	count.any += change
	if asVariable {
		count.asVariable += change
	}
	if count.any == 0 {
		delete(m.counts, string(name))
	}
}

func startsName(char byte) bool { return 'A' <= char && char <= 'Z' || char == '_' }

func isDigit(char byte) bool { return '0' <= char && char <= '9' }

// isReference reports whether a name is that of a variable: it begins its line, or
// comes after a dollar, and ends where a word does.
func isReference(data []byte, start, end int) bool {
	if end < len(data) && 'a' <= data[end] && data[end] <= 'z' {
		return false
	}
	before := data[:start]
	return start == 0 || before[start-1] == '\n' || before[start-1] == '$' || bytes.HasSuffix(before, []byte("${"))
}

// mention reports whether any file mentions a variable.
func (m *mentions) mention(variable string) bool { return m.counts[variable] != nil }

// has reports whether any file has a text, beside the names that environment files assign.
func (m *mentions) has(text string) bool {
	for name, data := range m.files {
		if path.Base(name) == kargo.FileEnv {
			data = withoutAssigned(data)
		}
		if bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}

// known returns, in order, the variables that a misspelled name can stand for: those
// that Kargo reads, and those that a file mentions as a variable.
func (m *mentions) known(read map[string]bool) []string {
	names := maps.Clone(read)
	for name, count := range m.counts {
		if count.asVariable > 0 {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// assigned is the name in front of an assignment.
var assigned = pattern.Lazy(`(?m)^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*=`)

// withoutAssigned returns an environment file without the names that it
// assigns: an assignment does not read a variable.
func withoutAssigned(data []byte) []byte { return assigned().ReplaceAll(data, []byte("=")) }
