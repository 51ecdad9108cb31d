package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kargo"
	"kargo/plan"
)

// begin opens a deployment, or goes on with the open one if the revision is
// the same: a removal takes several rounds and is one deployment.
func (c *Controller) begin(trigger string, next kargo.Plan) error {
	if c.open != nil && c.open.Revision.ID() == next.Revision.ID() {
		c.open.Held = next.Held
		c.open.Err, c.open.Outcome = "", kargo.OutcomeRunning
		return nil
	}
	if c.open != nil {
		c.open.Outcome = kargo.OutcomeSuperseded
		c.open.Finished = time.Now()
		if err := c.record(); err != nil {
			return err
		}
	}
	opened, err := c.Recorder.Begin(kargo.Deployment{
		Revision: next.Revision, Trigger: trigger, Started: time.Now(), Outcome: kargo.OutcomeRunning,
		PlanID: next.ID(), Changes: []kargo.Change{}, Held: next.Held, Stacks: c.verdicts(),
		Hooks: c.masked(c.desired.Workspace.Ran),
	})
	if err != nil {
		return err
	}
	c.open = &opened
	c.publish(func(s *kargo.Status) {
		s.Plan = kargo.PlanText{ID: next.ID(), Revision: next.Revision.ID(), Changes: next.Changes, Held: next.Held, Time: opened.Started}
	})
	return nil
}

func (c *Controller) record() error {
	return c.Recorder.Record(*c.open, c.memory.Memory)
}

// recordUnmoved puts a revision in force that changes nothing that runs.
func (c *Controller) recordUnmoved(trigger string) error {
	c.due.fresh = false
	if err := c.begin(trigger, kargo.Plan{Revision: c.desired.Workspace.Revision}); err != nil {
		return err
	}
	c.publishStacks(kargo.Plan{})
	return c.finish(nil)
}

func (c *Controller) verdicts() []kargo.StackResult {
	return plan.Verdicts(c.before(), c.desired.Stacks)
}

// settle closes the open deployment once nothing is on its way any more, or
// asks for another look.
func (c *Controller) settle(ctx context.Context, next kargo.Plan) error {
	in := c.standIns()
	c.recovered(in)
	alive := slices.DeleteFunc(slices.Clone(in.Stacks), func(stack kargo.Stack) bool {
		_, stoodIn := in.Holds[stack.Name]
		return c.memory.Rollouts[stack.Name].Failed != nil && !stoodIn
	})
	c.lookAgain() // unless all is decided, below
	decided, err := c.prove(ctx, next)
	if err != nil || !decided || passing(next) || !plan.Settled(alive, c.cluster) {
		return err
	}
	c.due.settled()
	c.moving.Clear()
	if c.open == nil {
		return nil
	}
	c.open.Held = next.Held
	return c.finish(errors.Join(c.degraded(in), notToBeHad(next), c.failedHooks()))
}

// lasting is what of an error the next look does not put right. Where Swarm was
// out of reach or had moved on, that look shows what is still to be done.
func lasting(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var errs []error
		for _, part := range joined.Unwrap() {
			errs = append(errs, lasting(part))
		}
		return errors.Join(errs...)
	}
	switch kargo.FaultOf(err) {
	case kargo.Unavailable, kargo.Conflict:
		return nil
	}
	return err
}

// notToBeHad is what a plan wants and cannot get, if anything.
func notToBeHad(next kargo.Plan) error {
	var errs []error
	for _, hold := range next.Held {
		if hold.Failed {
			errs = append(errs, errors.New(hold.String()))
		}
	}
	return errors.Join(errs...)
}

// degraded says which stacks did not come up, if any.
func (c *Controller) degraded(in plan.StandIns) error {
	var errs []error
	for _, stack := range in.Stacks {
		failed := c.memory.Rollouts[stack.Name].Failed
		health, words := plan.StackHealth(stack, c.cluster)
		_, stoodIn := in.Holds[stack.Name]
		switch {
		case failed != nil && stoodIn:
			errs = append(errs, fmt.Errorf("stack %s failed and was rolled back: %s", stack.Name, failed.Reason))
		case failed != nil:
			errs = append(errs, fmt.Errorf("stack %s failed: %s", stack.Name, failed.Reason))
		case health == kargo.HealthDegraded:
			errs = append(errs, fmt.Errorf("stack %s is degraded: %s", stack.Name, c.mask().Text(words)))
		}
	}
	return errors.Join(errs...)
}

// finish closes the open deployment with its outcome.
func (c *Controller) finish(failure error) error {
	d := c.open
	for i, stack := range d.Stacks {
		d.Stacks[i].Failure = c.memory.Rollouts[stack.Name].Failed
	}
	d.Outcome, d.Finished = kargo.OutcomeSucceeded, time.Now()
	if failure != nil {
		d.Err = strings.TrimPrefix(d.Err+"; "+failure.Error(), "; ")
	}
	if d.Err != "" {
		d.Outcome = kargo.OutcomeFailed
	}
	c.putInForce(d.Revision, d.Stacks)
	if err := c.record(); err != nil {
		return err
	}
	c.Log.Info("deployment "+string(d.Outcome), "number", d.Number, "revision", d.Revision.Short(),
		"stacks", stackLine(d.Stacks), "changes", len(d.Changes), "took", d.Finished.Sub(d.Started).Round(time.Millisecond))
	c.Notify(*d)
	c.open = nil
	return nil
}
