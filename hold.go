package kargo

import (
	"encoding/json"
	"fmt"
	"strings"
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
	// Because is the begin of the reason that several holds may have: until when a person
	// or a freeze window stops them, who and why. Would says what would be done.
	Because string `json:"because,omitempty"`
	Would   string `json:"would,omitempty"`
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
func (h Hold) String() string { return "hold " + h.key() + ": " + h.Reason }

// key names what is held: "service kargo-shop_web", "stack shop".
func (h Hold) key() string {
	if h.Kind == "" {
		return "stack " + h.Name
	}
	return string(h.Kind) + " " + h.Name
}

// holdsInWords returns holds as text for people. What several of them have in common is
// said once, and below it what would be done; of those that say the same about several
// stacks, it is said which.
func holdsInWords(holds []Hold) string {
	common, stacks := map[string][]Hold{}, map[string][]string{}
	for _, hold := range holds {
		common[hold.Because] = append(common[hold.Because], hold)
		stacks[hold.String()] = append(stacks[hold.String()], hold.Stack)
	}
	var text strings.Builder
	said := map[string]bool{}
	for _, hold := range holds {
		switch of := common[hold.Because]; {
		case hold.Because == "" || len(of) == 1:
			line := hold.String()
			if alike := stacks[line]; len(alike) == 1 {
				fmt.Fprintln(&text, line)
			} else if !said[line] {
				fmt.Fprintf(&text, "%s (stacks %s)\n", line, strings.Join(alike, ", "))
			}
			said[line] = true
		case !said[hold.Because]:
			said[hold.Because] = true
			fmt.Fprintf(&text, "hold %s:\n", hold.Because)
			for _, each := range of {
				fmt.Fprintf(&text, "    %s: %s\n", each.key(), each.Would)
			}
		}
	}
	return text.String()
}
