package controller

import (
	"maps"
	"slices"
	"strings"
	"time"

	"kargo"
)

// asked is what a person asked for and no deployment has begun for yet.
type asked struct {
	kind kargo.EntryKind
	by   kargo.Person
}

// entry returns what a deployment is about that begins with a plan.
func (r *Reconciler) entry(next kargo.Plan) kargo.Entry {
	entry := kargo.Entry{Kind: r.kindOf(next), By: r.asked.by}
	if entry.Kind == kargo.EntryUpdate && r.source.head.ID() == next.Revision.ID() {
		entry.Commits, entry.Earlier = r.source.commits, r.source.earlier
	}
	r.asked = asked{}
	return entry
}

func (r *Reconciler) kindOf(next kargo.Plan) kargo.EntryKind {
	all := func(is func(kargo.Change) bool) bool {
		return len(next.Changes) > 0 && !slices.ContainsFunc(next.Changes, func(c kargo.Change) bool { return !is(c) })
	}
	switch {
	case r.selection.removing:
		return kargo.EntryRemoval
	case r.work.fresh || !next.Revision.Same(r.memory.Applied.Revision):
		return kargo.EntryUpdate
	case r.asked.kind != "":
		return r.asked.kind
	case all(func(c kargo.Change) bool { return c.Repairs }):
		return kargo.EntryRepair
	case all(func(c kargo.Change) bool { return c.Action == kargo.Remove }):
		return kargo.EntryRemoval
	case all(func(c kargo.Change) bool {
		return c.Repairs || r.memory.Rollouts[c.Stack].Failed != nil || r.memory.Stops[c.Stack].WentBack()
	}):
		return kargo.EntryRollback
	}
	return kargo.EntryUpdate
}

// noteRefusal records that a revision is refused, once.
func (r *Reconciler) noteRefusal(head kargo.Revision, problems kargo.Problems, trigger string) error {
	if r.memory.RefusedHead == head.ID() {
		return nil
	}
	note := newNote(kargo.EntryRefusal, head, kargo.Person{}, "")
	note.Trigger, note.Outcome, note.Err = trigger, kargo.OutcomeRefused, problems.Err().Error()
	note, err := r.parts.Store.Begin(note)
	if err != nil {
		return err
	}
	r.memory.RefusedHead = head.ID()
	if err := r.parts.Store.Record(note, r.memory.Memory); err != nil {
		return err
	}
	r.notify(note)
	return nil
}

// noteSettings records that the operator's settings are others than at the last
// start.
func (r *Reconciler) noteSettings() error {
	now, before := r.parts.Behavior.Settings, r.memory.Settings
	if now == nil || maps.Equal(now, before) {
		return nil
	}
	note := newNote(kargo.EntrySettings, r.memory.Applied.Revision, kargo.Person{}, differingSettings(before, now))
	note.Trigger = "start"
	r.memory.Settings = now
	if before == nil {
		return nil // the first start; what is remembered is recorded with the next deployment
	}
	note, err := r.parts.Store.Begin(note)
	if err != nil {
		return err
	}
	return r.parts.Store.Record(note, r.memory.Memory)
}

// differingSettings says which settings differ: "interval: 1m -> 30s".
func differingSettings(before, now map[string]string) string {
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != now[name] {
			texts = append(texts, name+": "+orNone(before[name])+" -> "+orNone(now[name]))
		}
	}
	return strings.Join(texts, "; ")
}

func orNone(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}

// newNote returns an entry that has no plan of its own.
func newNote(kind kargo.EntryKind, revision kargo.Revision, by kargo.Person, text string) kargo.Deployment {
	now := time.Now()
	return kargo.Deployment{
		Entry: kargo.Entry{Kind: kind, By: by, Note: text}, Revision: revision, Trigger: by.Did(string(kind)),
		Started: now, Finished: now, Outcome: kargo.OutcomeSucceeded, Changes: []kargo.Change{}, Stacks: []kargo.StackResult{},
	}
}
