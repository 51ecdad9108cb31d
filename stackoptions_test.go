package kargo_test

import (
	"encoding/json"
	"testing"

	"kargo"
)

// Good renderings that an earlier version stored have the options under another
// key. They still load, and get the present options.
func TestStackOfAnEarlierVersionLoads(t *testing.T) {
	var stack kargo.Stack
	const stored = `{"Name":"web","Services":null,"Policy":{"Adopt":true,"OnFailure":"hold","Deadline":600000000000},"Permitted":"abc"}`
	if err := json.Unmarshal([]byte(stored), &stack); err != nil {
		t.Fatal(err)
	}
	if stack.Name != "web" || stack.Permitted != "abc" || stack.Options.Adopt {
		t.Errorf("loaded %+v", stack)
	}
}
