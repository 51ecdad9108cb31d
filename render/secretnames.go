package render

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// HasSecrets reports whether stacks have secrets of their own, so that
// NameSecrets needs a key.
func HasSecrets(stacks []kargo.Stack) bool {
	return slices.ContainsFunc(stacks, func(stack kargo.Stack) bool {
		return slices.ContainsFunc(stack.Configs, isOwnSecret)
	})
}

func isOwnSecret(config kargo.Config) bool { return config.Secret && !config.External }

// NameSecrets returns stacks in which the names of Swarm secrets end in a keyed
// digest of the content. Names are public, and without a key anybody could try
// passwords against the digest. The given stacks are not changed.
func NameSecrets(stacks []kargo.Stack, key []byte) []kargo.Stack {
	named := slices.Clone(stacks)
	for i := range named {
		renamed := map[string]string{}
		named[i].Configs = slices.Clone(named[i].Configs)
		for j, config := range named[i].Configs {
			if isOwnSecret(config) {
				named[i].Configs[j].Name = keyedName(config, key)
				renamed[config.Name] = named[i].Configs[j].Name
			}
		}
		if len(renamed) == 0 {
			continue
		}
		sortConfigs(named[i].Configs)
		named[i].Services = slices.Clone(named[i].Services)
		for j := range named[i].Services {
			named[i].Services[j].Spec = withNames(named[i].Services[j].Spec, renamed)
		}
	}
	return named
}

// keyedName replaces the digest of a name by a keyed one. The digest covers the
// template driver, too, which Swarm cannot change in place.
func keyedName(config kargo.Config, key []byte) string {
	base := config.Name[:len(config.Name)-digestLength]
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s\x00%s\x00", base, config.Driver)
	mac.Write(config.Data)
	return base + hex.EncodeToString(mac.Sum(nil))[:digestLength]
}

// withNames returns a spec that refers to secrets by their new names.
func withNames(spec swarm.ServiceSpec, renamed map[string]string) swarm.ServiceSpec {
	if spec.TaskTemplate.ContainerSpec == nil {
		return spec
	}
	container := *spec.TaskTemplate.ContainerSpec
	container.Secrets = slices.Clone(container.Secrets)
	for i, reference := range container.Secrets {
		if name, ok := renamed[reference.SecretName]; ok {
			copied := *reference
			copied.SecretName = name
			container.Secrets[i] = &copied
		}
	}
	spec.TaskTemplate.ContainerSpec = &container
	return spec
}
