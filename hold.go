package kargo

import (
	"encoding/json"
	"fmt"
)

// Hold is a change that is wanted, but not now, and why.
type Hold struct {
	// Kind of the object, empty where the hold is about a stack as a whole.
	Kind   Kind   `json:"kind,omitempty"`
	Stack  string `json:"stack,omitempty"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Until says what lifts the hold.
	Until Until `json:"until,omitempty"`
	// Failed reports that the change wants what is not available. Nothing was
	// touched, but the deployment that meets such a hold has failed.
	Failed bool `json:"failed,omitempty"`
}

// Until says what lifts a hold.
type Until string

// What lifts a hold. The empty value, as in records of earlier versions, says
// nothing about it.
const (
	// UntilApproved: a person approves the plan (`kargo approve`).
	UntilApproved Until = "approved"
	// UntilSettled: what is under way in Swarm ends, as tasks that stop or a
	// stack that comes up. The loop looks again soon.
	UntilSettled Until = "settled"
	// UntilRevision: the workspace changes, or a person says `kargo retry`.
	UntilRevision Until = "revision"
	// UntilTime: the time that the reason names has come.
	UntilTime Until = "time"
	// UntilReleased: a person ends what a person began (`kargo release`, `kargo
	// resume`), or its time comes.
	UntilReleased Until = "released"
	// UntilOutside: somebody changes something outside the workspace, such as an
	// object that is not Kargo's, a node or a registry. The loop sees it when it
	// next looks.
	UntilOutside Until = "outside"
)

// UnmarshalJSON reads a hold, also one that an earlier version stored, with
// "approvable" and "passing" in the place of "until".
func (h *Hold) UnmarshalJSON(data []byte) error {
	type plain Hold
	stored := struct {
		*plain
		Approvable bool `json:"approvable"`
		Passing    bool `json:"passing"`
	}{plain: (*plain)(h)}
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	switch {
	case h.Until != "":
	case stored.Approvable:
		h.Until = UntilApproved
	case stored.Passing:
		h.Until = UntilSettled
	}
	return nil
}

// String returns the hold as one line of a plan.
func (h Hold) String() string {
	kind := string(h.Kind)
	if kind == "" {
		kind = "stack"
	}
	return fmt.Sprintf("hold %s %s: %s", kind, h.Name, h.Reason)
}
