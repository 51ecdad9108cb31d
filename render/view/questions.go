package view

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
)

// Questions are what a stack read of its view, without the answers. With the digest of
// the answers they tell another process what does not differ there, and tell it no
// value.
type Questions struct {
	Variables, Files, Folders []string
	Places, Hidden            []string // only if there were problems
}

func (q *Questions) lists() []*[]string {
	return []*[]string{&q.Variables, &q.Files, &q.Folders, &q.Places, &q.Hidden}
}

// MarshalJSON implements json.Marshaler. The text has, for each list, its length, and for
// each name its length and the name. Thousands of stacks have some dozens of names each,
// and lists of texts in JSON take many times as long to read.
func (q Questions) MarshalJSON() ([]byte, error) {
	var data []byte
	for _, list := range q.lists() {
		data = binary.AppendUvarint(data, uint64(len(*list)))
		for _, name := range *list {
			data = append(binary.AppendUvarint(data, uint64(len(name))), name...)
		}
	}
	return json.Marshal(data)
}

// UnmarshalJSON implements json.Unmarshaler.
func (q *Questions) UnmarshalJSON(text []byte) error {
	var data []byte
	if err := json.Unmarshal(text, &data); err != nil {
		return err
	}
	rest := string(data) // all names share it
	number := func() (int, error) {
		n, size := binary.Uvarint([]byte(rest[:min(len(rest), binary.MaxVarintLen64)]))
		if size <= 0 || n > uint64(len(rest)-size) { // what is counted has a byte each, at least
			return 0, errors.New("the questions of a stack are cut off")
		}
		rest = rest[size:]
		return int(n), nil
	}
	for _, list := range q.lists() {
		count, err := number()
		if err != nil {
			return err
		}
		*list = slices.Grow([]string(nil), count)[:count]
		for i := range *list {
			length, err := number()
			if err != nil {
				return err
			}
			(*list)[i], rest = rest[:length], rest[length:]
		}
	}
	return nil
}

// Questions returns what was read. It returns false if that is too much to compare.
func (r *Reads) Questions() (Questions, bool) {
	return Questions{
		Variables: names(r.variables), Files: names(r.files), Folders: names(r.folders), Places: names(r.places), Hidden: names(r.hidden),
	}, !r.unbounded
}

func names[Answer any](reads []read[Answer]) []string {
	all := make([]string, len(reads))
	for i, r := range reads {
		all[i] = r.name
	}
	return all
}

// Digests makes digests of the answers in one workspace.
type Digests struct {
	// files has the digest of each file so far: many stacks read the same ones.
	files map[string][sha256.Size]byte
	text  text // of the last digest, for its memory
}

// Of returns a digest of the answers of a view.
func (d *Digests) Of(v View, asked Questions) []byte {
	t := d.text[:0]
	directory, isOne := v.Directory()
	t.flags(isOne)
	t.words(directory.Path)
	t.words(directory.Files...)
	for _, name := range asked.Variables {
		answer := v.peek(name)
		t.flags(answer.set, answer.assigned, answer.fromCatalogue)
		t.words(answer.value)
	}
	for _, name := range asked.Files {
		sum := d.file(v, name)
		t = append(t, sum[:]...)
	}
	for _, name := range asked.Folders {
		t.words(v.under(name)...)
	}
	for _, name := range asked.Places {
		t.words(v.placeOf(name).String())
	}
	for _, name := range asked.Hidden {
		t.flags(v.hides(name))
	}
	d.text = t
	sum := sha256.Sum256(t)
	return sum[:]
}

func (d *Digests) file(v View, name string) [sha256.Size]byte {
	if sum, known := d.files[name]; known {
		return sum
	}
	answer := v.peekFile(name)
	content := sha256.Sum256(answer.Data)
	var t text
	t.flags(answer.exists, answer.Executable, answer.Secret)
	t.words(answer.layer, answer.Origin, answer.Source)
	if d.files == nil {
		d.files = map[string][sha256.Size]byte{}
	}
	d.files[name] = sha256.Sum256(append(t, content[:]...))
	return d.files[name]
}

// text is what a digest is made of. Different values never look the same in it. A stack
// has some dozens of small values, and to hash each by itself takes much longer.
type text []byte

func (t *text) flags(flags ...bool) {
	for _, flag := range flags {
		if flag {
			*t = append(*t, 1)
		} else {
			*t = append(*t, 0)
		}
	}
}

func (t *text) words(words ...string) {
	t.length(len(words))
	for _, word := range words {
		t.length(len(word))
		*t = append(*t, word...)
	}
}

func (t *text) length(length int) { *t = binary.LittleEndian.AppendUint64(*t, uint64(length)) }
