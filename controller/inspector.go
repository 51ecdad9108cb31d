package controller

import (
	"context"
	"time"

	"kargo"
)

// inspector answers what people ask: it is a copy of a reconciler that has no effects.
// Neither the reconciler changes, nor what lies on a disk or in Swarm. So it runs the
// stages of a round up to the plan, and tries what a person may decide.
type inspector struct{ *Reconciler }

// inspector returns a copy of the reconciler as it is now.
func (r *Reconciler) inspector() inspector {
	copied := *r
	copied.parts = r.parts.withoutEffects()
	copied.board, copied.interest = newBoard(copied.parts), &interest{}
	copied.notify, copied.compared = func(kargo.Deployment) {}, nil
	copied.memory = r.memory.Clone()
	copied.sight, copied.source = r.sight.clone(copied.parts), r.source
	copied.source.reader, copied.source.ahead = newReader(copied.parts), false
	copied.source.asked, copied.source.arrived = time.Time{}, nil
	copied.pace.git = time.Time{}
	copied.record, copied.approval = r.record.clone(), approvals{}
	return inspector{&copied}
}

// inspected asks an inspector. It waits until the round under way has ended, and no
// round waits for it. The error is Unavailable if ctx ends.
func inspected[T any](ctx context.Context, l *Loop, ask func(inspector) (T, error)) (answer T, err error) {
	reply := make(chan inspector, 1)
	select {
	case l.inspections <- reply:
	case <-ctx.Done():
		return answer, kargo.Errorf(kargo.Unavailable, "wait for the round under way: %w", ctx.Err())
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = kargo.Errorf(kargo.Internal, "panic while a question was answered: %v", cause)
		}
	}()
	return ask(<-reply)
}

// Preview returns the plan that a round would carry out now, without changing
// anything. It waits until the round under way has ended, and no round waits for
// it. An error means that git or Swarm could not be read, or that ctx ended.
func (l *Loop) Preview(ctx context.Context) (kargo.Preview, error) {
	return inspected(ctx, l, func(i inspector) (kargo.Preview, error) { return i.preview(ctx) })
}

// Preview is Loop.Preview without a loop.
func (r *Reconciler) Preview(ctx context.Context) (kargo.Preview, error) {
	return r.inspector().preview(ctx)
}

// preview runs the stages of a round up to its plan.
func (i inspector) preview(ctx context.Context) (kargo.Preview, error) {
	this := &round{trigger: "plan"}
	i.work.git = true
	i.work.lookAt(lookEverywhere)
	err := i.runStages(ctx, this, planning)
	preview := kargo.Preview{Plan: this.next, Problems: i.source.problems}
	if preview.Problems.Err() != nil {
		return preview, err // which is all that sourceErr says
	}
	return preview, joined(err, this.sourceErr)
}

// PreviewRollback returns the plan that Rollback would lead to, and changes nothing.
func (l *Loop) PreviewRollback(ctx context.Context, stack string, to kargo.BackTo) (kargo.Preview, error) {
	return inspected(ctx, l, func(i inspector) (kargo.Preview, error) {
		if err := i.decisions().rollback(stack, to, kargo.Stop{}); err != nil {
			return kargo.Preview{}, err
		}
		return i.preview(ctx)
	})
}
