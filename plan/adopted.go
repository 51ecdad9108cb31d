package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// withSameContent returns the desired spec with the names of configs that the
// live spec uses, where those have the wanted content. A config that `docker
// stack deploy` made has no digest in its name, and another name would replace
// every task without need.
func (m maker) withSameContent(desired, live swarm.ServiceSpec, stack kargo.Stack) swarm.ServiceSpec {
	wanted, running := desired.TaskTemplate.ContainerSpec, live.TaskTemplate.ContainerSpec
	if wanted == nil || running == nil || len(wanted.Configs) == 0 {
		return desired
	}
	container := *wanted // the desired spec belongs to the caller
	container.Configs = slices.Clone(wanted.Configs)
	for i, reference := range container.Configs {
		if name := m.sameContent(reference, running.Configs, stack); name != "" {
			renamed := *reference
			renamed.ConfigName = name
			container.Configs[i] = &renamed
		}
	}
	desired.TaskTemplate.ContainerSpec = &container
	return desired
}

// sameContent returns the name of the config that is mounted at the same place
// already and has the wanted content, or "".
func (m maker) sameContent(wanted *swarm.ConfigReference, running []*swarm.ConfigReference, stack kargo.Stack) string {
	i := slices.IndexFunc(stack.Configs, func(c kargo.Config) bool { return !c.Secret && c.Name == wanted.ConfigName })
	if i < 0 || stack.Configs[i].External || stack.Configs[i].Driver != "" {
		return ""
	}
	sum := sha256.Sum256(stack.Configs[i].Data)
	for _, reference := range running {
		live := m.configs[kargo.ObjectKey{Kind: kargo.KindConfig, Name: reference.ConfigName}]
		if reflect.DeepEqual(reference.File, wanted.File) && live.Digest == hex.EncodeToString(sum[:]) {
			return live.Name
		}
	}
	return ""
}
