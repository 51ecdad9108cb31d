package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// longRollout is when a rollout is no longer taken for a swift one.
const longRollout = 10 * time.Second

// rollouts follows the renderings that are on their way, until they are good or
// have failed. It works on what the reconciler knows, and changes what is
// remembered of renderings and nothing else.
type rollouts struct {
	parts     Parts
	view      *view
	selection selection
	memory    plan.Memory    // Rollouts is changed
	cluster   *kargo.Cluster // Tasks may be filled in
	pace      *pace
}

func (r *Reconciler) rollouts() rollouts {
	return rollouts{r.parts, r.view, r.selection, r.memory, &r.sight.cluster, &r.pace}
}

// followRenderings begins to follow each rendering that is wanted anew, and
// forgets those of stacks that nobody wants any more.
func (r *Reconciler) followRenderings(ctx context.Context, _ *round) (goOn bool, err error) {
	if !r.work.fresh && r.work.look == lookNowhere {
		return false, nil
	}
	r.rollouts().follow()
	for _, stack := range r.rollouts().tryAgain(ctx, r.interest.takeNodesChanged()) {
		r.parts.Log.Info("the failed rendering is tried again", "stack", stack)
		r.Retry(stack)
		r.work.lookAt(lookEverywhere)
	}
	return true, nil
}

func (r rollouts) follow() {
	wanted := map[string]bool{}
	for _, stack := range r.view.stacks {
		wanted[stack.Name] = true
		rollout, digest := r.memory.Rollouts[stack.Name], stack.Digest()
		if rollout.Digest == digest {
			continue
		}
		rollout.Digest, rollout.Revision = digest, r.view.revision().ID()
		rollout.Since, rollout.Failed, rollout.Tries = time.Time{}, nil, 0
		rollout.AfterDue = r.parts.Effects.After != nil
		r.memory.Rollouts[stack.Name] = rollout
	}
	for name := range r.memory.Rollouts {
		if !wanted[name] && r.selection.has(name) {
			delete(r.memory.Rollouts, name)
		}
	}
}

// underway reports whether a stack's rendering was sent and is neither good nor
// failed.
func underway(rollout kargo.Rollout) bool {
	return !rollout.Since.IsZero() && rollout.Failed == nil && rollout.Good != rollout.Digest
}

// startClocks notes since when renderings are on their way: those that a
// change was sent for, and those that need none. What is sent for a stack whose
// rendering is not available restores the one that stands in.
func (r rollouts) startClocks(sent map[string]bool, next kargo.Plan) {
	waiting := stacksOf(next)
	for name, rollout := range r.memory.Rollouts {
		if sent[name] {
			rollout.Sent = time.Now()
			r.memory.Rollouts[name] = rollout
		}
		_, absent := r.memory.Absent[name]
		absent = absent || r.memory.Stops[name].WentBack() // what is sent is not the rendering that is followed
		if rollout.Since.IsZero() && !absent && r.selection.has(name) && (sent[name] || !waiting[name]) {
			rollout.Since = time.Now()
			r.memory.Rollouts[name] = rollout
		}
	}
}

// stacksOf returns the stacks that a plan has changes or holds for.
func stacksOf(p kargo.Plan) map[string]bool {
	stacks := map[string]bool{}
	for _, change := range p.Changes {
		stacks[change.Stack] = true
	}
	for _, hold := range p.Held {
		stacks[hold.Stack] = true
	}
	return stacks
}

// discount takes time in which nobody saw Swarm out of the deadlines of the renderings
// that are on their way: they may have come up meanwhile, and wait to be looked at.
func (r rollouts) discount(unseen time.Duration) {
	if unseen == 0 {
		return
	}
	for name, rollout := range r.memory.Rollouts {
		if underway(rollout) {
			rollout.Watched = later(rollout.Since, rollout.Watched).Add(unseen)
			r.memory.Rollouts[name] = rollout
		}
	}
}

// judge looks for renderings that have failed, with what the last look saw,
// and quarantines them.
func (r rollouts) judge(ctx context.Context) {
	defer func(started time.Time) { r.parts.measure("judge", started, nil) }(time.Now())
	if err := r.readTasks(ctx); err != nil {
		r.parts.Log.Debug("cannot read the tasks of a rollout", "error", err)
		return // the services alone do not tell who is to blame
	}
	index := plan.NewIndex(*r.cluster)
	for _, stack := range r.view.stacks {
		rollout := r.memory.Rollouts[stack.Name]
		if !underway(rollout) {
			continue
		}
		if judgement := plan.Judge(stack, index, rollout, time.Now()); judgement.Health == kargo.HealthDegraded {
			r.fail(ctx, stack, judgement)
		}
	}
}

// readTasks reads the tasks of rollouts that take long, and of those that Swarm has
// stopped: what the services say alone does not tell a slow one from one that fails
// again and again, and not who is to blame.
func (r rollouts) readTasks(ctx context.Context) error {
	var names []string
	index := plan.NewIndex(*r.cluster)
	for _, stack := range r.view.stacks {
		rollout := r.memory.Rollouts[stack.Name]
		if !underway(rollout) {
			continue
		}
		health, _ := plan.StackHealth(stack, index)
		long := health == kargo.HealthProgressing && time.Since(rollout.Since) > longRollout && !r.cluster.TasksKnown
		if long || plan.Stopped(stack, index) {
			for _, service := range stack.Services {
				names = append(names, service.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	tasks, err := r.parts.Swarm.Tasks(ctx, names...)
	if err != nil {
		return err
	}
	if !r.cluster.TasksKnown {
		r.cluster.Tasks = tasks
		return nil
	}
	// All tasks that have not ended are known; those that have are added.
	known := map[string]bool{}
	for _, task := range r.cluster.Tasks {
		known[task.ID] = true
	}
	for _, task := range tasks {
		if !known[task.ID] {
			r.cluster.Tasks = append(slices.Clip(r.cluster.Tasks), task)
		}
	}
	return nil
}

// prove looks at the tasks of renderings that seem to have come up, and calls
// those good that have stayed up. It reports whether all are decided.
func (r rollouts) prove(ctx context.Context, next kargo.Plan) (decided bool, err error) {
	candidates, services, earliest := r.candidates(next)
	if len(candidates) == 0 {
		return true, nil
	}
	if time.Now().Before(earliest) {
		r.pace.lookAt(earliest)
		return false, nil
	}
	seen := *r.cluster
	if seen.Tasks, err = r.parts.Swarm.Tasks(ctx, services...); err != nil {
		return false, err
	}
	if unsure := r.mayHaveOutdated(services); len(unsure) > 0 {
		if err := r.parts.Swarm.MarkOutdated(ctx, seen.Tasks, unsure...); err != nil {
			return false, err
		}
	}
	decided = true
	index := plan.NewIndex(seen)
	var good []kargo.Stack
	for _, stack := range candidates {
		judgement := plan.Judge(stack, index, r.memory.Rollouts[stack.Name], time.Now())
		switch judgement.Health {
		case kargo.HealthHealthy:
			good = append(good, stack)
			continue
		case kargo.HealthDegraded:
			r.fail(ctx, stack, judgement)
			r.pace.lookAt(time.Now())
		case kargo.HealthProgressing:
			r.pace.lookAt(judgement.ProvenAt)
		}
		decided = false
	}
	return decided, r.keepGood(good, index)
}

// mayHaveOutdated returns those of some services that may have tasks of an earlier spec,
// and should have tasks. A service that nobody has updated has none. Swarm forgets the
// state of an update when the next one is sent, and calls an update completed when all
// tasks are of the present spec.
func (r rollouts) mayHaveOutdated(services []string) (unsure []string) {
	index := plan.NewIndex(*r.cluster)
	for _, name := range services {
		service, exists := index.Service(name)
		created := service.Update == nil && service.Previous == nil
		completed := service.Update != nil && service.Update.State == swarm.UpdateStateCompleted
		if !exists || service.Desired > 0 && !created && !completed {
			unsure = append(unsure, name)
		}
	}
	return unsure
}

// candidates returns the stacks whose rendering may be good now, whatever other
// stacks do; their services; and the time at which all of them can have run
// long enough.
func (r rollouts) candidates(next kargo.Plan) (stacks []kargo.Stack, services []string, earliest time.Time) {
	waiting, tasked := stacksOf(next), map[string]bool{}
	for _, service := range r.cluster.Services {
		tasked[service.Name] = service.Desired > 0
	}
	index := plan.NewIndex(*r.cluster)
	for _, stack := range r.view.stacks {
		rollout := r.memory.Rollouts[stack.Name]
		if !underway(rollout) || waiting[stack.Name] {
			continue
		}
		if health, _ := plan.StackHealth(stack, index); health != kargo.HealthHealthy {
			continue
		}
		stacks = append(stacks, stack)
		for _, service := range stack.Services {
			services = append(services, service.Name)
			if proven := later(rollout.Since, rollout.Sent).Add(stack.Options.Stable); tasked[service.Name] && proven.After(earliest) {
				earliest = proven
			}
		}
	}
	return stacks, services, earliest
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// keepWhatRan calls the rendering good that another one is about to replace,
// if it came up, has not run long enough to be proven, and there is none better
// to return to.
func (r rollouts) keepWhatRan() error {
	if r.view == nil {
		return nil
	}
	var good []kargo.Stack
	index := plan.NewIndex(*r.cluster)
	for _, stack := range r.view.stacks {
		rollout := r.memory.Rollouts[stack.Name]
		if !underway(rollout) || rollout.Good != "" {
			continue
		}
		if health, _ := plan.StackHealth(stack, index); health == kargo.HealthHealthy {
			good = append(good, stack)
		}
	}
	return r.keepGood(good, index)
}

// keepGood remembers renderings that came up and stayed up, with the images that they
// run.
func (r rollouts) keepGood(stacks []kargo.Stack, index plan.Index) error {
	if len(stacks) == 0 {
		return nil
	}
	var renderings []kargo.KeptRendering
	for _, stack := range stacks {
		stack.Services = slices.Clone(stack.Services)
		for i := range stack.Services {
			running, _ := index.Service(stack.Services[i].Name)
			stack.Services[i].Pinned = running.Image
		}
		renderings = append(renderings, kargo.KeptRendering{Stack: stack, Revision: r.memory.Rollouts[stack.Name].Revision})
	}
	if err := r.parts.Store.Keep(renderings...); err != nil {
		return fmt.Errorf("keep the renderings of %d stacks that came up, such as %s: %w", len(stacks), stacks[0].Name, err)
	}
	for _, stack := range stacks {
		rollout := r.memory.Rollouts[stack.Name]
		rollout.Good, rollout.GoodRevision = rollout.Digest, rollout.Revision
		r.memory.Rollouts[stack.Name] = rollout
	}
	return nil
}
