package controller

import (
	"context"
	"fmt"
	"slices"
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
// hold of another plan. The error is a Conflict if the plan is not the pending
// one. A refused revision that does not come after the one in force is approved
// by the start of its ID.
func (l *Loop) Approve(plan string, by kargo.Person) error {
	status := l.Status()
	approved, what := plan, "plan "+plan
	if status.Rewinds && meansRevision(plan, status.Head.ID()) {
		approved, what = string(status.Head.ID()), "revision "+status.Head.Short()
	} else if pending := status.Pending.ID; plan != pending {
		hint := "nothing waits for an approval now"
		if slices.ContainsFunc(status.Pending.Held, func(hold kargo.Hold) bool { return hold.Until == kargo.UntilApproved }) {
			hint = "an approval fits one plan only; the pending one is " + pending
		}
		return &kargo.Error{Fault: kargo.Conflict, Err: fmt.Errorf("plan %s is not the pending one", plan), Hint: hint}
	}
	if err := l.parts.Store.Approve(approved, by.String(), time.Now()); err != nil {
		return err
	}
	if by.Why != "" {
		what += ": " + by.Why
	}
	note := newNote(kargo.EntryApproval, status.Applied, by, what)
	if approved == status.Pending.ID {
		note.PlanID = approved
	}
	if _, err := l.parts.Store.Begin(note); err != nil {
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
