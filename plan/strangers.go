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
	for _, service := range m.others.Services {
		if m.wanted[service.Name] {
			continue
		}
		if inNamespace(stack, service.Name, service.Spec.Labels) {
			add(kargo.KindService, service.Name, service.Spec.Labels)
		} else if volume := volumeOf(stack, service); volume != "" {
			holds = append(holds, kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: service.Name, Until: kargo.UntilOutside,
				Reason: fmt.Sprintf("mounts the volume %s, which has the form of the stack's own, and is not Kargo's", volume)})
		}
	}
	for _, network := range m.others.Networks {
		declared := slices.ContainsFunc(stack.Networks, func(n kargo.Network) bool { return n.Name == network.Name })
		if !network.Local && !declared && inNamespace(stack, network.Name, network.Labels) {
			add(kargo.KindNetwork, network.Name, network.Labels)
		}
	}
	for _, config := range m.others.Configs {
		declared := slices.ContainsFunc(stack.Configs, func(c kargo.Config) bool { return c.Key() == config.Key() })
		if config.Labels[kargo.LabelInstance] != "" && !declared && inNamespace(stack, config.Name, config.Labels) {
			add(config.Kind(), config.Name, config.Labels)
		}
	}
	return holds
}

// notOwned returns the services, networks and configs of a look that are not this
// instance's. They are few, and each stack looks at all of them.
func (m maker) notOwned(live kargo.Cluster) (others kargo.Cluster) {
	for _, service := range live.Services {
		if !m.owns(service.Spec.Labels) {
			others.Services = append(others.Services, service)
		}
	}
	for _, network := range live.Networks {
		if !m.owns(network.Labels) {
			others.Networks = append(others.Networks, network)
		}
	}
	for _, config := range live.Configs {
		if !m.owns(config.Labels) {
			others.Configs = append(others.Configs, config)
		}
	}
	return others
}

// inNamespace reports whether an object belongs to the namespace of a stack: by
// Docker's own label, and where it has none, by its name.
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
