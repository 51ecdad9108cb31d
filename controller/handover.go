package controller

import (
	"maps"
	"slices"
	"time"

	"kargo"
)

// What is left to the next leader lies in labels of the lease, or beside it, which every
// manager keeps. So it is bounded: 100 stacks of three services take about 90 kB.
const (
	mostLeft       = 100 // stacks
	longestLeaving = 300 // characters of the reason of a failure
)

// leave returns what the next leader must know.
func (r *Reconciler) leave() kargo.HandOver {
	left := kargo.HandOver{Stopped: r.memory.Stopped, InForce: r.mustFollow()}
	for _, name := range slices.Sorted(maps.Keys(r.memory.Rollouts)) {
		rollout := r.memory.Rollouts[name]
		if rollout.Failed == nil && !underway(rollout) || len(left.Rollouts) == mostLeft {
			continue
		}
		if left.Rollouts == nil {
			left.Rollouts, left.Sent = map[string]kargo.Rollout{}, kargo.Sent{}
		}
		left.Rollouts[name] = brief(rollout)
		for _, service := range r.servicesOf(name) {
			if sent, known := r.memory.Sent[service]; known {
				sent.Reason = "" // it may be long; it only tells what does not converge
				left.Sent[service] = sent
			}
		}
	}
	return left
}

// brief returns a rollout without what only people read of a failure.
func brief(rollout kargo.Rollout) kargo.Rollout {
	if rollout.Failed != nil {
		failed := *rollout.Failed
		failed.Words = nil
		if reason := []rune(failed.Reason); len(reason) > longestLeaving {
			failed.Reason = string(reason[:longestLeaving]) + "…"
		}
		rollout.Failed = &failed
	}
	return rollout
}

// servicesOf returns the names of the services of a stack that is wanted.
func (r *Reconciler) servicesOf(stack string) []string {
	var names []string
	if r.view == nil {
		return nil
	}
	for _, wanted := range r.view.stacks {
		if wanted.Name == stack {
			for _, service := range wanted.Services {
				names = append(names, service.Name)
			}
		}
	}
	return names
}

// takenOver returns the memory that a leader begins with after another one.
func takenOver(left kargo.HandOver, now time.Time) kargo.Memory {
	memory := kargo.Memory{Sent: left.Sent, Rollouts: past(left.Rollouts, now), Stopped: left.Stopped}
	if memory.Sent == nil {
		memory.Sent = kargo.Sent{}
	}
	if memory.Rollouts == nil {
		memory.Rollouts = map[string]kargo.Rollout{}
	}
	if memory.Stops == nil {
		memory.Stops = map[string]kargo.Stop{}
	}
	return memory
}
