package opener

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getsops/sops/v3"

	"kargo/pattern"
)

// leaves says for each value of a file, in the order of the file, whether SOPS
// encrypted it.
type leaves []bool

func encryptedLeaves(branches sops.TreeBranches) leaves {
	var found leaves
	for _, branch := range branches {
		walk("", branch, func(_ string, value any) {
			text, _ := value.(string)
			found = append(found, strings.HasPrefix(text, "ENC[AES256_GCM,"))
		})
	}
	return found
}

// secrets returns the values that were encrypted, and in an environment file the
// names of their variables. Variables that openNames lists are left out.
func (l leaves) secrets(branches sops.TreeBranches, format string) (names, values []string) {
	i := -1
	for _, branch := range branches {
		walk("", branch, func(name string, value any) {
			i++
			if i >= len(l) || !l[i] || value == nil {
				return
			}
			if format == "dotenv" {
				name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
				if isOpenName(name) {
					return
				}
				names = append(names, name)
			}
			if _, comment := value.(sops.Comment); !comment {
				values = append(values, valueForms(fmt.Sprint(value))...)
			}
		})
	}
	return names, values
}

// walk calls visit with each value below a part of a file, in order, and the name
// of the nearest key above it.
func walk(name string, value any, visit func(name string, value any)) {
	switch value := value.(type) {
	case sops.TreeBranch:
		for _, item := range value {
			key, _ := item.Key.(string)
			walk(key, item.Value, visit)
		}
	case []any:
		for _, item := range value {
			walk(name, item, visit)
		}
	default:
		visit(name, value)
	}
}

// openNames are the ends of names of variables that list stacks and services. Their
// words are part of Swarm's own names: masking them would make every plan
// unreadable and hide nothing.
var openNames = []string{"STACKS", "_STACK", "_NEEDS", "_EXTENSION"}

func isOpenName(name string) bool {
	return name == "KARGO_SECRETS" || slices.ContainsFunc(openNames, func(end string) bool { return strings.HasSuffix(name, end) })
}

// plainWords are never secrets, encrypted or not.
var plainWords = []string{"true", "false", "null", "none", "<nil>"}

// longLine is the length in bytes from which a line of a longer value is masked by
// itself.
const longLine = 8

// valueForms returns the forms in which a value may occur in texts: whole, without
// its quotes, and line by line.
func valueForms(value string) []string {
	if slices.Contains(plainWords, strings.ToLower(value)) || !utf8.ValidString(value) {
		return nil
	}
	forms := []string{value}
	if bare := strings.Trim(value, `"'`); bare != value {
		forms = append(forms, bare)
	}
	if strings.Contains(value, "\n") {
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); len(line) >= longLine && !strings.HasPrefix(line, "-----") {
				forms = append(forms, line)
			}
		}
	}
	return forms
}

var assignmentLine = pattern.Lazy(`(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=`)

// assignedNames returns the variables that an environment file sets which was
// encrypted as a whole.
func assignedNames(name string, plain []byte) []string {
	if path.Ext(name) != ".env" {
		return nil
	}
	var names []string
	for _, match := range assignmentLine().FindAllSubmatch(plain, -1) {
		if assigned := string(match[1]); !isOpenName(assigned) {
			names = append(names, assigned)
		}
	}
	return names
}

// keyAndValue matches an assignment in most configuration formats.
var keyAndValue = pattern.Lazy(`^\s*(?:export\s+)?["']?([\w.-]+)["']?\s*[=:]\s*(\S.*?),?\s*$`)

// textValues returns the secret values of a text that was encrypted as a whole: the
// text, its lines, and the values that it assigns.
func textValues(plain []byte) []string {
	if !utf8.Valid(plain) {
		return nil
	}
	text := strings.TrimSpace(string(plain))
	values := valueForms(text)
	for line := range strings.Lines(text) {
		if match := keyAndValue().FindStringSubmatch(line); match != nil && !isOpenName(match[1]) {
			values = append(values, valueForms(match[2])...)
		}
	}
	return values
}
