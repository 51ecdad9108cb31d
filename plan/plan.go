package plan

import (
	"fmt"
	"slices"
	"time"

	"kargo"
)

// Options are the inputs of a plan beside what is wanted and what is there.
type Options struct {
	// Instance is the name under which this controller owns objects.
	Instance string
	// Revision is the one that the desired stacks were rendered from.
	Revision kargo.Revision
	// Now is the time at which the plan is made.
	Now time.Time
	// Only bounds the plan to stacks that a person named, if it is not nil:
	// others are neither changed nor removed. Those of them that are not
	// desired leave, and need no further approval.
	Only []string
	// Order has the names of all stacks in the order of STACKS, where desired
	// lacks some of them. Stacks that leave do so in reverse: a later one may
	// need an earlier one.
	Order []string
	// Governor bounds removals; nil means DefaultGovernor.
	Governor *Governor
	// Labels are those that nodes should have.
	Labels []kargo.NodeLabels
	// Credentials are those that are sent with services now, by service name.
	// One that is not known is not in it.
	Credentials map[string]kargo.Credential
	// Mask hides secrets in reasons.
	Mask kargo.Mask
	// Memory is what earlier rounds left.
	Memory Memory
}

// Make returns the plan that turns live into desired. Stacks come in the order
// of STACKS. In the place of a rendering that failed comes what StandIn returns
// for it. An empty desired list is a plan to remove everything and therefore
// held; callers must not pass one because something could not be read.
func Make(desired []kargo.Stack, live kargo.Cluster, opts Options) kargo.Plan {
	m := newMaker(StandIn(desired, opts.Memory), live, opts)
	plan := m.make()
	if approved := opts.Memory.Approved; approved != "" && approved == plan.ID() {
		m.approved = true
		return m.make()
	}
	return plan
}

// maker holds the arguments of Make, indexed. Its methods return decisions; they
// do not change it.
type maker struct {
	Options
	approved  bool
	desired   []kargo.Stack         // those that should run
	standIns  map[string]kargo.Hold // as in StandIns.Holds
	frozen    map[string]string     // as in StandIns.Frozen
	images    map[string]kargo.Image
	positions map[string]int
	live      kargo.Cluster
	index     Index
	networks  map[string]kargo.LiveNetwork
	configs   map[kargo.ObjectKey]kargo.LiveConfig
	wanted    map[string]bool // service names
	stackAt   map[string]int  // in desired, by name
}

func newMaker(in StandIns, live kargo.Cluster, opts Options) maker {
	m := maker{
		Options: opts, desired: in.Stacks, live: live,
		standIns: in.Holds, frozen: in.Frozen,
		images: opts.Memory.images(opts.Revision), positions: opts.Memory.positions(opts.Order),
		index:    NewIndex(live),
		networks: map[string]kargo.LiveNetwork{},
		configs:  map[kargo.ObjectKey]kargo.LiveConfig{},
		wanted:   map[string]bool{},
		stackAt:  map[string]int{},
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
	return m
}

// make decides in this order: what each stack wants by itself, what must wait
// for others, and what nobody wants any more. Then it puts the changes in the
// order that the package comment explains.
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
		add(m.afterNeeds(stack, perStack[i], perStack))
	}
	add(late, heldRemovals)
	add(nil, m.endingTasks())
	add(m.objectRemovals(m.usage(removed)))
	var waiting []kargo.Hold
	plan.Changes, waiting = m.inTurn(plan.Changes)
	plan.Held = append(plan.Held, waiting...)
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
	// unresolved are the images that are new to their services and that no
	// registry was asked for.
	unresolved []string
	// unchanged are the services that run as they should.
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

// stack compares one stack with what runs. An object in the way, or one that
// should exist and does not, holds the stack as a whole: half a stack is worse
// than yesterday's.
func (m maker) stack(stack kargo.Stack) stackPlan {
	if reason, frozen := m.frozen[stack.Name]; frozen {
		return stackPlan{holds: []kargo.Hold{
			{Stack: stack.Name, Name: stack.Name, Reason: m.Mask.Text(reason), Until: kargo.UntilRevision},
		}}
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

// standIn says that another rendering than the wanted one is in force.
func (m maker) standIn(stack kargo.Stack) []kargo.Hold {
	hold, standsIn := m.standIns[stack.Name]
	if !standsIn {
		return nil
	}
	hold.Reason = m.Mask.Text(hold.Reason)
	return []kargo.Hold{hold}
}

// withoutRefused ends a stack's changes at the first one that Docker refused
// before: what comes after it may depend on it.
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

// afterNeeds holds a stack's changes until the stacks it needs have nothing to
// change and have settled.
func (m maker) afterNeeds(stack kargo.Stack, p stackPlan, all []stackPlan) ([]kargo.Change, []kargo.Hold) {
	if len(p.changes) == 0 {
		return p.changes, p.holds
	}
	for _, need := range stack.Needs {
		at, wanted := m.stackAt[need]
		if !wanted {
			continue // render refuses unknown needs; a named subset may lack them
		}
		reason := ""
		_, stoodIn := m.standIns[need]
		switch health, words := StackHealth(m.desired[at], m.index); {
		case stoodIn, m.frozen[need] != "":
			reason = "waits for stack " + need + ", whose rendering failed"
		case len(all[at].changes)+len(all[at].holds) > 0:
			reason = "waits for stack " + need
		case health != kargo.HealthHealthy:
			reason = fmt.Sprintf("waits for stack %s, which is %s", need, health)
			if words != "" {
				reason += " (" + m.Mask.Text(words) + ")"
			}
		}
		if reason != "" {
			hold := kargo.Hold{Stack: stack.Name, Name: stack.Name, Reason: reason, Until: kargo.UntilSettled}
			return nil, append(slices.Clone(p.holds), hold)
		}
	}
	return p.changes, p.holds
}
