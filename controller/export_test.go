package controller

import (
	"context"

	"kargo"
	"kargo/plan"
)

// RoundNow is a Round with git and all of Swarm due, as a Preview has them.
func (r *Reconciler) RoundNow(ctx context.Context, trigger string) error {
	r.work.git = true
	r.work.lookAt(lookEverywhere)
	return r.Round(ctx, trigger)
}

// NextPoll is nextPoll.
var NextPoll = nextPoll

// StatusOf is what a look makes of stacks for the status.
func StatusOf(stacks []kargo.Stack, seen kargo.Cluster, remaining kargo.Plan) []kargo.StackStatus {
	return stackStatuses(stacks, plan.NewIndex(seen), restOf(remaining), kargo.Memory{}, kargo.Mask{})
}

// WithWords is withWords.
var WithWords = withWords
