package render

import (
	"cmp"
	"maps"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// WithKey returns stacks that show what their content is: the names of their Swarm
// configs and secrets end in a digest of it, and so does the label of bound files.
// Names and labels are public, and a file may have a password in it. So the digests
// are keyed: without the key nobody can try passwords against them. Until then, zeros
// stand in their place. The given stacks are not changed.
func WithKey(stacks []kargo.Stack, key []byte) []kargo.Stack {
	named := slices.Clone(stacks)
	for i := range named {
		renamed := map[kargo.ObjectKey]string{}
		named[i].Configs = slices.Clone(named[i].Configs)
		for j, config := range named[i].Configs {
			if !config.External {
				named[i].Configs[j].Name = keyedName(config, key)
				renamed[config.Key()] = named[i].Configs[j].Name
			}
		}
		sortConfigs(named[i].Configs)
		// Two files with one name and one content are one object.
		named[i].Configs = slices.CompactFunc(named[i].Configs, func(a, b kargo.Config) bool { return a.Key() == b.Key() })
		named[i].Services = slices.Clone(named[i].Services)
		for j, service := range named[i].Services {
			named[i].Services[j].Spec = withDigests(service, renamed, key)
		}
	}
	return named
}

// keyedName replaces the end of a name by a keyed digest. The digest covers the
// template driver, too, which Swarm cannot change in place.
func keyedName(config kargo.Config, key []byte) string {
	base := config.Name[:len(config.Name)-digestLength]
	return base + keyed(key, cmp.Or(config.Whole, base)+"\x00"+config.Driver+"\x00"+string(config.Data))
}

// keyed returns a keyed digest of a text, as long as those in names.
func keyed(key []byte, text string) string { return kargo.KeyedDigest(key, text)[:digestLength] }

// withDigests returns the spec of a service that refers to configs and secrets by
// their new names.
func withDigests(service kargo.Service, renamed map[kargo.ObjectKey]string, key []byte) swarm.ServiceSpec {
	spec := service.Spec
	if spec.TaskTemplate.ContainerSpec == nil {
		return spec
	}
	container := *spec.TaskTemplate.ContainerSpec
	container.Secrets, container.Configs = slices.Clone(container.Secrets), slices.Clone(container.Configs)
	for i, reference := range container.Secrets {
		if name, ok := renamed[kargo.ObjectKey{Kind: kargo.KindSecret, Name: reference.SecretName}]; ok {
			copied := *reference
			copied.SecretName = name
			container.Secrets[i] = &copied
		}
	}
	for i, reference := range container.Configs {
		if name, ok := renamed[kargo.ObjectKey{Kind: kargo.KindConfig, Name: reference.ConfigName}]; ok {
			copied := *reference
			copied.ConfigName = name
			container.Configs[i] = &copied
		}
	}
	container.Privileges = withCredentialSpec(container.Privileges, renamed)
	if service.Files != "" {
		container.Labels = maps.Clone(container.Labels)
		container.Labels[kargo.LabelFiles] = keyed(key, service.Files)
	}
	spec.TaskTemplate.ContainerSpec = &container
	return spec
}

// withCredentialSpec returns privileges whose credential spec refers to its config by
// the new name.
func withCredentialSpec(privileges *swarm.Privileges, renamed map[kargo.ObjectKey]string) *swarm.Privileges {
	if privileges == nil || privileges.CredentialSpec == nil {
		return privileges
	}
	name, ok := renamed[kargo.ObjectKey{Kind: kargo.KindConfig, Name: privileges.CredentialSpec.Config}]
	if !ok {
		return privileges
	}
	copied, credential := *privileges, *privileges.CredentialSpec
	credential.Config = name
	copied.CredentialSpec = &credential
	return &copied
}
