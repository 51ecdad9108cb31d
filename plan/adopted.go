package plan

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/spelling"
)

// nothingToAdopt returns why a stack that is to be taken over is not created where
// Swarm has nothing of it, or "": an empty twin would run beside what was meant.
func (m maker) nothingToAdopt(stack kargo.Stack) string {
	if !stack.Options.Adopt || m.namespaces()[stack.Namespace()] {
		return ""
	}
	for _, service := range stack.Services {
		_, exists := m.index.Service(service.Name)
		_, sent := m.Memory.Sent[service.Name]
		if exists || sent { // or it existed, and somebody removed it since
			return ""
		}
	}
	reason := "it is to be taken over, and Swarm has nothing of a stack " + stack.Namespace()
	other := spelling.Nearest(stack.Namespace(), slices.Sorted(maps.Keys(m.namespaces())), 2)
	if m.namespaces()[stack.Name] {
		other = stack.Name
	}
	if other != "" {
		return fmt.Sprintf("%s, but of a stack %s: set %s=%s", reason, other, kargo.SuffixName.Of(stack.Name), other)
	}
	if m.Memory.Adopted[stack.Name] {
		return fmt.Sprintf("%s; correct its name, or create it: `kargo retry %s`", reason, stack.Name)
	}
	return fmt.Sprintf("%s; correct its name, or remove %s to create it", reason, kargo.SuffixAdopt.Of(stack.Name))
}

// namespacesIn returns the names of the stacks that Swarm has anything of, whoever
// made it.
func namespacesIn(live kargo.Cluster) map[string]bool {
	found := map[string]bool{}
	add := func(labels map[string]string) {
		if name := labels[kargo.LabelNamespace]; name != "" {
			found[name] = true
		}
	}
	for _, service := range live.Services {
		add(service.Spec.Labels)
	}
	for _, network := range live.Networks {
		add(network.Labels)
	}
	for _, config := range live.Configs {
		add(config.Labels)
	}
	return found
}

// tookOver reports whether an object without an owner belongs to a stack that was
// taken over: labels of networks cannot change, so the services of the stack
// speak for them.
func (m maker) tookOver(stack kargo.Stack, labels map[string]string) bool {
	return labels[kargo.LabelNamespace] == stack.Namespace() && slices.ContainsFunc(stack.Services, func(service kargo.Service) bool {
		live, exists := m.index.Service(service.Name)
		return exists && m.owns(live.Spec.Labels)
	})
}

// withKeptSecrets returns the desired spec with the secrets that the live service
// has, where the service is being taken over or kept them then. Their content is
// taken for the workspace's, as Swarm does not show it; another name would replace
// every task. The spec says which content each stands for, so that a later change
// of the content counts.
func (m maker) withKeptSecrets(desired, live swarm.ServiceSpec, stack kargo.Stack) swarm.ServiceSpec {
	wanted, running := desired.TaskTemplate.ContainerSpec, live.TaskTemplate.ContainerSpec
	if wanted == nil || running == nil || len(wanted.Secrets) == 0 {
		return desired
	}
	var kept []string
	container := *wanted // the desired spec belongs to the caller
	container.Secrets = slices.Clone(wanted.Secrets)
	for i, reference := range container.Secrets {
		if name := m.keptSecret(reference, live.Labels, running.Secrets, stack); name != "" {
			renamed := *reference
			renamed.SecretName = name
			container.Secrets[i] = &renamed
			kept = append(kept, name+"="+reference.SecretName)
		}
	}
	if len(kept) == 0 {
		return desired
	}
	slices.Sort(kept)
	desired.TaskTemplate.ContainerSpec = &container
	desired.Labels = maps.Clone(desired.Labels)
	desired.Labels[kargo.LabelKept] = strings.Join(slices.Compact(kept), " ")
	return desired
}

// keptSecret returns the name of the secret that is mounted at the same place
// already and stays, or "".
func (m maker) keptSecret(wanted *swarm.SecretReference, labels map[string]string, running []*swarm.SecretReference, stack kargo.Stack) string {
	own := slices.ContainsFunc(stack.Configs, func(c kargo.Config) bool { return c.Secret && c.Name == wanted.SecretName && !c.External })
	for _, reference := range running {
		if !own || reference.SecretName == wanted.SecretName || !reflect.DeepEqual(reference.File, wanted.File) {
			continue
		}
		live := m.configs[kargo.ObjectKey{Kind: kargo.KindSecret, Name: reference.SecretName}]
		beingTaken := labels[kargo.LabelInstance] == "" && live.Labels[kargo.LabelInstance] == "" && live.Labels[kargo.LabelNamespace] == stack.Namespace()
		if beingTaken || slices.Contains(strings.Fields(labels[kargo.LabelKept]), reference.SecretName+"="+wanted.SecretName) {
			return reference.SecretName
		}
	}
	return ""
}

// withSameContent returns the desired spec with the names of configs that the live
// spec uses, where those have the wanted content: another name would replace every
// task without need. So it is with a config that `docker stack deploy` made, and with
// one whose digest an earlier version made, or another key. If renew is set, names of
// this instance's configs are not kept, and neither is the digest of bound files.
func (m maker) withSameContent(desired, live swarm.ServiceSpec, stack kargo.Stack, service kargo.Service, renew bool) swarm.ServiceSpec {
	wanted, running := desired.TaskTemplate.ContainerSpec, live.TaskTemplate.ContainerSpec
	if wanted == nil || running == nil || len(wanted.Configs) == 0 && service.Files == "" {
		return desired
	}
	configs := m.withLiveNames(wanted.Configs, running.Configs, stack, renew)
	label := running.Labels[kargo.LabelFiles]
	keepsLabel := !renew && label != "" && label != wanted.Labels[kargo.LabelFiles] && strings.HasPrefix(service.Files, label)
	if configs == nil && !keepsLabel {
		return desired // as it is for most services
	}
	container := *wanted // the desired spec belongs to the caller
	if configs != nil {
		container.Configs = configs
	}
	if keepsLabel {
		container.Labels = maps.Clone(wanted.Labels)
		container.Labels[kargo.LabelFiles] = label
	}
	desired.TaskTemplate.ContainerSpec = &container
	return desired
}

// withLiveNames returns the references with the names that sameContent finds; nil if it
// finds none.
func (m maker) withLiveNames(wanted, running []*swarm.ConfigReference, stack kargo.Stack, renew bool) (all []*swarm.ConfigReference) {
	for i, reference := range wanted {
		name := m.sameContent(reference, running, stack, renew)
		if name == "" {
			continue
		}
		if all == nil {
			all = slices.Clone(wanted)
		}
		renamed := *reference
		renamed.ConfigName = name
		all[i] = &renamed
	}
	return all
}

// sameContent returns the name of the config that is mounted at the same place
// already, has the wanted content, and keeps its name; or "".
func (m maker) sameContent(wanted *swarm.ConfigReference, running []*swarm.ConfigReference, stack kargo.Stack, renew bool) string {
	i := slices.IndexFunc(stack.Configs, func(c kargo.Config) bool { return !c.Secret && c.Name == wanted.ConfigName })
	if i < 0 || stack.Configs[i].External {
		return ""
	}
	isThere := func(r *swarm.ConfigReference) bool {
		return r.ConfigName == wanted.ConfigName && reflect.DeepEqual(r.File, wanted.File)
	}
	if slices.ContainsFunc(running, isThere) {
		return "" // the wanted name is the live one: its content need not be hashed
	}
	digest := kargo.ContentDigest(stack.Configs[i].Driver, stack.Configs[i].Data)
	for _, reference := range running {
		live := m.configs[kargo.ObjectKey{Kind: kargo.KindConfig, Name: reference.ConfigName}]
		if reflect.DeepEqual(reference.File, wanted.File) && live.Digest == digest && !(renew && m.owns(live.Labels)) {
			return live.Name
		}
	}
	return ""
}
