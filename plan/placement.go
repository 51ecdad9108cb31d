package plan

import (
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/go-units"

	"kargo"
)

// Placement is a service whose tasks ask something of a node, and wait for one.
type Placement struct {
	Stack, Service string
	Constraints    []string
	Reserved       swarm.Resources
	global         bool
}

// Placements returns the services of the stacks whose tasks wait, or will wait, for a
// node that is as the service asks: those that the plan sends, those that do not exist
// yet, and those that are short of tasks.
func Placements(stacks []kargo.Stack, live kargo.Cluster, next kargo.Plan) []Placement {
	var placements []Placement
	sent := map[string]*swarm.ServiceSpec{}
	for _, change := range next.Changes {
		if change.Kind == kargo.KindService && change.Service != nil {
			sent[change.Name] = change.Service
		}
	}
	var index *Index
	for _, stack := range stacks {
		for _, service := range stack.Services {
			if _, asks := placementOf(stack.Name, service.Name, service.Spec); !asks && sent[service.Name] == nil {
				continue
			}
			if index == nil {
				made := NewIndex(live)
				index = &made
			}
			spec, waits := sent[service.Name], true
			if spec == nil {
				spec, waits = waitingSpec(service, *index)
			}
			if placement, asks := placementOf(stack.Name, service.Name, *spec); asks && waits {
				placements = append(placements, placement)
			}
		}
	}
	return placements
}

// waitingSpec returns the spec by which Swarm places the tasks of a service that the
// plan does not send, and whether any of its tasks waits.
func waitingSpec(service kargo.Service, index Index) (*swarm.ServiceSpec, bool) {
	running, exists := index.Service(service.Name)
	if !exists {
		return &service.Spec, true
	}
	return &running.Spec, running.Running+running.Completed < running.Desired
}

// placementOf returns what a service asks of a node, and whether it asks anything.
func placementOf(stack, name string, spec swarm.ServiceSpec) (placement Placement, asks bool) {
	placement = Placement{Stack: stack, Service: name, global: spec.Mode.Global != nil || spec.Mode.GlobalJob != nil}
	if spec.TaskTemplate.Placement != nil {
		placement.Constraints = spec.TaskTemplate.Placement.Constraints
	}
	if resources := spec.TaskTemplate.Resources; resources != nil && resources.Reservations != nil {
		placement.Reserved = *resources.Reservations
	}
	return placement, len(placement.Constraints) > 0 || placement.Reserved.MemoryBytes > 0 || placement.Reserved.NanoCPUs > 0
}

// Unplaceable returns a warning for each service that no node can run as the nodes are
// now. Satisfies reports whether a node satisfies constraints, as Swarm decides it. Mask
// hides secrets in the constraints.
func Unplaceable(placements []Placement, nodes []kargo.LiveNode, mask kargo.Mask, satisfies func(kargo.LiveNode, []string) bool) []kargo.Warning {
	var warnings []kargo.Warning
	for _, placement := range placements {
		if reason := placement.obstacle(nodes, satisfies); reason != "" {
			consequence := "its tasks wait until one does"
			if placement.global {
				consequence = "it has no task until one does"
			}
			warnings = append(warnings, kargo.Warning{Stack: placement.Stack, Service: placement.Service, Text: mask.Text(reason) + "; " + consequence})
		}
	}
	return warnings
}

// obstacle returns why no node takes a task of the service; "" if one does. It does not
// say how much of a node other tasks use.
func (p Placement) obstacle(nodes []kargo.LiveNode, satisfies func(kargo.LiveNode, []string) bool) string {
	suited := nodesThat(nodes, func(n kargo.LiveNode) bool { return satisfies(n, p.Constraints) })
	if len(suited) == 0 {
		return "no node of the Swarm satisfies " + p.unsatisfied(nodes, satisfies)
	}
	ready := nodesThat(suited, func(n kargo.LiveNode) bool { takes, _ := n.TakesTasks(); return takes })
	if len(ready) == 0 && len(p.Constraints) == 0 {
		return "no node of the Swarm takes tasks (" + whyNot(suited) + ")"
	}
	if len(ready) == 0 {
		return "no node that satisfies " + quoted(p.Constraints) + " takes tasks (" + whyNot(suited) + ")"
	}
	large := nodesThat(ready, func(n kargo.LiveNode) bool {
		return n.Resources.MemoryBytes >= p.Reserved.MemoryBytes && n.Resources.NanoCPUs >= p.Reserved.NanoCPUs
	})
	if len(large) == 0 {
		return "no suitable node has the " + p.reserved() + " that it reserves"
	}
	return ""
}

func nodesThat(nodes []kargo.LiveNode, suits func(kargo.LiveNode) bool) []kargo.LiveNode {
	var found []kargo.LiveNode
	for _, node := range nodes {
		if suits(node) {
			found = append(found, node)
		}
	}
	return found
}

// unsatisfied returns the constraints that no node satisfies, or else all of them:
// each has a node, but no node has all.
func (p Placement) unsatisfied(nodes []kargo.LiveNode, satisfies func(kargo.LiveNode, []string) bool) string {
	var never []string
	for _, constraint := range p.Constraints {
		alone := []string{constraint}
		if len(nodesThat(nodes, func(n kargo.LiveNode) bool { return satisfies(n, alone) })) == 0 {
			never = append(never, constraint)
		}
	}
	if len(never) > 0 {
		return quoted(never)
	}
	return "all of " + quoted(p.Constraints)
}

func quoted(constraints []string) string {
	var texts []string
	for _, constraint := range constraints {
		texts = append(texts, fmt.Sprintf("%q", constraint))
	}
	return strings.Join(texts, " and ")
}

// mostNodesNamed is how many nodes a warning names.
const mostNodesNamed = 3

// whyNot says of some nodes why each takes no task.
func whyNot(nodes []kargo.LiveNode) string {
	var reasons []string
	for _, node := range nodes[:min(len(nodes), mostNodesNamed)] {
		_, why := node.TakesTasks()
		reasons = append(reasons, node.Hostname+" "+why)
	}
	if more := len(nodes) - len(reasons); more > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(reasons, ", ")
}

// reserved returns what the service reserves, for people: "2 cpus and 64GiB of memory".
func (p Placement) reserved() string {
	var texts []string
	if p.Reserved.NanoCPUs > 0 {
		texts = append(texts, fmt.Sprintf("%g cpus", float64(p.Reserved.NanoCPUs)/1e9))
	}
	if p.Reserved.MemoryBytes > 0 {
		texts = append(texts, units.BytesSize(float64(p.Reserved.MemoryBytes))+" of memory")
	}
	return strings.Join(texts, " and ")
}
