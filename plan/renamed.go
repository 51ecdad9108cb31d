package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// A volume has the name of its stack in front. A stack that gets another name in
// Swarm would run on empty volumes beside the filled ones, so that waits for
// approval.

// renamed is a stack that runs under another name than the wanted one.
type renamed struct {
	// from is the stack's name in Swarm now, stack the workspace's own name of it.
	from, stack string
	// volumes are those that the services mount now.
	volumes []string
}

// renames returns the desired stacks that run under another name in Swarm, by
// name: those that have another one now, and those that seem to be one that is
// no longer wanted.
func (m maker) renames() map[string]renamed {
	names := make(map[string]bool, len(m.desired))
	for _, service := range m.owned {
		if service.stack != "" {
			names[service.namespace] = true
		}
	}
	var running map[string][]ownedService
	found := map[string]renamed{}
	for _, stack := range m.desired {
		if names[stack.Namespace()] {
			continue
		}
		if running == nil { // most plans are of stacks that all run
			running = m.ownNamespaces()
		}
		for _, from := range slices.Sorted(maps.Keys(running)) {
			services := running[from]
			old := services[0].stack
			_, wanted := m.stackAt[old]
			if old == stack.Name || !wanted && m.Only == nil && looksLike(stack, from, services) {
				found[stack.Name] = renamed{from: from, stack: old, volumes: volumesOf(from, liveSpecs(services))}
				break
			}
		}
	}
	return found
}

// ownNamespaces returns the services of the stacks of this instance by their stack's
// name in Swarm.
func (m maker) ownNamespaces() map[string][]ownedService {
	own := map[string][]ownedService{}
	for _, service := range m.owned {
		if service.stack != "" {
			own[service.namespace] = append(own[service.namespace], service)
		}
	}
	return own
}

// looksLike reports whether a stack that does not run has the services of one
// that does, and volumes like its.
func looksLike(stack kargo.Stack, from string, services []ownedService) bool {
	var wanted, live []string
	var specs []swarm.ServiceSpec
	for _, service := range stack.Services {
		wanted = append(wanted, strings.TrimPrefix(service.Name, stack.Namespace()+"_"))
		specs = append(specs, service.Spec)
	}
	for _, service := range services {
		live = append(live, strings.TrimPrefix(service.Name, from+"_"))
	}
	slices.Sort(wanted)
	slices.Sort(live)
	if !slices.Equal(wanted, live) {
		return false
	}
	filled := volumesOf(from, liveSpecs(services))
	return slices.ContainsFunc(volumesOf(stack.Namespace(), specs), func(volume string) bool {
		return slices.Contains(filled, from+strings.TrimPrefix(volume, stack.Namespace()))
	})
}

func liveSpecs(services []ownedService) []swarm.ServiceSpec {
	specs := make([]swarm.ServiceSpec, 0, len(services))
	for _, service := range services {
		specs = append(specs, service.Spec)
	}
	return specs
}

// volumesOf returns the volumes of specs that have the name of their stack in
// front, sorted.
func volumesOf(namespace string, specs []swarm.ServiceSpec) []string {
	var volumes []string
	for _, spec := range specs {
		if container := spec.TaskTemplate.ContainerSpec; container != nil {
			for _, m := range container.Mounts {
				if m.Type == mount.TypeVolume && strings.HasPrefix(m.Source, namespace+"_") {
					volumes = append(volumes, m.Source)
				}
			}
		}
	}
	slices.Sort(volumes)
	return slices.Compact(volumes)
}

// reason says why a renamed stack waits, and what keeps its name.
func (r renamed) reason(stack kargo.Stack) string {
	text := fmt.Sprintf("stack %s is renamed: it runs as %s and would start as %s", stack.Name, r.from, stack.Namespace())
	if r.stack != stack.Name {
		text = fmt.Sprintf("stack %s seems to be stack %s under another name: it runs as %s and would start as %s", stack.Name, r.stack, r.from, stack.Namespace())
	}
	if len(r.volumes) > 0 {
		text += ", without what is in " + strings.Join(r.volumes, ", ")
	}
	return text + fmt.Sprintf("; approve it, or keep the name: %s=%s", kargo.SuffixName.Of(stack.Name), r.from)
}

// holdRenames lets renamed stacks wait for approval, and notes those whose
// removal waits with them.
func (m maker) holdRenames() map[string]string {
	removals := map[string]string{}
	for name, r := range m.renames() {
		stack := &m.desired[m.stackAt[name]]
		stack.NeedsApproval = cmp.Or(stack.NeedsApproval, r.reason(*stack))
		if r.stack != name {
			removals[r.stack] = fmt.Sprintf("its removal waits for approval: stack %s seems to be the same under another name", name)
		}
	}
	return removals
}
