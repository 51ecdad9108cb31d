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

// Keeper is a keeper of which a test makes each step.
type Keeper struct{ *keeper }

// NewKeeper makes one.
func NewKeeper(parts Parts) Keeper { return Keeper{newKeeper(parts)} }

// Step reads the lease, and writes it where that is due.
func (k Keeper) Step(ctx context.Context) error { return k.step(ctx, func(string) {}) }

// Share has the lease say what the next leader must know.
func (k Keeper) Share(handOver kargo.HandOver) { k.share(handOver) }

// Left returns, once, what another controller has left to this one.
func (k Keeper) Left() (left kargo.HandOver, outdated bool) { return k.takeOutdated() }

// Release gives the lease up.
func (k Keeper) Release(ctx context.Context) { k.release(ctx) }

// NextPoll is nextPoll.
var NextPoll = nextPoll

// StatusOf is what a look makes of stacks for the status.
func StatusOf(stacks []kargo.Stack, seen kargo.Cluster, remaining kargo.Plan) []kargo.StackStatus {
	return stackStatuses(stacks, plan.NewIndex(seen), restOf(remaining), kargo.Memory{}, kargo.Mask{})
}

// WithWords is withWords.
var WithWords = withWords
