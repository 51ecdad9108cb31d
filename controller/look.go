package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/compile"
	"kargo/plan"
)

// sight is what was seen of Swarm.
type sight struct {
	parts   Parts
	cluster kargo.Cluster
	// verified is when everything was last looked at, and by stack, when such a
	// look, or the one after everything was created, last found the stack as it is wanted.
	verified       time.Time
	verifiedStacks map[string]time.Time
	// current is when it was last known what there is besides services: a full look read
	// it, or no event had come since then.
	current time.Time
	// created: the networks, configs and secrets that this process has created since
	// then are known by what was sent, and no look has read them.
	created bool
	// placing are the nodes by which the last full look was judged; nil if they were
	// not read.
	placing []kargo.LiveNode
	// looked is when Swarm was last looked at, and unseen how long before that
	// nobody could see it.
	looked time.Time
	unseen time.Duration
	// unlabelled: no node has labels of this instance, as far as is known.
	unlabelled bool
}

func (s sight) clone(parts Parts) sight {
	s.parts, s.verifiedStacks = parts, maps.Clone(s.verifiedStacks)
	return s
}

// longestGap is the longest time between two looks at a rollout of which both together
// tell what happened: looks are closer, unless Docker is away or this process is stopped.
const longestGap = 2 * longestRest

// see notes that Swarm was looked at.
func (s *sight) see(now time.Time) {
	s.unseen = 0
	if !s.looked.IsZero() {
		s.unseen = max(0, now.Sub(s.looked)-longestGap)
	}
	s.looked = now
}

// lookAndPlan looks at Swarm, where anything may differ, and plans.
func (r *Reconciler) lookAndPlan(ctx context.Context, this *round) (goOn bool, err error) {
	if !r.work.fresh && r.work.look == lookNowhere {
		return false, nil
	}
	if r.work.fresh {
		this.trigger = r.work.cause
	}
	if this.next, err = r.look(ctx); err != nil {
		return false, err
	}
	this.next, err = r.approve(ctx, this.next)
	return err == nil, err
}

// look sees what runs, with as few calls as possible, and plans. Where only a
// rollout may have moved, the services are enough; as soon as the plan has
// anything to say, and now and then during a long rollout, everything is read.
// Where only a commit has come, the services are enough if it changes nothing else. They
// are enough, too, once all that was created has come up.
func (r *Reconciler) look(ctx context.Context) (next kargo.Plan, err error) {
	nodesMoved := r.interest.takeNodesMoved() && len(r.view.labels) > 0
	if nodesMoved || r.selection.removing {
		r.work.lookAt(lookEverywhere)
	}
	enough, first, rest := false, r.servicesFirst(), false
	switch {
	case first:
		next, enough, err = r.planUpdates(ctx)
	case r.work.look < lookEverywhere && !r.work.fresh && time.Since(r.sight.current) < longestLight:
		rest = r.sight.created && r.work.look == lookServices
		next, enough, err = r.lookAtRollout(ctx)
	}
	if enough || err != nil {
		return next, err
	}
	observe := r.parts.Swarm.Observe
	if first || rest { // all services were just read
		observe = func(ctx context.Context) (kargo.Cluster, error) {
			return r.parts.Swarm.Complete(ctx, r.sight.cluster.Services)
		}
	}
	if err := r.sight.lookAtEverything(ctx, observe, len(r.view.labels) > 0, r.selection.removing); err != nil {
		return kargo.Plan{}, err
	}
	r.rollouts().discount(r.sight.unseen)
	r.rollouts().judge(ctx)
	if next, err = r.planResolved(ctx); err != nil {
		return next, err
	}
	r.warn(ctx, &next)
	r.work.look = min(r.work.look, lookServices)
	r.sight.noteVerified(r.view.stacks, next, r.sight.verified)
	return next, nil
}

// lookAtRollout looks at the services that a rollout may have moved, and plans. It
// reports whether that is enough: the plan has nothing to say.
func (r *Reconciler) lookAtRollout(ctx context.Context) (next kargo.Plan, enough bool, err error) {
	if err := r.sight.lookAtServices(ctx, r.moving()...); err != nil {
		return kargo.Plan{}, false, err
	}
	if r.sight.created && slices.ContainsFunc(r.sight.cluster.Services, comingUp) {
		return kargo.Plan{}, false, nil // such as on a network that Swarm does not allocate
	}
	r.rollouts().discount(r.sight.unseen)
	r.rollouts().judge(ctx)
	if next, err = r.makePlan(); err != nil || !next.Empty() || passing(next) {
		return next, false, err
	}
	r.warn(ctx, &next)
	if r.sight.created {
		r.sight.created = false
		r.sight.noteVerified(r.view.stacks, next, r.sight.looked)
	}
	return next, true, nil
}

// comingUp reports whether a service does not run yet as it should.
func comingUp(service kargo.LiveService) bool {
	return service.ShortOfTasks() || service.Update != nil && service.Update.State == swarm.UpdateStateUpdating
}

// mostMoving is up to how many services a look asks for by their ids. More would make a
// long address, and almost as long an answer as all.
const mostMoving = 50

// moving returns the names of the services to look at, or none if all are to be looked at.
// Others have events, and are not expected to change.
func (r *Reconciler) moving() []string {
	if r.work.look > lookMoving {
		return nil
	}
	names := r.interest.moving()
	for _, stack := range r.view.stacks {
		if underway(r.memory.Rollouts[stack.Name]) {
			for _, service := range stack.Services {
				names = append(names, service.Name)
			}
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > mostMoving {
		return nil
	}
	return names
}

// servicesFirst reports whether a look may begin with the services alone: a commit is all
// that happened since everything was read, and it needs no object that was not there.
func (r *Reconciler) servicesFirst() bool {
	return r.watches && r.work.fresh && r.work.look == lookNowhere && r.selection.isAll() && !r.pace.unsettled() &&
		!r.sight.verified.IsZero() && r.sight.unlabelled && len(r.view.labels) == 0 && !needsObjects(r.view.stacks, r.sight.cluster)
}

// needsObjects reports whether stacks want networks, configs or secrets that were not
// there at the last look.
func needsObjects(stacks []kargo.Stack, seen kargo.Cluster) bool {
	there := map[kargo.ObjectKey]bool{}
	for _, network := range seen.Networks {
		there[kargo.ObjectKey{Kind: kargo.KindNetwork, Name: network.Name}] = true
	}
	for _, config := range seen.Configs {
		there[kargo.ObjectKey{Kind: config.Kind(), Name: config.Name}] = true
	}
	return slices.ContainsFunc(stacks, func(stack kargo.Stack) bool {
		return slices.ContainsFunc(stack.Networks, func(n kargo.Network) bool {
			return !there[kargo.ObjectKey{Kind: kargo.KindNetwork, Name: n.Name}]
		}) || slices.ContainsFunc(stack.Configs, func(c kargo.Config) bool {
			return !there[kargo.ObjectKey{Kind: c.Kind(), Name: c.Name}]
		})
	})
}

// planUpdates looks at the services alone, and plans. It reports whether that is enough:
// the plan only updates services, with networks, configs and secrets that they have
// already. Swarm keeps these as long as a service has them, so it does not matter that
// they were read earlier.
func (r *Reconciler) planUpdates(ctx context.Context) (next kargo.Plan, enough bool, err error) {
	if err := r.sight.lookAtServices(ctx); err != nil {
		return kargo.Plan{}, false, err
	}
	if slices.ContainsFunc(r.sight.cluster.Services, kargo.LiveService.ShortOfTasks) {
		return kargo.Plan{}, false, nil // what their tasks say belongs to a look
	}
	r.sight.placing = nil
	r.rollouts().discount(r.sight.unseen)
	r.rollouts().judge(ctx)
	if next, err = r.planResolved(ctx); err != nil || passing(next) || !onlyUpdates(next, r.sight.cluster.Services) {
		return next, false, err
	}
	r.sight.current = r.sight.looked
	r.warn(ctx, &next)
	return next, true, nil
}

// onlyUpdates reports whether a plan only updates services, and refers to nothing that
// these do not refer to already.
func onlyUpdates(next kargo.Plan, services []kargo.LiveService) bool {
	index := plan.NewIndex(kargo.Cluster{Services: services})
	return !slices.ContainsFunc(next.Changes, func(change kargo.Change) bool {
		if change.Kind != kargo.KindService || change.Action != kargo.Update {
			return true
		}
		running, _ := index.Service(change.Name)
		has := kargo.References(running.Spec)
		return slices.ContainsFunc(kargo.References(*change.Service), func(name string) bool { return !slices.Contains(has, name) })
	})
}

// lookAtServices reads the services only, with one call: those of the names, or all if
// there are none.
func (s *sight) lookAtServices(ctx context.Context, only ...string) error {
	services, err := measured(s.parts, "observe", func() ([]kargo.LiveService, error) { return s.parts.Swarm.Services(ctx, only...) })
	if err != nil {
		return fmt.Errorf("look at services: %w", err)
	}
	if len(only) > 0 {
		services = replaced(s.cluster.Services, only, services)
	}
	s.cluster.Services, s.cluster.Tasks, s.cluster.TasksKnown = services, nil, false
	s.see(time.Now())
	return nil
}

// has reports whether an object of this instance was there at the last look. Objects other
// than services were, if the last look at everything showed them.
func (s *sight) has(key kargo.ObjectKey) bool {
	owns := func(labels map[string]string) bool { return labels[kargo.LabelInstance] == s.parts.Behavior.Instance }
	switch key.Kind {
	case kargo.KindService:
		return slices.ContainsFunc(s.cluster.Services, func(l kargo.LiveService) bool { return l.Name == key.Name && owns(l.Spec.Labels) })
	case kargo.KindNetwork:
		return slices.ContainsFunc(s.cluster.Networks, func(l kargo.LiveNetwork) bool { return l.Name == key.Name && owns(l.Labels) })
	case kargo.KindConfig, kargo.KindSecret:
		return slices.ContainsFunc(s.cluster.Configs, func(l kargo.LiveConfig) bool { return l.Key() == key && owns(l.Labels) })
	case kargo.KindNode:
	}
	return false
}

// replaced returns services with those of some names replaced by what was read of these.
func replaced(services []kargo.LiveService, names []string, read []kargo.LiveService) []kargo.LiveService {
	others := slices.DeleteFunc(slices.Clone(services), func(s kargo.LiveService) bool {
		_, named := slices.BinarySearch(names, s.Name)
		return named
	})
	return slices.SortedFunc(slices.Values(append(others, read...)), func(a, b kargo.LiveService) int { return strings.Compare(a.Name, b.Name) })
}

// lookAtEverything reads all objects with observe. If stacks are removed, it also reads
// all tasks, because the services are removed before their tasks.
func (s *sight) lookAtEverything(ctx context.Context, observe func(context.Context) (kargo.Cluster, error), labelsWanted, removing bool) error {
	cluster, err := measured(s.parts, "observe", func() (kargo.Cluster, error) { return observe(ctx) })
	if err != nil {
		return fmt.Errorf("look at swarm: %w", err)
	}
	if removing {
		cluster.Nodes = nil // their labels stay as they are
	} else if err := s.addNodes(ctx, &cluster, labelsWanted); err != nil {
		return fmt.Errorf("look at nodes: %w", err)
	}
	if removing && !cluster.TasksKnown {
		tasks, err := s.parts.Swarm.Tasks(ctx)
		if err != nil {
			return fmt.Errorf("look at tasks: %w", err)
		}
		cluster.Tasks, cluster.TasksKnown = slices.DeleteFunc(tasks, kargo.Task.Ended), true
	}
	s.cluster, s.placing, s.verified, s.created = cluster, cluster.Nodes, time.Now(), false
	s.current = s.verified
	s.see(s.verified)
	return nil
}

// addNodes reads the nodes where their labels matter and the look has not read them:
// where a variable wants some, where this instance has left some, and once in a process
// to find that out.
func (s *sight) addNodes(ctx context.Context, cluster *kargo.Cluster, wanted bool) error {
	if s.unlabelled && !wanted {
		return nil
	}
	if cluster.Nodes == nil {
		nodes, err := s.parts.Swarm.Nodes(ctx)
		if err != nil && !wanted {
			// A proxy before Docker's socket may not let it through.
			s.parts.Log.Debug("cannot look for labels of nodes", "error", err)
			return nil
		}
		if err != nil {
			return err
		}
		cluster.Nodes = nodes
	}
	s.unlabelled = !plan.OwnsLabels(cluster.Nodes, s.parts.Behavior.Instance)
	return nil
}

// warn adds to a plan what the nodes say of it: which services no node can run now.
// Nodes are read for that only where a service waits, or will wait, for one that is
// as it asks, and where no full look has read them.
func (r *Reconciler) warn(ctx context.Context, next *kargo.Plan) {
	waiting := plan.Placements(r.view.stacks, r.sight.cluster, *next)
	if len(waiting) == 0 {
		return
	}
	if r.sight.placing == nil {
		nodes, err := r.parts.Swarm.Nodes(ctx)
		if err != nil {
			// A proxy before Docker's socket may not let it through.
			r.parts.Log.Debug("cannot see whether a node can run the tasks", "error", err)
			return
		}
		r.sight.placing = nodes
	}
	next.Warnings = plan.Unplaceable(waiting, r.sight.placing, r.view.mask(), r.parts.Compiler.Satisfies)
}

// add adds the networks, configs and secrets that changes have created to what was seen.
func (s *sight) add(changes []kargo.Change) {
	var networks []kargo.LiveNetwork
	var configs []kargo.LiveConfig
	for _, change := range changes {
		switch {
		case change.Action != kargo.Create:
		case change.Network != nil:
			networks = append(networks, kargo.LiveNetwork{
				Name: change.Name, Driver: cmp.Or(change.Network.Driver, "overlay"), Attachable: change.Network.Attachable,
				Internal: change.Network.Internal, Subnets: change.Network.Subnets(), Labels: change.Network.Labels, Created: time.Now(),
			})
		case change.Config != nil:
			config := kargo.LiveConfig{Name: change.Name, Secret: change.Config.Secret, Labels: change.Config.Labels}
			if !config.Secret {
				config.Digest = kargo.ContentDigest(change.Config.Driver, change.Config.Data)
			}
			configs = append(configs, config)
		}
	}
	if len(networks)+len(configs) == 0 {
		return
	}
	s.created = true
	s.cluster.Networks = slices.SortedStableFunc(slices.Values(slices.Concat(s.cluster.Networks, networks)), func(a, b kargo.LiveNetwork) int { return strings.Compare(a.Name, b.Name) })
	s.cluster.Configs = slices.SortedStableFunc(slices.Values(slices.Concat(s.cluster.Configs, configs)), func(a, b kargo.LiveConfig) int { return strings.Compare(a.Name, b.Name) })
}

// noteVerified keeps when each stack was last found as it is wanted.
func (s *sight) noteVerified(stacks []kargo.Stack, next kargo.Plan, at time.Time) {
	verified, remaining := map[string]time.Time{}, restOf(next)
	for _, stack := range stacks {
		verified[stack.Name] = s.verifiedStacks[stack.Name]
		if remaining.inSync(stack.Name) {
			verified[stack.Name] = at
		}
	}
	s.verifiedStacks = verified
}

// makePlan plans with what was seen last.
func (r *Reconciler) makePlan() (kargo.Plan, error) {
	var err error
	if r.memory.Approved, err = r.parts.Store.Approved(time.Now()); err != nil {
		return kargo.Plan{}, err
	}
	r.readGood()
	r.decisions().readKept()
	options := r.planOptions()
	next, err := measured(r.parts, "plan", func() (kargo.Plan, error) {
		return plan.Make(r.view.stacks, r.sight.cluster, options), nil
	})
	if err == nil && r.selection.isAll() {
		r.memory.TooMany = next.TooMany
	}
	return next, err
}

// planOptions returns the options of a plan with what is remembered now.
func (r *Reconciler) planOptions() plan.Options {
	var order []string
	if !r.selection.isAll() {
		order = r.view.workspace.StackNames()
	}
	behavior := r.parts.Behavior
	var whole compile.Desired
	if r.view.whole != nil {
		whole = *r.view.whole
	}
	return plan.Options{
		Refuses:     r.parts.Compiler.Refuses(behavior.Instance, whole, r.sight.cluster),
		Instance:    behavior.Instance,
		Revision:    r.view.revision(),
		Now:         time.Now(),
		Only:        r.selection.only,
		Order:       order,
		Governor:    behavior.Governor,
		Labels:      r.view.labels,
		Credentials: r.sight.credentials(),
		Mask:        r.view.mask(),
		Keys:        r.view.keys(),
		Memory:      r.memory,
		Comparisons: r.compared,
	}
}

// standIns returns what should run now.
func (r *Reconciler) standIns() plan.StandIns {
	r.readGood()
	r.decisions().readKept()
	in := plan.StandIn(r.view.stacks, r.memory)
	for name, reason := range in.Unusable {
		r.parts.Log.Warn("the last good rendering cannot be used: "+reason, "stack", name)
	}
	return in
}

// readGood reads the last good renderings that stand in for others.
func (r *Reconciler) readGood() {
	r.memory.Good = map[string]kargo.Stack{}
	for _, name := range plan.NeedGood(r.view.stacks, r.memory) {
		good, err := r.parts.Store.Rendering(name, r.memory.Rollouts[name].Good)
		switch {
		case err != nil:
			r.parts.Log.Warn("cannot read the last good rendering", "stack", name, "error", err)
		case good != nil:
			r.memory.Good[name] = *good
		}
	}
}

// passing reports whether a plan holds anything that lifts by itself.
func passing(p kargo.Plan) bool {
	return slices.ContainsFunc(p.Held, func(h kargo.Hold) bool { return h.Until == kargo.UntilSettled })
}
