package controller

import (
	"slices"
	"sync"

	"kargo"
	"kargo/compile"
	"kargo/schedule"
)

// selection bounds rounds to stacks that a person named. All others are neither
// changed nor removed, and what is remembered of them stays.
type selection struct {
	only     []string // the named stacks; nil for all
	removing bool     // and they are to be removed
}

// isAll reports whether rounds are not bounded.
func (s selection) isAll() bool { return s.only == nil }

// has reports whether a stack is selected.
func (s selection) has(stack string) bool { return s.isAll() || slices.Contains(s.only, stack) }

// of returns the selected stacks.
func (s selection) of(stacks []kargo.Stack) []kargo.Stack {
	if s.isAll() {
		return stacks
	}
	return slices.DeleteFunc(slices.Clone(stacks), func(stack kargo.Stack) bool { return !s.has(stack.Name) })
}

// view is the desired revision as rounds work on it. It is a value: another
// revision, another selection or another meaning of a tag makes another view.
type view struct {
	// whole is the revision as it was read, with all its stacks; nil where none
	// could be read, and stacks are only removed.
	whole     *compile.Desired
	workspace kargo.Workspace
	labels    []kargo.NodeLabels
	freeze    []schedule.Window
	// rendered are the selected stacks as they were rendered, stacks the same
	// with what the tags mean of those that follow them.
	rendered, stacks []kargo.Stack
	// mask hides the secrets of the desired revision. What the daemon or a task says
	// may quote them. It is made once, when it is first asked for.
	mask func() kargo.Mask
}

// newView returns the selected part of a revision. Latest is what tags mean, for
// the stacks that follow them. Before is the view of the revision before; it may be nil.
func newView(whole compile.Desired, s selection, latest map[string]kargo.Image, before *view) *view {
	rendered := s.of(whole.Stacks)
	return &view{
		whole: &whole, workspace: whole.Workspace, labels: whole.Labels, freeze: windowsOf(whole.Workspace),
		rendered: rendered, stacks: before.keepDigests(compile.WithTags(rendered, latest)),
		mask: maskOf(whole.Workspace, whole.Keys),
	}
}

// windowsOf returns the freeze windows of a workspace. Those that cannot be read were
// refused when it was merged.
func windowsOf(workspace kargo.Workspace) (windows []schedule.Window) {
	for _, words := range workspace.Freeze {
		if window, err := schedule.New(words); err == nil {
			windows = append(windows, window)
		}
	}
	return windows
}

// withTags returns the same view with another meaning of tags.
func (v *view) withTags(latest map[string]kargo.Image) *view {
	other := *v
	other.stacks = v.keepDigests(compile.WithTags(v.rendered, latest))
	return &other
}

// keepDigests lets stacks keep their digests, which each look asks for. It takes over
// those of this view, which may be nil.
func (v *view) keepDigests(stacks []kargo.Stack) []kargo.Stack {
	before := map[string]kargo.Stack{}
	if v != nil {
		for _, stack := range v.stacks {
			before[stack.Name] = stack
		}
	}
	kept := make([]kargo.Stack, len(stacks))
	for i, stack := range stacks {
		kept[i] = stack.KeepDigestOf(before[stack.Name])
	}
	return kept
}

// withoutStacks returns a view in which no stack is wanted. Its environment
// still says what is secret. The view it is made from may be nil.
func (v *view) withoutStacks(inForce kargo.Revision) *view {
	nothing := &view{mask: maskOf(kargo.Workspace{}, kargo.Keys{})}
	if v != nil && v.whole != nil {
		nothing.whole, nothing.workspace, nothing.mask = v.whole, v.whole.Workspace, v.mask
	}
	if inForce.Commit != "" {
		nothing.workspace.Revision = inForce
	}
	return nothing
}

// maskOf returns a function that makes the mask of a workspace when it is first called.
// Several goroutines may call it: previews share a view with the rounds.
func maskOf(workspace kargo.Workspace, keys kargo.Keys) func() kargo.Mask {
	return sync.OnceValue(func() kargo.Mask { return workspace.Mask(keys.Texts) })
}

// keys returns the keys of the digests that show; none where nothing could be read.
func (v *view) keys() kargo.Keys {
	if v == nil || v.whole == nil {
		return kargo.Keys{}
	}
	return v.whole.Keys
}

func (v *view) revision() kargo.Revision { return v.workspace.Revision }
