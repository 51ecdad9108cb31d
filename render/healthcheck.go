package render

import (
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/template"
)

// settleHealthchecks makes a later healthcheck replace an earlier one where
// the loader would append it word by word, and lets a later file switch it off
// and on again (workspace contract, section 16, item 16).
func (w *work) settleHealthchecks() {
	for i, l := range w.layers {
		for _, name := range l.serviceNames() {
			check, _ := l.serviceDict(name)["healthcheck"].(map[string]any)
			test, hasTest := check["test"]
			_, saysDisable := check["disable"]
			hasTest = hasTest && !empty(test)
			for _, below := range w.layers[:i] {
				earlier, _ := below.serviceDict(name)["healthcheck"].(map[string]any)
				if hasTest || w.truth(check["disable"]) {
					delete(earlier, "test")
				}
				if hasTest || saysDisable {
					delete(earlier, "disable")
				}
			}
		}
	}
}

// empty tells whether the loader would take a value for none.
func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case []any:
		return len(value) == 0
	case string:
		return value == ""
	}
	return false
}

// truth is a truth value of a compose file, variables replaced.
func (w *work) truth(value any) bool {
	switch value := value.(type) {
	case bool:
		return value
	case string:
		text, err := template.Substitute(value, w.ws.Env.Lookup)
		return err == nil && slices.Contains([]string{"y", "yes", "true", "on"}, strings.ToLower(text))
	}
	return false
}
