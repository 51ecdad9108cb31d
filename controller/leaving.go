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
// person had the stack go back.
func whatRuns(rollout kargo.Rollout, stoodIn bool, stop kargo.Stop) kargo.RevisionID {
	if stoodIn && stop.WentBack() {
		return stop.Revision
	}
	notSent := rollout.Since.IsZero()
	if stoodIn || notSent && rollout.Good != rollout.Digest {
		return rollout.GoodRevision
	}
	return ""
}

// leavingStacks returns the status of each stack that runs though the revision in
// force has no such stack: its removal waits for approval, or goes on.
func (r *Reconciler) leavingStacks(remaining kargo.Plan) []kargo.StackStatus {
	wanted := map[string]bool{}
	for _, name := range r.Stacks() {
		wanted[name] = true
	}
	byName := map[string]*kargo.StackStatus{}
	index, mask := plan.NewIndex(r.sight.cluster), r.view.mask()
	for _, live := range r.sight.cluster.Services {
		name := live.Spec.Labels[kargo.LabelStack]
		if live.Spec.Labels[kargo.LabelInstance] != r.parts.Behavior.Instance || name == "" || wanted[name] {
			continue
		}
		if byName[name] == nil {
			byName[name] = &kargo.StackStatus{Name: name, Verdict: kargo.VerdictRemoved, Leaving: true, Health: kargo.HealthHealthy,
				Operation: cmp.Or(heldOperation(name, remaining), kargo.OperationRemoving), Message: whyHeld(name, remaining)}
		}
		stack := byName[name]
		health, words := plan.ServiceHealth(live, index)
		service := kargo.ServiceStatus{Name: live.Name, Health: health, Message: mask.Text(words), Image: live.Image,
			Running: live.Running + live.Completed, Desired: live.Desired, Operation: stack.Operation}
		stack.Services = append(stack.Services, service)
		stack.Revision = kargo.RevisionID(live.Spec.Labels[kargo.LabelRevision])
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

// whyHeld returns why a stack as a whole is held, or "".
func whyHeld(stack string, remaining kargo.Plan) string {
	for _, hold := range remaining.Held {
		if hold.Stack == stack && hold.Kind == "" {
			return hold.Reason
		}
	}
	return ""
}

// withoutLeaving leaves out of some stacks those that still run.
func withoutLeaving(names []string, stacks []kargo.StackStatus) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(stacks, func(s kargo.StackStatus) bool { return s.Leaving && s.Name == name })
	})
}
