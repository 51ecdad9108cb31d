package controller

import (
	"context"
	"strings"
	"time"

	"kargo"
)

// Retry lifts the quarantine of a stack, or of all if the name is empty, and
// asks for a round.
func (l *Loop) Retry(stack string, by kargo.Person) {
	l.ask(func(r *Reconciler) {
		r.Retry(stack)
		r.asked = asked{kargo.EntryRetry, by}
	})
	l.Nudge(by.Did(strings.TrimSpace("retry " + stack)))
}

// Adopt allows Kargo to take over objects of a stack's names that have no
// owner, until the process ends. A workspace allows it permanently with
// <STACK>_ADOPT.
func (l *Loop) Adopt(stack string, by kargo.Person) {
	l.ask(func(r *Reconciler) {
		r.memory.Adopted[stack] = true
		r.asked = asked{kargo.EntryAdoption, by}
	})
	l.Nudge(by.Did("adopt " + stack))
}

// Approve lifts those holds of one plan that wait for a person. It lifts no
// hold of another plan: it returns once a round has made its plan, and the error is a
// Conflict if that is another one. A refused revision that does not come after the one
// in force is approved by the start of its ID.
func (l *Loop) Approve(ctx context.Context, plan string, by kargo.Person) error {
	status := l.Status()
	if status.Rewinds && meansRevision(plan, status.Head.ID()) {
		return l.approveRevision(status, by)
	}
	if plan != status.Pending.ID {
		return notPending(plan, kargo.PlanText{}, status.Pending)
	}
	wish := &approval{ctx: ctx, seen: status.Pending, by: by, reply: make(chan error, 1)}
	if err := l.between(ctx, func(r *Reconciler) { r.approval.leave(wish) }); err != nil {
		return err
	}
	select {
	case err := <-wish.reply:
		return err
	case <-ctx.Done():
		return kargo.Errorf(kargo.Unavailable, "wait for the plan that is approved: %w", ctx.Err())
	}
}

// approveRevision has a refused revision read and followed.
func (l *Loop) approveRevision(status kargo.Status, by kargo.Person) error {
	note := newNote(kargo.EntryApproval, status.Applied, by, withReason("revision "+status.Head.Short(), by))
	if err := approve(l.parts.Store, string(status.Head.ID()), note); err != nil {
		return err
	}
	l.Nudge(by.Did("approve"))
	return nil
}

// meansRevision reports whether a text names a revision: its ID, or the start of it
// or of the commit of one of its layers.
func meansRevision(text string, id kargo.RevisionID) bool {
	if len(text) < shortestCommit {
		return false
	}
	revision := id.Revision()
	means := strings.HasPrefix(string(id), text) || text == id.Short()
	for _, layer := range revision.Layers {
		means = means || strings.HasPrefix(layer.Commit, text)
	}
	return means
}

// ask leaves something for the next round to do: what it works on belongs to
// the goroutine of the rounds.
func (l *Loop) ask(request func(*Reconciler)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, request)
}

func (l *Loop) takeRequests() []func(*Reconciler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	requests := l.requests
	l.requests = nil
	return requests
}

// notifier reports deployments one after the other, beside the rounds: whom it
// reports to may take its time.
type notifier struct {
	parts Parts
	queue chan kargo.Deployment
}

// mostNotifications is how many deployments wait to be reported at most.
const mostNotifications = 64

// notifyTime is how long the report of one deployment may take, and
// lastNotifyTime how long all that are left may take when the program ends.
const (
	notifyTime     = 30 * time.Second
	lastNotifyTime = time.Second
)

func newNotifier(parts Parts) *notifier {
	return &notifier{parts: parts, queue: make(chan kargo.Deployment, mostNotifications)}
}

// add reports a deployment later. It does not block.
func (n *notifier) add(deployment kargo.Deployment) {
	if n.parts.Effects.Notify == nil {
		return
	}
	select {
	case n.queue <- deployment:
	default:
		n.parts.Log.Warn("too many notifications wait; this one is dropped", "deployment", deployment.Number)
	}
}

// run reports until ctx ends, then what is left.
func (n *notifier) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastNotifyTime)
			defer cancel()
			for len(n.queue) > 0 && last.Err() == nil {
				n.parts.Effects.Notify(last, <-n.queue)
			}
			return
		case deployment := <-n.queue:
			n.report(ctx, deployment)
		}
	}
}

func (n *notifier) report(ctx context.Context, deployment kargo.Deployment) {
	ctx, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	n.parts.Effects.Notify(ctx, deployment)
}
