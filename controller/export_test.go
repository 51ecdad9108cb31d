package controller

import "context"

// RoundNow is a Round with git and all of Swarm due, as a Preview has them.
func (r *Reconciler) RoundNow(ctx context.Context, trigger string) error {
	r.work.git = true
	r.work.lookAt(lookEverywhere)
	return r.Round(ctx, trigger)
}

// NextPoll is nextPoll.
var NextPoll = nextPoll
