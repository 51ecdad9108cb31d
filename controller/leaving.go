package controller

import (
	"cmp"
	"slices"
	"strings"

	"kargo"
	"kargo/plan"
)

// whatRuns returns the revision whose rendering of a stack runs, where it is not
// the one that was put in force last: its rendering failed, was not sent yet, or a
// person had the stack go back. waits reports that services of the stack wait to be
// changed, such as for the end of a suspension.
func whatRuns(rollout kargo.Rollout, stoodIn, waits bool, stop kargo.Stop) kargo.RevisionID {
	if stoodIn && stop.WentBack() && !waits {
		return stop.Revision
	}
	notSent := rollout.Since.IsZero()
	if stoodIn || notSent && rollout.Good != rollout.Digest {
		return rollout.GoodRevision
	}
	return ""
}

// neverSent returns the revision that the services of a stack have in Swarm, if nothing of
// the stack was sent that is remembered: its removal was held, and then it was wanted
// again.
func neverSent(stack kargo.StackStatus, rollout kargo.Rollout, index plan.Index) kargo.RevisionID {
	if rollout.Good != "" || !rollout.Since.IsZero() {
		return ""
	}
	for _, service := range stack.Services {
		if live, runs := index.Service(service.Name); runs {
			return kargo.RevisionID(live.Spec.Labels[kargo.LabelRevision])
		}
	}
	return ""
}

// leavingStacks returns the status of each selected stack that runs though the revision
// in force has no such stack: its removal waits for approval, or goes on.
func (r *Reconciler) leavingStacks(index plan.Index, remaining rest) []kargo.StackStatus {
	wanted := map[string]bool{}
	for _, name := range r.Stacks() {
		wanted[name] = true
	}
	byName := map[string]*kargo.StackStatus{}
	mask := r.view.mask()
	for _, live := range r.sight.cluster.Services {
		name := live.Spec.Labels[kargo.LabelStack]
		if live.Spec.Labels[kargo.LabelInstance] != r.parts.Behavior.Instance || name == "" || wanted[name] || !r.selection.has(name) {
			continue
		}
		if byName[name] == nil {
			byName[name] = &kargo.StackStatus{Name: name, Verdict: kargo.VerdictRemoved, Leaving: true, Health: kargo.HealthHealthy,
				Operation: cmp.Or(remaining.heldOperation(name), kargo.OperationRemoving), Message: remaining.whyHeld(name)}
		}
		stack := byName[name]
		health, words := plan.ServiceHealth(live, index)
		service := kargo.ServiceStatus{Name: live.Name, Health: health, Message: mask.Text(words), Image: live.Image,
			Running: live.Running + live.Completed, Desired: live.Desired, Operation: stack.Operation}
		stack.Services = append(stack.Services, service)
		stack.Revision = kargo.RevisionID(live.Spec.Labels[kargo.LabelRevision])
		if stop := r.memory.Stops[name]; stop.WentBack() {
			stack.Revision = stop.Revision // the label has the revision in whose time it went back
		}
		if health != kargo.HealthHealthy && stack.Health != kargo.HealthDegraded {
			stack.Health = health
		}
	}
	stacks := make([]kargo.StackStatus, 0, len(byName))
	for _, stack := range byName {
		slices.SortFunc(stack.Services, func(a, b kargo.ServiceStatus) int { return strings.Compare(a.Name, b.Name) })
		stacks = append(stacks, *stack)
	}
	slices.SortFunc(stacks, func(a, b kargo.StackStatus) int { return strings.Compare(a.Name, b.Name) })
	return stacks
}

// withoutLeaving leaves out of some stacks those that still run.
func withoutLeaving(names []string, stacks []kargo.StackStatus) []string {
	if len(names) == 0 {
		return nil
	}
	leaving := map[string]bool{}
	for _, stack := range stacks {
		leaving[stack.Name] = leaving[stack.Name] || stack.Leaving
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return leaving[name] })
}
