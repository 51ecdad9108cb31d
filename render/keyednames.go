package render

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// HasDigests reports whether stacks show digests of content, so that NameByKey
// needs a key: in the names of their configs and secrets, and in the label of bound
// files.
func HasDigests(stacks []kargo.Stack) bool {
	return slices.ContainsFunc(stacks, func(stack kargo.Stack) bool {
		return slices.ContainsFunc(stack.Configs, isOwn) ||
			slices.ContainsFunc(stack.Services, func(service kargo.Service) bool { return filesOf(service.Spec) != "" })
	})
}

func isOwn(config kargo.Config) bool { return !config.External }

// filesOf returns the digest of the files that a service binds, or "".
func filesOf(spec swarm.ServiceSpec) string {
	if spec.TaskTemplate.ContainerSpec == nil {
		return ""
	}
	return spec.TaskTemplate.ContainerSpec.Labels[kargo.LabelFiles]
}

// NameByKey returns stacks in which every digest of content is keyed: at the end of
// the names of Swarm configs and secrets, and in the label of bound files. Names and
// labels are public, and a rendered config may have a password in it: without a key
// anybody could try passwords against the digest. The given stacks are not changed.
func NameByKey(stacks []kargo.Stack, key []byte) []kargo.Stack {
	named := slices.Clone(stacks)
	for i := range named {
		renamed := map[kargo.ObjectKey]string{}
		named[i].Configs = slices.Clone(named[i].Configs)
		for j, config := range named[i].Configs {
			if isOwn(config) {
				named[i].Configs[j].Name = keyedName(config, key)
				renamed[config.Key()] = named[i].Configs[j].Name
			}
		}
		sortConfigs(named[i].Configs)
		named[i].Services = slices.Clone(named[i].Services)
		for j := range named[i].Services {
			named[i].Services[j].Spec = withNames(named[i].Services[j].Spec, renamed, key)
		}
	}
	return named
}

// keyedName replaces the digest of a name by a keyed one. The digest covers the
// template driver, too, which Swarm cannot change in place.
func keyedName(config kargo.Config, key []byte) string {
	base := config.Name[:len(config.Name)-digestLength]
	return base + keyed(key, base+"\x00"+config.Driver+"\x00"+string(config.Data))
}

// keyed returns a keyed digest of a text, as long as those in names.
func keyed(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))[:digestLength]
}

// withNames returns a spec that refers to configs and secrets by their new names.
func withNames(spec swarm.ServiceSpec, renamed map[kargo.ObjectKey]string, key []byte) swarm.ServiceSpec {
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
	container.Privileges = withCredential(container.Privileges, renamed)
	if files := filesOf(spec); files != "" {
		container.Labels = maps.Clone(container.Labels)
		container.Labels[kargo.LabelFiles] = keyed(key, files)
	}
	spec.TaskTemplate.ContainerSpec = &container
	return spec
}

// withCredential returns privileges whose credential spec refers to its config by
// the new name.
func withCredential(privileges *swarm.Privileges, renamed map[kargo.ObjectKey]string) *swarm.Privileges {
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
