package compose

// settleHealthchecks makes a later test replace an earlier one, which the
// loader would append word by word. It also lets a later file switch a health
// check off and on again (workspace contract, section 16, item 16).
func settleHealthchecks(s *reading) {
	for name, files := range byKey(s.files, "services") {
		for i, f := range files {
			check, _ := f.Service(name)["healthcheck"].(map[string]any)
			test, hasTest := check["test"]
			_, saysDisable := check["disable"]
			hasTest = hasTest && !isEmpty(test)
			for _, below := range files[:i] {
				earlier, _ := below.Service(name)["healthcheck"].(map[string]any)
				if hasTest || isTrue(check["disable"], s.ws.Lookup) {
					delete(earlier, "test")
				}
				if hasTest || saysDisable {
					delete(earlier, "disable")
				}
			}
		}
	}
}

// isEmpty reports whether the loader would ignore a value.
func isEmpty(value any) bool {
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
