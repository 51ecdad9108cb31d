package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kargo"
	"kargo/plan"
)

// maxConflicts is how often one round plans anew because Swarm moved on under
// it; after that the loop rests for a moment.
const maxConflicts = 3

// reconcile makes Swarm equal to what is desired, where anything may differ.
func (c *Controller) reconcile(ctx context.Context, trigger string) error {
	if c.due.write {
		if err := c.Write(c.desired.Workspace); err != nil {
			return fmt.Errorf("write merged configuration: %w", err)
		}
		c.due.write = false
	}
	if c.due.fresh || c.due.again {
		if err := c.followTags(ctx); err != nil {
			return err
		}
	}
	if c.due.fresh && c.movesNothing() {
		return c.recordUnmoved(trigger)
	}
	if !c.due.fresh && !c.due.full && !c.due.look {
		return nil
	}
	if c.due.fresh {
		trigger = c.due.cause
	}
	if c.due.fresh || c.due.again {
		clear(c.memory.Refused)
		c.askAgain()
		c.due.again = false
	}
	c.follow()
	next, err := c.look(ctx)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err = c.carryOut(ctx, trigger, next)
		if kargo.FaultOf(err) != kargo.Conflict || attempt == maxConflicts {
			break
		}
		c.Log.Info("swarm moved on, planning again", "error", err)
		c.due.full = true
		if next, err = c.look(ctx); err != nil {
			return err
		}
	}
	if err == nil || kargo.FaultOf(err) == kargo.Invalid {
		c.due.fresh, c.due.look = false, false
	} else {
		c.due.full = true
	}
	return err
}

// movesNothing tells that a new revision renders to what is in force already
// and that Swarm has nothing to say either: then there is no reason to ask it.
func (c *Controller) movesNothing() bool {
	// What is held may not be held any more, and must not be lost sight of.
	if c.due.full || c.due.look || c.due.unsettled || c.open != nil || len(c.Status().Pending.Held) > 0 {
		return false
	}
	return !slices.ContainsFunc(c.verdicts(), func(r kargo.StackResult) bool { return r.Verdict != kargo.VerdictUnchanged })
}

// look sees what runs, with as few calls as will do, and plans. Where only a
// rollout may have moved, the services are enough; as soon as the plan has
// anything to say, and now and then during a long rollout, everything is read.
func (c *Controller) look(ctx context.Context) (kargo.Plan, error) {
	c.lookCloser()
	if light := !c.due.full && !c.due.fresh && time.Since(c.Status().LastVerified) < longestLight; light {
		services, err := measured(c, "observe", func() ([]kargo.LiveService, error) { return c.Swarm.Services(ctx) })
		if err != nil {
			return kargo.Plan{}, fmt.Errorf("look at services: %w", err)
		}
		c.cluster.Services, c.cluster.Tasks, c.cluster.TasksKnown = services, nil, false
		c.judge(ctx)
		if next, err := c.makePlan(); err != nil || next.Empty() && !passing(next) {
			return next, err
		}
	}
	cluster, err := measured(c, "observe", func() (kargo.Cluster, error) { return c.Swarm.Observe(ctx) })
	if err != nil {
		return kargo.Plan{}, fmt.Errorf("look at swarm: %w", err)
	}
	if cluster.Nodes, err = c.nodes(ctx); err != nil {
		return kargo.Plan{}, fmt.Errorf("look at nodes: %w", err)
	}
	if err := c.endingTasks(ctx, &cluster); err != nil {
		return kargo.Plan{}, fmt.Errorf("look at tasks: %w", err)
	}
	c.cluster = cluster
	c.due.full = false
	now := time.Now()
	c.publish(func(s *kargo.Status) { s.LastVerified = now })
	c.judge(ctx)
	next, err := c.planned(ctx)
	if err == nil {
		c.noteVerified(next, now)
	}
	return next, err
}

func (c *Controller) makePlan() (kargo.Plan, error) {
	var err error
	if c.memory.Approved, err = c.Approved(); err != nil {
		return kargo.Plan{}, err
	}
	c.readGood()
	var order []string
	if c.only != nil {
		order = c.desired.Workspace.Env.List("STACKS")
	}
	return plan.Make(c.desired.Stacks, c.cluster, plan.Options{
		Instance:    c.Instance,
		Revision:    c.desired.Workspace.Revision,
		Now:         time.Now(),
		Only:        c.only,
		Order:       order,
		Governor:    c.Governor,
		Labels:      c.desired.Labels,
		Credentials: c.credentials(),
		Mask:        c.mask(),
		Memory:      c.memory,
	}), nil
}

// mask hides the secrets of the desired revision. What the daemon or a task
// says may quote them.
func (c *Controller) mask() kargo.Mask { return c.desired.Workspace.Mask(c.MaskKey) }

// passing tells whether a plan holds anything that lifts by itself.
func passing(p kargo.Plan) bool {
	return slices.ContainsFunc(p.Held, func(h kargo.Hold) bool { return h.Until == kargo.UntilSettled })
}

// carryOut does what the plan says and records it; an empty plan may still
// bring an open deployment to its end.
func (c *Controller) carryOut(ctx context.Context, trigger string, next kargo.Plan) error {
	if next.Empty() && !c.due.fresh {
		return c.rest(ctx, next)
	}
	if err := c.begin(trigger, next); err != nil {
		return err
	}
	failed, err := c.apply(ctx, next)
	if err != nil {
		c.open.Err = c.mask().Text(kargo.Explain(err))
	}
	c.lasting = lasting(err)
	if err == nil || kargo.FaultOf(err) == kargo.Invalid {
		c.putInForce(next.Revision, c.open.Stacks)
	}
	if next.Empty() {
		return c.rest(ctx, next)
	}
	remaining := next
	remaining.Changes = failed
	c.publishStacks(remaining)
	c.lookAgain()
	// What the services alone do not show must be read anew.
	c.due.full = next.Count("", kargo.KindService) != len(next.Changes)
	c.open.Outcome = kargo.OutcomeProgressing
	return errors.Join(err, c.record())
}

// rest is the end of a round with nothing to change: what was sent has
// arrived, and rollouts may be decided.
func (c *Controller) rest(ctx context.Context, next kargo.Plan) error {
	if c.open != nil {
		c.open.Err = ""
		if c.lasting != nil {
			c.open.Err = c.mask().Text(kargo.Explain(c.lasting))
		}
	}
	c.markSeen(next)
	c.startClocks(nil, next)
	c.runAfter(ctx, next)
	err := c.settle(ctx, next)
	c.publishStacks(next)
	return err
}

// lookAgain plans the next look at what is on its way.
func (c *Controller) lookAgain() { c.due.lookAgain(time.Now()) }

// apply sends the plan to Swarm. It answers the changes that failed.
func (c *Controller) apply(ctx context.Context, next kargo.Plan) (failed []kargo.Change, err error) {
	for _, change := range next.Changes {
		c.moving.Store(change.Key(), true) // the events of our own changes tell nothing
	}
	sent := map[string]bool{}
	defer func() { c.startClocks(sent, next) }()
	_, err = measured(c, "apply", func() (struct{}, error) {
		return struct{}{}, c.Swarm.Apply(ctx, next, func(change kargo.Change, err error) {
			if err != nil {
				c.Log.Error("change failed", "change", change.String(), "error", c.mask().Text(kargo.Explain(err)))
				failed = append(failed, change)
				if kargo.FaultOf(err) == kargo.Invalid {
					c.memory.Refused[change.Key()] = plan.Refusal{Digest: change.Digest, Words: kargo.Explain(err)}
				}
				return
			}
			c.Log.Info(change.String())
			c.open.Changes = append(c.open.Changes, change)
			sent[change.Stack] = true
			c.remember(change)
			// At once: the process may be killed before the next change.
			if err := c.record(); err != nil {
				c.Log.Error("change not recorded", "change", change.String(), "error", err)
			}
		})
	})
	for _, hold := range next.Held {
		c.Log.Info(hold.String())
	}
	return failed, err
}

// remember keeps what was sent: the one thing that Swarm cannot tell.
func (c *Controller) remember(change kargo.Change) {
	if change.Kind != kargo.KindService {
		return
	}
	if change.Action == kargo.Remove {
		delete(c.memory.Sent, change.Name)
		return
	}
	if c.rememberCredential(change); change.Renews {
		return
	}
	if before := c.memory.Sent[change.Name]; before.Digest != change.Digest {
		delete(c.memory.Drifts, change.Name) // another spec, another count
	} else if before.Seen {
		c.memory.Drifts[change.Name] = c.memory.Drifts[change.Name].Corrected(time.Now())
	}
	c.memory.Sent[change.Name] = kargo.SentSpec{
		Digest: change.Digest, Reason: change.Reason, Credential: c.memory.Sent[change.Name].Credential,
	}
}

// markSeen notes which of the sent specs arrived: the same difference seen
// again is drift from now on.
func (c *Controller) markSeen(next kargo.Plan) {
	c.noteCredentials()
	for _, name := range next.Unchanged {
		if sent, known := c.memory.Sent[name]; known && !sent.Seen {
			sent.Seen = true
			c.memory.Sent[name] = sent
		}
	}
}
