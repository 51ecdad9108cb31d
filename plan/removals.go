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

// serviceRemovals are the services of this instance that nobody wants any
// more, last stack first, less those the governor holds.
func (m maker) serviceRemovals() ([]kargo.Change, []kargo.Hold) {
	held := m.heldRemovals()
	var changes []kargo.Change
	for _, service := range m.live.Services {
		stack := service.Spec.Labels[kargo.LabelStack]
		if !m.owns(service.Spec.Labels) || !m.concerns(stack) || m.wanted[service.Name] || held[stack] != "" {
			continue
		}
		changes = append(changes, kargo.Change{
			Action: kargo.Remove, Kind: kargo.KindService, Stack: stack, Name: service.Name,
			Reason: m.whyRemoved(stack), ID: service.ID, Version: service.Version,
		})
	}
	slices.SortFunc(changes, func(a, b kargo.Change) int {
		return cmp.Or(
			cmp.Compare(m.positions[b.Stack], m.positions[a.Stack]),
			strings.Compare(b.Stack, a.Stack), strings.Compare(b.Name, a.Name))
	})
	return changes, governorHolds(held)
}

func (m maker) whyRemoved(stack string) string {
	if m.Only != nil && !slices.ContainsFunc(m.desired, func(s kargo.Stack) bool { return s.Name == stack }) {
		return "stack " + stack + " was named to be removed"
	}
	return notWanted
}

// endingTasks holds the end of a removal that a person asked for until the last
// task has ended: what comes next may want its ports and its files.
func (m maker) endingTasks() (holds []kargo.Hold) {
	for _, stack := range m.Only {
		if slices.ContainsFunc(m.desired, func(s kargo.Stack) bool { return s.Name == stack }) {
			continue
		}
		count := 0
		for _, task := range m.live.Tasks {
			if _, alive := m.services[task.Service]; !alive && task.Namespace == kargo.StackPrefix+stack {
				count++
			}
		}
		if count > 0 {
			holds = append(holds, kargo.Hold{Stack: stack, Name: stack, Passing: true,
				Reason: fmt.Sprintf("%d of its tasks have not ended yet", count)})
		}
	}
	return holds
}

// Ended tells whether a task has come to its end, one way or another.
func Ended(task kargo.Task) bool {
	switch swarm.TaskState(task.State) {
	case swarm.TaskStateComplete, swarm.TaskStateShutdown, swarm.TaskStateFailed,
		swarm.TaskStateRejected, swarm.TaskStateRemove, swarm.TaskStateOrphaned:
		return true
	}
	return false
}

// splitByPorts tells the removals that must come first, because a wanted
// service is about to publish a port they still hold, from the rest.
func splitByPorts(removals []kargo.Change, live map[string]kargo.LiveService, stacks []stackPlan) (early, late []kargo.Change) {
	needed := map[string]bool{}
	for _, stack := range stacks {
		for _, change := range stack.changes {
			if change.Service != nil {
				for _, port := range publishedPorts(*change.Service) {
					needed[port] = true
				}
			}
		}
	}
	for _, removal := range removals {
		ports := publishedPorts(live[removal.Name].Spec)
		if slices.ContainsFunc(ports, func(port string) bool { return needed[port] }) {
			early = append(early, removal)
		} else {
			late = append(late, removal)
		}
	}
	return early, late
}

func publishedPorts(spec swarm.ServiceSpec) []string {
	var ports []string
	if spec.EndpointSpec != nil {
		for _, port := range spec.EndpointSpec.Ports {
			if port.PublishedPort != 0 {
				protocol := cmp.Or(port.Protocol, swarm.PortConfigProtocolTCP) // as the daemon fills it in
				ports = append(ports, fmt.Sprintf("%s/%d", protocol, port.PublishedPort))
			}
		}
	}
	return ports
}

// usage says what still needs the things that are to go: services that stay,
// and tasks and services that are on their way out.
type usage struct {
	networks map[string]bool
	configs  map[configKey]bool
	// ending has the namespaces of tasks whose service is gone, and of
	// services that this plan removes.
	ending map[string]bool
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

// usage is what the services that stay, theirs and foreign ones, mention in
// the spec they run or in the one a rollback would return to. Swarm guards the
// first only (swarm-facts A5). What a stack wants is used, too: a held service
// will need it.
func (m maker) usage(removals []kargo.Change) usage {
	u := usage{map[string]bool{}, map[configKey]bool{}, map[string]bool{}}
	for _, stack := range m.desired {
		for _, network := range stack.Networks {
			u.networks[network.Name] = !m.differs(network) || !stack.Options.Recreate
		}
		for _, config := range stack.Configs {
			u.configs[configKey{config.Secret, config.Name}] = true
		}
	}
	leaving := map[string]bool{}
	for _, removal := range removals {
		leaving[removal.Name] = true
		u.ending[kargo.StackPrefix+removal.Stack] = true
	}
	for _, service := range m.live.Services {
		if !leaving[service.Name] {
			u.add(&service.Spec)
			u.add(service.Previous)
		}
	}
	for _, task := range m.live.Tasks {
		if _, alive := m.services[task.Service]; !alive {
			u.ending[task.Namespace] = true
		}
	}
	return u
}

// objectRemovals are the networks, and then the configs and secrets, of this
// instance that nothing uses any more. They wait for the last task to end.
func (m maker) objectRemovals(u usage) (changes []kargo.Change, holds []kargo.Hold) {
	remove := func(kind kargo.Kind, name, id string, version uint64, labels map[string]string) {
		stack := labels[kargo.LabelStack]
		if u.ending[kargo.StackPrefix+stack] || !m.live.TasksKnown {
			holds = append(holds, kargo.Hold{
				Kind: kind, Stack: stack, Name: name,
				Reason: "its removal waits for the last task to end", Passing: true,
			})
			return
		}
		changes = append(changes, kargo.Change{
			Action: kargo.Remove, Kind: kind, Stack: stack, Name: name,
			Reason: "no longer used", ID: id, Version: version,
		})
	}
	for _, network := range m.live.Networks {
		shared := network.Labels[kargo.LabelStack] == ""
		if m.owns(network.Labels) && !shared && m.concerns(network.Labels[kargo.LabelStack]) && !u.networks[network.Name] {
			remove(kargo.KindNetwork, network.Name, network.ID, 0, network.Labels)
		}
	}
	for _, config := range m.live.Configs {
		if m.owns(config.Labels) && config.Labels[kargo.LabelStack] != "" && m.concerns(config.Labels[kargo.LabelStack]) && !u.configs[configKey{config.Secret, config.Name}] {
			remove(config.Kind(), config.Name, config.ID, config.Version, config.Labels)
		}
	}
	slices.SortFunc(changes, func(a, b kargo.Change) int {
		return cmp.Or(cmp.Compare(removalOrder[a.Kind], removalOrder[b.Kind]), strings.Compare(a.Name, b.Name))
	})
	sortHolds(holds)
	return changes, holds
}

var removalOrder = map[kargo.Kind]int{kargo.KindNetwork: 0, kargo.KindConfig: 1, kargo.KindSecret: 2}
