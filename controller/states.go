package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kargo"
	"kargo/compile"
	"kargo/plan"
)

// state is one state of the stacks that a person names.
type state struct {
	kargo.State
	stacks    []kargo.Stack
	workspace *kargo.Workspace // that it was rendered from; nil if only renderings are known
	live      bool             // what runs; it has no stacks
	unknown   []string         // stacks that are not kept any more
}

// longestNumber is the length of the longest number of a deployment: what is longer
// is a commit. shortestCommit is that of the shortest commit that a person may name.
const (
	longestNumber  = 6
	shortestCommit = 7
)

// Diff returns how two states of the stacks differ, or of one stack if it is named. A
// state is "live", "git", the number of a deployment or the start of a commit. Only
// the first one may be "live". Nothing is changed. The error is Invalid if there is no
// such state.
func (l *Loop) Diff(ctx context.Context, from, to, stack string) (diff kargo.Diff, err error) {
	return inspected(ctx, l, func(i inspector) (kargo.Diff, error) { return i.diff(ctx, from, to, stack) })
}

// Diff is Loop.Diff without a loop.
func (r *Reconciler) Diff(ctx context.Context, from, to, stack string) (kargo.Diff, error) {
	return r.inspector().diff(ctx, from, to, stack)
}

// Rendering returns the stacks of a state as they are sent to Swarm, with the texts of
// their configs; of one stack if it is named. Secrets are masked. A state is named as
// for Diff, but must not be "live".
func (l *Loop) Rendering(ctx context.Context, of, stack string) (kargo.RenderedState, error) {
	return inspected(ctx, l, func(i inspector) (kargo.RenderedState, error) { return i.rendering(ctx, of, stack) })
}

// Rendering is Loop.Rendering without a loop.
func (r *Reconciler) Rendering(ctx context.Context, of, stack string) (kargo.RenderedState, error) {
	return r.inspector().rendering(ctx, of, stack)
}

// Why returns where the values come from that a person names, in the newest sound
// revision; see compile.Desired.Why. Nothing is kept for it but what the revision was
// read from. The error is Invalid if nothing has that name.
func (l *Loop) Why(ctx context.Context, what string, deep bool) (kargo.Explained, error) {
	return inspected(ctx, l, func(i inspector) (kargo.Explained, error) {
		if i.view == nil || i.view.whole == nil {
			return kargo.Explained{}, kargo.Errorf(kargo.Unavailable, "no sound revision was read yet")
		}
		values, err := i.view.whole.Why(what, deep, i.view.mask())
		return kargo.Explained{Revision: i.view.revision(), Values: values}, err
	})
}

func (i inspector) diff(ctx context.Context, from, to, stack string) (diff kargo.Diff, err error) {
	if to == kargo.StateLive {
		return diff, kargo.Errorf(kargo.Invalid, "what runs can only be compared with something else: live..%s", from)
	}
	before, err := i.state(ctx, from)
	if err != nil {
		return diff, err
	}
	after, err := i.state(ctx, to)
	if err != nil {
		return diff, err
	}
	if i.view == nil || i.view.whole == nil { // it says what is secret
		if _, err := i.state(ctx, kargo.StateGit); err != nil {
			return diff, err
		}
	}
	diff = kargo.Diff{From: before.State, To: after.State, Unknown: append(before.unknown, after.unknown...), Problems: i.source.problems}
	if before.live {
		diff.Changes, err = i.differencesFromLive(ctx, after)
	} else {
		unknown := func(s kargo.Stack) bool { return slices.Contains(diff.Unknown, s.Name) }
		was, is := slices.DeleteFunc(slices.Clone(before.stacks), unknown), slices.DeleteFunc(slices.Clone(after.stacks), unknown)
		diff.Changes = plan.Compare(was, is, i.view.mask())
	}
	if err != nil {
		return diff, err
	}
	if stack != "" {
		named := func(s kargo.Stack) bool { return s.Name == stack }
		if !slices.ContainsFunc(before.stacks, named) && !slices.ContainsFunc(after.stacks, named) && !slices.ContainsFunc(diff.Changes, func(c kargo.Change) bool { return c.Stack == stack }) {
			return diff, kargo.Errorf(kargo.Invalid, "there is no stack %q", stack)
		}
		diff.Changes = slices.DeleteFunc(diff.Changes, func(c kargo.Change) bool { return c.Stack != stack })
	}
	i.hideAlso(diff.Changes, before, after)
	i.addLines(ctx, diff.Changes, before, after)
	return diff, nil
}

// addLines adds to changes in which lines the contents of configs differ. Only contents
// count whose workspace is known, because it says what in them is secret.
func (i inspector) addLines(ctx context.Context, changes []kargo.Change, before, after state) {
	stacks := map[string]bool{} // with a config that differs
	for _, change := range changes {
		if slices.ContainsFunc(change.Fields, kargo.FieldChange.IsConfig) {
			stacks[change.Stack] = true
		}
	}
	if len(stacks) == 0 {
		return
	}
	states := []state{before, after}
	if before.live {
		states = append(i.running(ctx, stacks), after)
	}
	contents := i.contents(states)
	for c := range changes {
		for f := range changes[c].Fields {
			field := &changes[c].Fields[f]
			if !field.IsConfig() {
				continue
			}
			was, known := contents[field.Before]
			is, alsoKnown := contents[field.After]
			if known && alsoKnown {
				field.Lines = kargo.DiffLines(was(), is())
			}
		}
	}
}

// mostRunning is how many revisions are read again to know what runs.
const mostRunning = 3

// running returns the revisions that run in some stacks, as far as they can be read.
func (i inspector) running(ctx context.Context, stacks map[string]bool) (states []state) {
	ids := []kargo.RevisionID{i.memory.Applied.Revision.ID()}
	for _, stack := range i.shown.stacks {
		if stacks[stack.Name] && stack.Revision != "" && !slices.Contains(ids, stack.Revision) {
			ids = append(ids, stack.Revision)
		}
	}
	for _, id := range ids[:min(len(ids), mostRunning)] {
		state, err := i.revisionState(ctx, kargo.StateLive, id)
		if err != nil {
			i.parts.Log.Debug("the contents of configs that run are not known", "revision", id.Short(), "error", err)
			continue
		}
		states = append(states, state)
	}
	return states
}

// contents returns the contents of the configs of states as they may be shown, by the
// name in quotation marks. Each is masked when it is asked for.
func (i inspector) contents(states []state) map[string]func() string {
	masks := []kargo.Mask{i.view.mask()}
	contents := map[string]func() string{}
	for _, state := range states {
		if state.workspace == nil {
			continue
		}
		masks = append(masks, state.workspace.Mask(i.view.keys().Texts))
		for _, stack := range state.stacks {
			for _, config := range stack.Configs {
				if config.Secret || !utf8.Valid(config.Data) {
					continue
				}
				contents[strconv.Quote(config.Name)] = func() string {
					text := string(config.Data)
					for _, mask := range masks {
						text = mask.File(text)
					}
					return text
				}
			}
		}
	}
	return contents
}

// differencesFromLive compares what runs with a state.
func (i inspector) differencesFromLive(ctx context.Context, to state) ([]kargo.Change, error) {
	if err := i.sight.lookAtEverything(ctx, i.parts.Swarm.Observe, false, false); err != nil {
		return nil, err
	}
	changes := plan.Differences(compile.WithTags(to.stacks, i.memory.Resolved.Latest), i.sight.cluster, plan.Options{
		Instance: i.parts.Behavior.Instance, Revision: to.Revision, Mask: i.view.mask(), Keys: i.view.keys(), Memory: i.memory,
	})
	return slices.DeleteFunc(changes, func(c kargo.Change) bool { return slices.Contains(to.unknown, c.Stack) }), nil
}

// hideAlso hides what is secret in the workspaces of the states themselves: they may
// have other secrets than the workspace in force.
func (i inspector) hideAlso(changes []kargo.Change, states ...state) {
	for _, state := range states {
		if state.workspace == nil {
			continue
		}
		mask := state.workspace.Mask(i.view.keys().Texts)
		for c := range changes {
			changes[c].Reason = mask.Text(changes[c].Reason)
			for f := range changes[c].Fields {
				field := &changes[c].Fields[f]
				field.Before, field.After = mask.Text(field.Before), mask.Text(field.After)
			}
		}
	}
}

func (i inspector) rendering(ctx context.Context, of, stack string) (rendered kargo.RenderedState, err error) {
	s, err := i.state(ctx, of)
	switch {
	case err != nil:
		return rendered, err
	case s.live:
		return rendered, kargo.Errorf(kargo.Invalid, "what runs has no rendering of its own; name a deployment, a commit, or git")
	case s.workspace == nil:
		return rendered, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("%s: its commit is not kept any more", s.Name),
			Hint: "--depth 0 keeps the history of the repository; `kargo diff` works without it"}
	}
	stacks := s.stacks
	if stack != "" {
		stacks = slices.DeleteFunc(slices.Clone(stacks), func(s kargo.Stack) bool { return s.Name != stack })
		if len(stacks) == 0 {
			return rendered, kargo.Errorf(kargo.Invalid, "%s has no stack %q", s.Name, stack)
		}
	}
	rendered.State = s.State
	rendered.RenderedStacks, err = kargo.Masked(kargo.Document(stacks, true), s.workspace.Mask(i.view.keys().Texts))
	return rendered, err
}

// state returns the state with a name.
func (i inspector) state(ctx context.Context, name string) (state, error) {
	switch {
	case name == kargo.StateLive:
		return state{State: kargo.State{Name: name}, live: true}, nil
	case name == kargo.StateGit:
		return i.newestState(ctx)
	case len(name) <= longestNumber:
		if number, err := strconv.ParseUint(name, 10, 64); err == nil {
			return i.deploymentState(ctx, number)
		}
	}
	id, err := i.revisionNamed(name)
	if err != nil {
		return state{}, err
	}
	return i.revisionState(ctx, "revision", id)
}

// newestState reads git, and returns what is desired.
func (i inspector) newestState(ctx context.Context) (state, error) {
	this := &round{trigger: "diff"}
	i.work.git = true
	_, err := i.readNewest(ctx, this)
	if i.view == nil || i.view.whole == nil {
		return state{}, errors.Join(err, this.sourceErr, kargo.Errorf(kargo.Unavailable, "no sound revision was read yet"))
	}
	if problems := i.source.problems.Err(); problems == nil && joined(err, this.sourceErr) != nil {
		return state{}, joined(err, this.sourceErr)
	}
	return state{State: kargo.State{Name: kargo.StateGit, Revision: i.view.revision()}, stacks: i.view.rendered, workspace: &i.view.workspace}, nil
}

// deploymentState returns what a deployment deployed: as its revision says, or where
// that cannot be read any more, the renderings that came up.
func (i inspector) deploymentState(ctx context.Context, number uint64) (state, error) {
	deployment, err := i.parts.Store.Deployment(number)
	if err != nil {
		return state{}, err
	}
	if deployment == nil {
		return state{}, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("there is no deployment %d", number), Hint: "`kargo history` lists those that are kept"}
	}
	name := fmt.Sprintf("deployment %d", number)
	if read, err := i.revisionState(ctx, name, deployment.Revision.ID()); err == nil {
		read.Name = name
		return read, nil
	}
	s := state{State: kargo.State{Name: name, Revision: deployment.Revision}}
	for _, result := range deployment.Stacks {
		if result.Digest == "" {
			continue
		}
		kept, err := i.parts.Store.Rendering(result.Name, result.Digest)
		if err != nil {
			return state{}, err
		}
		if kept == nil {
			s.unknown = append(s.unknown, result.Name)
			continue
		}
		s.stacks = append(s.stacks, *kept)
	}
	return s, nil
}

// revisionNamed returns the revision whose commit begins with a text: of those that
// are in force, newest, or in the history.
func (i inspector) revisionNamed(start string) (kargo.RevisionID, error) {
	unknown := &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("there is no deployment or revision %q", start),
		Hint: fmt.Sprintf("name live, git, the number of a deployment, or at least %d characters of a commit that was deployed", shortestCommit)}
	if len(start) < shortestCommit {
		return "", unknown
	}
	for _, id := range []kargo.RevisionID{i.source.head.ID(), i.memory.Applied.Revision.ID()} {
		if strings.HasPrefix(string(id), start) {
			return id, nil
		}
	}
	id, err := i.parts.Store.RevisionNamed(start)
	if err == nil && id == "" {
		err = unknown
	}
	return id, err
}

// revisionState reads a revision again.
func (i inspector) revisionState(ctx context.Context, what string, id kargo.RevisionID) (state, error) {
	if i.view != nil && i.view.whole != nil && i.view.revision().ID() == id {
		return state{State: kargo.State{Name: what, Revision: i.view.revision()}, stacks: i.view.rendered, workspace: &i.view.workspace}, nil
	}
	tree, err := i.source.reader.fetch(ctx, id)
	if err != nil {
		return state{}, err
	}
	if tree.Revision.ID() != id {
		return state{}, &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("commit %s is not kept any more", id.Short()),
			Hint: "--depth 0 keeps the history of the repository"}
	}
	desired, err := i.source.reader.compile(ctx, tree)
	if err != nil {
		return state{}, err
	}
	if err := desired.Problems.Err(); err != nil {
		return state{}, fmt.Errorf("revision %s: %w", id.Short(), err)
	}
	return state{State: kargo.State{Name: what, Revision: desired.Workspace.Revision}, stacks: desired.Stacks, workspace: &desired.Workspace}, nil
}
