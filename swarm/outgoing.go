package swarm

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// outgoing returns the spec that is sent: a copy of the plan's, with the ids of
// configs and secrets. The daemon itself replaces the names of networks by ids.
func (w writer) outgoing(ctx context.Context, change kargo.Change) (swarm.ServiceSpec, error) {
	spec := *change.Service
	// A service must have a placement. If it has none and one of its tasks has
	// one, the manager dereferences nil and crashes, at each start (seen with
	// 20.10, and in the source of swarmkit 2.0).
	if spec.TaskTemplate.Placement == nil {
		spec.TaskTemplate.Placement = &swarm.Placement{}
	}
	if spec.TaskTemplate.ContainerSpec == nil {
		return spec, nil
	}
	container := *spec.TaskTemplate.ContainerSpec
	spec.TaskTemplate.ContainerSpec = &container
	container.Configs = copyAll(container.Configs)
	for _, config := range container.Configs {
		id, err := w.configID(ctx, config.ConfigName)
		if err != nil {
			return spec, err
		}
		config.ConfigID = id
	}
	container.Secrets = copyAll(container.Secrets)
	for _, secret := range container.Secrets {
		id, err := w.secretID(ctx, secret.SecretName)
		if err != nil {
			return spec, err
		}
		secret.SecretID = id
	}
	return spec, nil
}

// auth returns the credential that nodes need for the image of a change.
func (w writer) auth(change kargo.Change) (string, error) {
	if change.Service.TaskTemplate.ContainerSpec == nil {
		return "", nil
	}
	return w.registryAuth(change.Service.TaskTemplate.ContainerSpec.Image)
}

// copyAll copies a list and what it points to; nil stays nil.
func copyAll[T any](list []*T) []*T {
	if list == nil {
		return nil
	}
	copied := make([]*T, len(list))
	for i, item := range list {
		value := *item
		copied[i] = &value
	}
	return copied
}

func (c *Client) configID(ctx context.Context, name string) (string, error) {
	return c.lookUp(ctx, "config", name, configIDs, "ConfigInspect", func(ctx context.Context) (string, error) {
		config, _, err := c.api.ConfigInspectWithRaw(ctx, name)
		return config.ID, err
	})
}

func (c *Client) secretID(ctx context.Context, name string) (string, error) {
	return c.lookUp(ctx, "secret", name, secretIDs, "SecretInspect", func(ctx context.Context) (string, error) {
		secret, _, err := c.api.SecretInspectWithRaw(ctx, name)
		return secret.ID, err
	})
}

// lookUp returns an id from the table, else asks Docker.
func (c *Client) lookUp(ctx context.Context, kind, name string, in table, operation string, ask func(context.Context) (string, error)) (string, error) {
	if id, ok := c.names.get(in, name); ok {
		return id, nil
	}
	id, err := call(ctx, c, operation, ask)
	if err != nil {
		return "", fmt.Errorf("look up %s %s: %w", kind, name, err)
	}
	c.names.put(in, name, id)
	return id, nil
}

// forgetReferences removes the configs and secrets of a spec that Swarm refused from
// the table: one of them may have been removed and created again.
func (c *Client) forgetReferences(spec swarm.ServiceSpec) {
	container := spec.TaskTemplate.ContainerSpec
	if container == nil {
		return
	}
	for _, config := range container.Configs {
		c.names.drop(configIDs, config.ConfigName)
	}
	for _, secret := range container.Secrets {
		c.names.drop(secretIDs, secret.SecretName)
	}
}
