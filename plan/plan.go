package plan

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"kargo"
)

// Options are the inputs of a plan beside the desired stacks and the live objects.
type Options struct {
	// Instance is the name under which this controller owns objects.
	Instance string
	// Revision is the one that the desired stacks were rendered from.
	Revision kargo.Revision
	// Now is the time at which the plan is made.
	Now time.Time
	// Only limits the plan to the stacks that a person named, if it is not nil:
	// others are neither changed nor removed. A named stack that is not desired
	// is removed, without further approval.
	Only []string
	// Order has the names of all stacks in the order of STACKS. It may be nil
	// where desired has all of them. Stacks are removed in reverse order, because
	// a later one may need an earlier one.
	Order []string
	// Governor bounds removals; nil means DefaultGovernor.
	Governor *Governor
	// Labels are those that nodes should have.
	Labels []kargo.NodeLabels
	// Credentials has, by service name, the credential that an update of the
	// service would send now. Credentials that are not known are left out.
	Credentials map[string]kargo.Credential
	// Mask hides secrets in reasons.
	Mask kargo.Mask
	// Keys are those of the digests that the plan makes.
	Keys kargo.Keys
	// Refuses returns why the operator does not permit a change, nothing where he
	// does; nil permits everything. The stack is the one that should run, the zero
	// stack for what belongs to none.
	Refuses func(kargo.Stack, kargo.Change) []string
	// Memory is what earlier rounds left.
	Memory Memory
	// Comparisons has those of earlier plans; nil if all are to be made. The plan is the
	// same.
	Comparisons *Comparisons
}

// Make returns the plan that turns the live objects into the desired stacks, which
// are in the order of STACKS. In place of a rendering that failed it takes what
// StandIn returns.
//
// If desired is empty, the plan is to remove everything, and held. Callers must
// not pass an empty list because something could not be read.
//
// plan.Unresolved names images whose registries were not asked yet. Ask them, put
// the answers into opts.Memory.Resolved, and call Make again before the plan is
// carried out.
func Make(desired []kargo.Stack, live kargo.Cluster, opts Options) kargo.Plan {
	opts.Comparisons.next()
	m := newMaker(StandIn(desired, opts.Memory), live, opts)
	plan := m.make()
	if approved := opts.Memory.Approved; approved != "" && approved == plan.ID() {
		m.approved = true
		return m.make()
	}
	if opts.Only == nil {
		plan.TooMany = slices.Sorted(maps.Keys(m.tooManyRemovals()))
	}
	return plan
}

// maker has the arguments of Make, indexed. Its methods return decisions and do not
// change it. There are many of them, because every decision reads several fields.
type maker struct {
	Options
	approved  bool
	desired   []kargo.Stack         // those that should run
	standIns  map[string]kargo.Hold // as in StandIns.Holds
	frozen    map[string]string     // as in StandIns.Frozen
	images    map[string]kargo.Image
	positions map[string]int
	live      kargo.Cluster
	owned     []ownedService               // the services of this instance
	taken     map[string]kargo.LiveService // services of wanted names that are not this instance's
	others    strangers                    // what else is not this instance's
	index     Index
	networks  map[string]kargo.LiveNetwork
	configs   map[kargo.ObjectKey]kargo.LiveConfig
	wanted    map[string]bool // service names
	stackAt   map[string]int  // in desired, by name
	// renamedAway says, by the name of a stack that is no longer wanted, why it
	// stays: a wanted one seems to be the same.
	renamedAway map[string]string
	namespaces  func() map[string]bool // names of stacks that Swarm has anything of
}

func newMaker(in StandIns, live kargo.Cluster, opts Options) maker {
	m := maker{
		Options: opts, desired: in.Stacks, live: live,
		standIns: in.Holds, frozen: in.Frozen,
		images: opts.Memory.images(opts.Revision), positions: opts.Memory.positions(opts.Order),
		index:    NewIndex(live),
		networks: make(map[string]kargo.LiveNetwork, len(live.Networks)),
		configs:  make(map[kargo.ObjectKey]kargo.LiveConfig, len(live.Configs)),
		wanted:   make(map[string]bool, len(live.Services)),
		stackAt:  make(map[string]int, len(in.Stacks)),
	}
	for _, network := range live.Networks {
		if swarmWide := m.networks[network.Name]; !network.Local || swarmWide.ID == "" {
			m.networks[network.Name] = network
		}
	}
	for _, config := range live.Configs {
		m.configs[config.Key()] = config
	}
	for i, stack := range in.Stacks {
		m.stackAt[stack.Name] = i
		for _, service := range stack.Services {
			m.wanted[service.Name] = true
		}
	}
	m.byOwner()
	m.renamedAway = m.holdRenames()
	m.namespaces = sync.OnceValue(func() map[string]bool { return namespacesIn(live) })
	return m
}

// make decides first what each stack wants and what nobody wants any more. Then it
// puts the changes in the order that the package comment explains, and holds those
// that must wait for others.
func (m maker) make() kargo.Plan {
	perStack := make([]stackPlan, len(m.desired))
	for i, stack := range m.desired {
		perStack[i] = m.stack(stack)
	}
	removed, heldRemovals := m.serviceRemovals()
	early, late := splitByPorts(removed, m.index, perStack)

	plan := kargo.Plan{Revision: m.Revision, Unresolved: unresolved(perStack), Unchanged: unchangedServices(perStack)}
	add := func(changes []kargo.Change, holds []kargo.Hold) {
		plan.Changes = append(plan.Changes, changes...)
		plan.Held = append(plan.Held, holds...)
	}
	nodes := m.nodeLabels()
	add(nodes.changes(), nodes.holds())
	add(m.sharedNetworks(), nil)
	add(early, nil)
	for i, stack := range m.desired {
		perStack[i].changes, perStack[i].holds = m.afterNeeds(stack, perStack[i], perStack)
		add(perStack[i].changes, perStack[i].holds)
	}
	add(late, heldRemovals)
	add(nil, m.endingTasks())
	add(m.objectRemovals(m.usage(removed)))
	var waiting, refused, stopped []kargo.Hold
	plan.Changes, waiting = m.inTurn(plan.Changes)
	plan.Changes, refused = m.permitted(plan.Changes)
	plan.Changes, stopped = m.stopped(plan.Changes)
	plan.Changes = m.ownLast(plan.Changes)
	plan.Held = slices.Concat(plan.Held, waiting, refused, stopped)
	return plan
}

// concerns reports whether the plan may touch a stack.
func (m maker) concerns(stack string) bool { return m.Only == nil || slices.Contains(m.Only, stack) }

// owns reports whether labels say that this instance made the object.
func (m maker) owns(labels map[string]string) bool {
	return labels[kargo.LabelInstance] == m.Instance
}

// stackPlan is what one stack wants, before it waits for other stacks.
type stackPlan struct {
	changes []kargo.Change
	holds   []kargo.Hold
	// unresolved has the images that are new to their services and whose
	// registries were not asked yet.
	unresolved []string
	// unchanged has the names of the services that run as they should.
	unchanged []string
}

func unresolved(stacks []stackPlan) []string {
	var images []string
	for _, stack := range stacks {
		images = append(images, stack.unresolved...)
	}
	slices.Sort(images)
	return slices.Compact(images)
}

func unchangedServices(stacks []stackPlan) []string {
	var services []string
	for _, stack := range stacks {
		services = append(services, stack.unchanged...)
	}
	slices.Sort(services)
	return services
}

// liftedBy returns what a stack waits for that waits for this one: what is under way
// here, or else what lifts the first hold.
func (p stackPlan) liftedBy() kargo.Until {
	passing := func(h kargo.Hold) bool { return h.Until == kargo.UntilSettled }
	if len(p.changes) > 0 || slices.ContainsFunc(p.holds, passing) {
		return kargo.UntilSettled
	}
	return p.holds[0].Until
}

// stack decides on one stack. One obstacle holds the whole stack: to change half of
// a stack is worse than to leave all of it as it is.
func (m maker) stack(stack kargo.Stack) stackPlan {
	if reason, frozen := m.frozen[stack.Name]; frozen {
		return stackPlan{holds: []kargo.Hold{
			{Stack: stack.Name, Name: stack.Name, Reason: m.Mask.Text(reason), Until: liftedBy(m.Memory.Rollouts[stack.Name].Failed)},
		}}
	}
	if reason := m.nothingToAdopt(stack); reason != "" {
		return stackPlan{holds: []kargo.Hold{{Stack: stack.Name, Name: stack.Name, Reason: reason, Until: kargo.UntilRevision}}}
	}
	standIn := m.standIn(stack)
	objects := m.objects(stack)
	if obstacles := m.obstacles(stack, objects); len(obstacles) > 0 {
		return stackPlan{holds: append(standIn, obstacles...)}
	}
	if recreation := m.recreateNetworks(stack); len(recreation) > 0 {
		return stackPlan{changes: recreation.changes(), holds: append(standIn, recreation.holds()...)}
	}
	services := m.stackServices(stack)
	p := stackPlan{unresolved: services.unresolved, unchanged: services.unchanged}
	if failed := failedHolds(services.holds()); len(failed) > 0 {
		p.holds = append(standIn, failed...) // what the rest waits for does not matter
		return p
	}
	p.changes = slices.Concat(objects.networks.changes(), objects.neededBy(services.changes()), services.changes())
	p.holds = append(standIn, services.holds()...)
	return m.untilApproved(stack, m.withoutRefused(p))
}

// failedHolds returns the holds that want what is not available.
func failedHolds(holds []kargo.Hold) []kargo.Hold {
	return slices.DeleteFunc(holds, func(h kargo.Hold) bool { return !h.Failed })
}

// standIn returns the hold which says that the last good rendering runs, if it does.
func (m maker) standIn(stack kargo.Stack) []kargo.Hold {
	hold, standsIn := m.standIns[stack.Name]
	if !standsIn {
		return nil
	}
	hold.Reason = m.Mask.Text(hold.Reason)
	return []kargo.Hold{hold}
}

// withoutRefused holds the first change of a stack that Docker refused before, and
// drops the changes after it: they may depend on it.
func (m maker) withoutRefused(p stackPlan) stackPlan {
	for i, change := range p.changes {
		refusal, refused := m.Memory.Refused[change.Key()]
		if !refused || refusal.Digest != change.Digest {
			continue
		}
		p.changes = p.changes[:i]
		p.holds = append(p.holds, kargo.Hold{
			Kind: change.Kind, Stack: change.Stack, Name: change.Name,
			Reason: "Docker refuses it: " + m.Mask.Text(refusal.Words) + "; waits for another revision",
			Until:  kargo.UntilRevision,
		})
		break
	}
	return p
}

// afterNeeds holds the changes of a stack until the stacks that it needs have
// nothing to change and are healthy.
func (m maker) afterNeeds(stack kargo.Stack, p stackPlan, all []stackPlan) ([]kargo.Change, []kargo.Hold) {
	if len(p.changes) == 0 {
		return p.changes, p.holds
	}
	for _, need := range stack.Needs {
		at, wanted := m.stackAt[need]
		if !wanted {
			continue // render refuses unknown needs; a named subset may lack them
		}
		reason, until := "", kargo.UntilSettled
		standIn, stoodIn := m.standIns[need]
		switch health, words := StackHealth(m.desired[at], m.index); {
		case stoodIn:
			reason, until = "waits for stack "+need+", whose rendering failed", standIn.Until
		case m.frozen[need] != "":
			reason, until = "waits for stack "+need+", whose rendering failed", liftedBy(m.Memory.Rollouts[need].Failed)
		case len(all[at].changes)+len(all[at].holds) > 0:
			reason, until = "waits for stack "+need, all[at].liftedBy()
		case health != kargo.HealthHealthy:
			reason = fmt.Sprintf("waits for stack %s, which is %s", need, health)
			if words != "" {
				reason += " (" + m.Mask.Text(words) + ")"
			}
		}
		if reason != "" {
			hold := kargo.Hold{Stack: stack.Name, Name: stack.Name, Reason: reason, Until: until}
			return nil, append(slices.Clone(p.holds), hold)
		}
	}
	return p.changes, p.holds
}
