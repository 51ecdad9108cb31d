package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"kargo"
)

// mostHappenings is how many happenings are remembered.
const mostHappenings = 500

// happenings are what the controller saw and did last, until the process ends. The
// history has what counts; these are for people who watch.
type happenings struct {
	mu      sync.Mutex
	last    []kargo.Happening
	changed chan struct{} // closed at the next one
}

func newHappenings() *happenings { return &happenings{changed: make(chan struct{})} }

// add notes that something happened.
func (h *happenings) add(happening kargo.Happening) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = append(h.last, happening)
	if len(h.last) > mostHappenings {
		h.last = slices.Clone(h.last[len(h.last)-mostHappenings:])
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// after returns the happenings after a time, and a channel that is closed at the next
// one.
func (h *happenings) after(when time.Time) ([]kargo.Happening, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := len(h.last)
	for first > 0 && h.last[first-1].Time.After(when) {
		first--
	}
	return slices.Clone(h.last[first:]), h.changed
}

// sawEvent notes an event of Swarm. stackOf finds the stack of a service.
func (h *happenings) sawEvent(event kargo.Event, stacks []kargo.StackStatus) {
	happening := kargo.Happening{Time: time.Now(), What: "swarm: " + event.String()}
	for _, stack := range stacks {
		if event.Kind == kargo.KindService && slices.ContainsFunc(stack.Services, func(s kargo.ServiceStatus) bool { return s.Name == event.Name }) {
			happening.Stack = stack.Name
		}
	}
	h.add(happening)
}

// recorded notes an entry of the history.
func (h *happenings) recorded(d kargo.Deployment) {
	what := fmt.Sprintf("%s %d", wordOf(d), d.Number)
	if !d.Kind.IsNote() {
		what += " " + string(d.Outcome)
		if moved := movedLine(d.Stacks); moved != "" {
			what += ", " + moved
		}
	}
	if d.Note != "" {
		what += ": " + d.Note
	}
	if d.Err != "" {
		what += ": " + d.Err
	}
	happening := kargo.Happening{Time: time.Now(), What: kargo.PrintableLine(what), Deployment: d.Number}
	if moved := movedStacks(d.Stacks); len(moved) == 1 {
		happening.Stack = moved[0]
	}
	h.add(happening)
}

func wordOf(d kargo.Deployment) string {
	if d.Kind == "" || d.Kind == kargo.EntryUpdate {
		return "deployment"
	}
	return string(d.Kind)
}

// movedLine says what happened to which stacks: "shop crm changed, mail held".
func movedLine(results []kargo.StackResult) string {
	var parts []string
	for _, verdict := range verdicts {
		var names []string
		for _, result := range results {
			if result.Verdict == verdict {
				names = append(names, result.Name)
			}
		}
		if len(names) > 0 {
			parts = append(parts, strings.Join(names, " ")+" "+string(verdict))
		}
	}
	return strings.Join(parts, ", ")
}

func movedStacks(results []kargo.StackResult) (moved []string) {
	for _, result := range results {
		if result.Verdict != kargo.VerdictUnchanged {
			moved = append(moved, result.Name)
		}
	}
	return moved
}

// Events calls a function for what the controller saw and did after a time, the oldest
// first; with follow also for what happens until ctx ends. stack limits it to one, ""
// does not.
func (l *Loop) Events(ctx context.Context, stack string, since time.Time, follow bool, each func(kargo.Happening)) error {
	for {
		found, changed := l.happenings.after(since)
		for _, happening := range found {
			since = happening.Time
			if stack == "" || happening.Stack == stack || strings.Contains(happening.What, " "+stack+" ") {
				each(happening)
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
