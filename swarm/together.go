package swarm

import (
	"context"
	"sync"

	"kargo"
)

const (
	// mostTogether is how many creations are announced together. After a loss of power it
	// is decided of as many whether they were made.
	mostTogether = 20
	// mostAtOnce is how many of these are under way at the same time. Swarm writes one
	// after the other; more would wait there.
	mostAtOnce = 4
)

// nextGroup returns the changes to send next, and those that come after them: a run of
// creations, or one change of another kind. Changes of stacks that have failed are left
// out. Shared networks, which have no stack, come before the services that use them, so
// they are no part of a group of stacks.
func nextGroup(changes []kargo.Change, failed map[string]bool) (group, rest []kargo.Change) {
	for i, change := range changes {
		if failed[change.Stack] {
			continue
		}
		if len(group) > 0 && (change.Action != kargo.Create || (change.Stack == "") != (group[0].Stack == "")) {
			return group, changes[i:]
		}
		group = append(group, change)
		if change.Action != kargo.Create || len(group) == mostTogether {
			return group, changes[i+1:]
		}
	}
	return group, nil
}

// outcome is what became of one change of a group.
type outcome struct {
	index int
	// sent: the change was sent. If not, and err is nil, an earlier change of its stack
	// has failed, or Docker is out of reach.
	sent bool
	err  error
}

// sendTogether sends the changes of a group: those of one stack one after the other, and
// those of several stacks side by side, because nothing of a stack needs what another one
// creates. It calls report for each, in the order of the group, and returns when all that
// was sent is answered. After an error it sends nothing more of that stack, and nothing at
// all once Docker is out of reach or ctx ends.
func (w writer) sendTogether(ctx context.Context, group []kargo.Change, report func(outcome)) {
	lanes := lanesOf(group)
	stop := make(chan struct{})
	var stopped sync.Once
	stopAfter := func(o outcome) {
		if o.err != nil && (!o.sent || isOutOfReach(o.err)) {
			stopped.Do(func() { close(stop) })
		}
	}
	if len(lanes) == 1 {
		w.sendLane(ctx, group, lanes[0], stop, func(o outcome) {
			stopAfter(o)
			report(o) // before the next change is sent
		})
		return
	}
	next := make(chan []int, len(lanes))
	for _, lane := range lanes {
		next <- lane
	}
	close(next)
	outcomes := make(chan outcome, len(group))
	var senders sync.WaitGroup
	defer senders.Wait()
	defer stopped.Do(func() { close(stop) }) // also if report panics
	for range min(mostAtOnce, len(lanes)) {
		senders.Go(func() {
			for lane := range next {
				w.sendLane(ctx, group, lane, stop, func(o outcome) {
					stopAfter(o)
					outcomes <- o
				})
			}
		})
	}
	known, reported := make([]*outcome, len(group)), 0
	for range group {
		o := <-outcomes
		for known[o.index] = &o; reported < len(group) && known[reported] != nil; reported++ {
			report(*known[reported])
		}
	}
}

// sendLane sends changes of one stack, one after the other, and tells what became of each.
func (w writer) sendLane(ctx context.Context, group []kargo.Change, lane []int, stop <-chan struct{}, tell func(outcome)) {
	failed := false
	for _, i := range lane {
		select {
		case <-stop:
			failed = true
		default:
		}
		if failed {
			tell(outcome{index: i})
			continue
		}
		if err := ctx.Err(); err != nil {
			failed = true
			tell(outcome{index: i, err: classify(err)})
			continue
		}
		err := w.survive(ctx, group[i])
		failed = err != nil && group[i].Stack != ""
		tell(outcome{index: i, sent: true, err: err})
	}
}

// survive carries out one change. A panic becomes an error, because this goroutine is not
// that of the caller, who could not catch it.
func (w writer) survive(ctx context.Context, change kargo.Change) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = kargo.Errorf(kargo.Internal, "panic: %v", cause)
		}
	}()
	return w.carryOut(ctx, change)
}

// lanesOf returns the indices of changes, by stack, in the order of the changes.
func lanesOf(changes []kargo.Change) [][]int {
	var lanes [][]int
	of := map[string]int{}
	for i, change := range changes {
		lane, begun := of[change.Stack]
		if !begun {
			lane = len(lanes)
			of[change.Stack] = lane
			lanes = append(lanes, nil)
		}
		lanes[lane] = append(lanes[lane], i)
	}
	return lanes
}
