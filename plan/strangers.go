package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/mount"

	"kargo"
)

// strangers returns a hold for each object in the namespace of a stack that is
// somebody else's and that the stack does not want: whoever shares a namespace
// shares its networks, volumes and names. Objects of wanted names have holds of
// their own. Configs and secrets of nobody are left over by other tools and do no
// harm, so only those of another instance count.
func (m maker) strangers(stack kargo.Stack) []kargo.Hold {
	var holds []kargo.Hold
	add := func(kind kargo.Kind, name string, labels map[string]string) {
		if reason, until := m.notOurs(stack, labels); reason != "" {
			holds = append(holds, kargo.Hold{Kind: kind, Stack: stack.Name, Name: name, Until: until,
				Reason: "lies in the namespace of the stack, " + reason})
		}
	}
	near := m.others[stack.Namespace()]
	if near == nil {
		return nil
	}
	for _, service := range near.Services {
		if inNamespace(stack, service.Name, service.Spec.Labels) {
			add(kargo.KindService, service.Name, service.Spec.Labels)
		} else if volume := volumeOf(stack, service); volume != "" {
			holds = append(holds, kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: service.Name, Until: kargo.UntilOutside,
				Reason: fmt.Sprintf("mounts the volume %s, which has the form of the stack's own, and is not Kargo's", volume)})
		}
	}
	for _, network := range near.Networks {
		declared := slices.ContainsFunc(stack.Networks, func(n kargo.Network) bool { return n.Name == network.Name })
		if !network.Local && !declared && inNamespace(stack, network.Name, network.Labels) {
			add(kargo.KindNetwork, network.Name, network.Labels)
		}
	}
	for _, config := range near.Configs {
		declared := slices.ContainsFunc(stack.Configs, func(c kargo.Config) bool { return c.Key() == config.Key() })
		if config.Labels[kargo.LabelInstance] != "" && !declared && inNamespace(stack, config.Name, config.Labels) {
			add(config.Kind(), config.Name, config.Labels)
		}
	}
	return holds
}

// strangers has what is not this instance's, by the namespaces of stacks that it may
// concern: a stack need not look at all that others have in the Swarm. It has a key for
// each stack.
type strangers map[string]*kargo.Cluster

func newStrangers(stacks []kargo.Stack) strangers {
	s := make(strangers, len(stacks))
	for _, stack := range stacks {
		s[stack.Namespace()] = nil // most have nothing of others
	}
	return s
}

func (s strangers) addService(service kargo.LiveService) {
	names := []string{nameInNamespace(service.Name, service.Spec.Labels)}
	if container := service.Spec.TaskTemplate.ContainerSpec; container != nil {
		for _, m := range container.Mounts {
			if m.Type == mount.TypeVolume {
				names = append(names, m.Source)
			}
		}
	}
	for _, near := range s.near(names...) {
		near.Services = append(near.Services, service)
	}
}

func (s strangers) addNetwork(network kargo.LiveNetwork) {
	for _, near := range s.near(nameInNamespace(network.Name, network.Labels)) {
		near.Networks = append(near.Networks, network)
	}
}

func (s strangers) addConfig(config kargo.LiveConfig) {
	for _, near := range s.near(nameInNamespace(config.Name, config.Labels)) {
		near.Configs = append(near.Configs, config)
	}
}

// near returns what is known of each namespace that one of the names may begin with.
func (s strangers) near(names ...string) (found []*kargo.Cluster) {
	for _, name := range names {
		for i, char := range name {
			if char != '_' {
				continue
			}
			near, wanted := s[name[:i]]
			if near == nil && wanted {
				near = &kargo.Cluster{}
				s[name[:i]] = near
			}
			if wanted && !slices.Contains(found, near) {
				found = append(found, near)
			}
		}
	}
	return found
}

// nameInNamespace returns a name that begins with the namespace of an object and "_": by
// Docker's own label, and where it has none, by the object's name.
func nameInNamespace(name string, labels map[string]string) string {
	if namespace := labels[kargo.LabelNamespace]; namespace != "" {
		return namespace + "_"
	}
	return name
}

// inNamespace reports whether an object belongs to the namespace of a stack.
func inNamespace(stack kargo.Stack, name string, labels map[string]string) bool {
	if namespace := labels[kargo.LabelNamespace]; namespace != "" {
		return namespace == stack.Namespace()
	}
	return strings.HasPrefix(name, stack.Namespace()+"_")
}

// volumeOf returns the first volume that a service mounts and whose name is in the
// namespace of a stack, or "".
func volumeOf(stack kargo.Stack, service kargo.LiveService) string {
	if service.Spec.TaskTemplate.ContainerSpec == nil {
		return ""
	}
	for _, m := range service.Spec.TaskTemplate.ContainerSpec.Mounts {
		if m.Type == mount.TypeVolume && strings.HasPrefix(m.Source, stack.Namespace()+"_") {
			return m.Source
		}
	}
	return ""
}
