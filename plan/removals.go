package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

const notWanted = "no longer in the workspace"

// serviceRemovals returns the removals of the services of this instance that nobody
// wants any more, the last stack first, and the holds of those that the governor
// does not allow.
func (m maker) serviceRemovals() ([]kargo.Change, []kargo.Hold) {
	held := m.heldRemovals()
	var changes []kargo.Change
	for _, service := range m.unwanted() {
		if m.concerns(service.stack) && held[service.stack] == "" {
			changes = append(changes, kargo.RemoveService(service.stack, *service.LiveService, m.whyRemoved(service.stack)))
		}
	}
	slices.SortFunc(changes, func(a, b kargo.Change) int {
		return cmp.Or(
			cmp.Compare(m.positions[b.Stack], m.positions[a.Stack]),
			strings.Compare(b.Stack, a.Stack), strings.Compare(b.Name, a.Name))
	})
	return changes, governorHolds(held)
}

func (m maker) whyRemoved(stack string) string {
	if _, wanted := m.stackAt[stack]; m.Only != nil && !wanted {
		return "stack " + stack + " is to be removed, as asked"
	}
	return notWanted
}

// endingTasks returns a hold for each stack that a person asked to remove and that
// has tasks which have not ended: what is started next may need their ports and
// files.
func (m maker) endingTasks() (holds []kargo.Hold) {
	for _, stack := range m.Only {
		if _, wanted := m.stackAt[stack]; wanted {
			continue
		}
		left := lastTasks{}
		namespaces := m.namespacesOf(stack)
		for _, task := range m.live.Tasks {
			if _, alive := m.index.Service(task.Service); !alive && slices.Contains(namespaces, task.Namespace) {
				left.add(task)
			}
		}
		if left.awaited > 0 {
			holds = append(holds, kargo.Hold{Stack: stack, Name: stack, Until: kargo.UntilSettled,
				Reason: fmt.Sprintf("%d of its tasks have not ended yet%s", left.awaited, lostWords("not waited for", left.down))})
		}
	}
	return holds
}

// lastTasks counts the tasks of a stack whose services are removed.
type lastTasks struct {
	awaited int
	// down has the number of tasks by the name of their node, which is down: Swarm
	// does not learn that they end, so nobody waits for them.
	down map[string]uint64
}

func (l *lastTasks) add(task kargo.Task) {
	if task.NodeDown == "" {
		l.awaited++
		return
	}
	if l.down == nil {
		l.down = map[string]uint64{}
	}
	l.down[task.NodeDown]++
}

// namespacesOf returns the names in Swarm that a stack has which is not wanted:
// those of its objects that exist, or those that it may have had.
func (m maker) namespacesOf(stack string) []string {
	var namespaces []string
	add := func(labels map[string]string) {
		if m.owns(labels) && labels[kargo.LabelStack] == stack {
			namespaces = append(namespaces, kargo.NamespaceOf(labels))
		}
	}
	for _, service := range m.live.Services {
		add(service.Spec.Labels)
	}
	for _, network := range m.live.Networks {
		add(network.Labels)
	}
	for _, config := range m.live.Configs {
		add(config.Labels)
	}
	if len(namespaces) == 0 {
		return []string{kargo.StackPrefix + stack, stack}
	}
	return namespaces
}

// usage has the objects that are still needed, and the stacks whose tasks are
// ending.
type usage struct {
	networks map[string]bool
	configs  map[kargo.ObjectKey]bool
	// ending has the tasks whose service no longer exists, and services that this plan
	// removes, by namespace.
	ending map[string]*lastTasks
}

func (u usage) add(spec *swarm.ServiceSpec) {
	if spec == nil {
		return
	}
	for _, name := range networkNames(*spec) {
		u.networks[name] = true
	}
	for key := range references(*spec) {
		u.configs[key] = true
	}
}

func (u usage) endingIn(namespace string) *lastTasks {
	if u.ending[namespace] == nil {
		u.ending[namespace] = &lastTasks{}
	}
	return u.ending[namespace]
}

// usage returns what services that stay use, also those that are not Kargo's: in
// the spec that runs and in the one that a rollback returns to. Swarm protects only
// what the first uses. What a desired stack wants counts as used as well, because a
// held service will need it.
func (m maker) usage(removals []kargo.Change) usage {
	u := usage{map[string]bool{}, map[kargo.ObjectKey]bool{}, map[string]*lastTasks{}}
	for _, stack := range m.desired {
		for _, network := range stack.Networks {
			u.networks[network.Name] = !m.toRecreate(stack, network)
		}
		for _, config := range stack.Configs {
			u.configs[config.Key()] = true
		}
	}
	leaving := map[string]bool{}
	for _, removal := range removals {
		leaving[removal.Name] = true
	}
	for _, service := range m.live.Services {
		if leaving[service.Name] {
			u.endingIn(kargo.NamespaceOf(service.Spec.Labels)).awaited++
		} else {
			u.add(&service.Spec)
			u.add(service.Previous)
		}
	}
	for _, task := range m.live.Tasks {
		if _, alive := m.index.Service(task.Service); !alive {
			u.endingIn(task.Namespace).add(task)
		}
	}
	return u
}

// objectRemovals returns the removals of the networks, and then of the configs
// and secrets, of this instance that nothing uses any more. They wait for the
// last task to end, but for none on a node that is down.
func (m maker) objectRemovals(u usage) (changes []kargo.Change, holds []kargo.Hold) {
	last := map[kargo.ObjectKey]lastTasks{}
	for _, network := range m.live.Networks {
		if stack := network.Labels[kargo.LabelStack]; m.mayRemove(network.Labels) && !u.networks[network.Name] {
			removal := kargo.RemoveNetwork(stack, network, "no longer used")
			last[removal.Key()] = *u.endingIn(kargo.NamespaceOf(network.Labels))
			changes = append(changes, removal)
		}
	}
	for _, config := range m.live.Configs {
		if stack := config.Labels[kargo.LabelStack]; m.mayRemove(config.Labels) && !u.configs[config.Key()] {
			removal := kargo.RemoveConfig(stack, config, "no longer used")
			last[removal.Key()] = *u.endingIn(kargo.NamespaceOf(config.Labels))
			changes = append(changes, removal)
		}
	}
	changes = slices.DeleteFunc(changes, func(removal kargo.Change) bool {
		hold := kargo.Hold{Kind: removal.Kind, Stack: removal.Stack, Name: removal.Name}
		refusal, refused := m.Memory.Refused[removal.Key()]
		tasks := last[removal.Key()]
		switch {
		case !m.live.TasksKnown, tasks.awaited > 0:
			hold.Reason, hold.Until = "its removal waits for the last task to end"+lostWords("not waited for", tasks.down), kargo.UntilSettled
		case refused:
			hold.Reason, hold.Until = "its removal waits: "+m.Mask.Text(refusal.Words), refusal.Until
		default:
			return false
		}
		holds = append(holds, hold)
		return true
	})
	slices.SortFunc(changes, func(a, b kargo.Change) int {
		return cmp.Or(cmp.Compare(slices.Index(removalOrder, a.Kind), slices.Index(removalOrder, b.Kind)), strings.Compare(a.Name, b.Name))
	})
	sortHolds(holds)
	return changes, holds
}

// mayRemove reports whether an object with these labels is removed once nothing
// uses it: this instance created it, for a stack that the plan may touch. Networks
// that stacks share belong to no stack and stay.
func (m maker) mayRemove(labels map[string]string) bool {
	return m.owns(labels) && labels[kargo.LabelStack] != "" && m.concerns(labels[kargo.LabelStack])
}

// removalOrder has the kinds in the order of their removal. Nodes are never removed.
var removalOrder = []kargo.Kind{kargo.KindService, kargo.KindNetwork, kargo.KindConfig, kargo.KindSecret}
