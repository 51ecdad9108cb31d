package swarm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Apply carries out the plan's changes in their order, one write each, and
// calls done after each of them; done may be nil. It decides nothing, repeats
// nothing and waits for nothing.
//
// An error ends the work on its stack: later changes of that stack may need
// the one that failed. They are skipped, without a call of done; other stacks
// go on. Exceptions: after a shared network (one without a stack) the rest goes
// on, and so it does after an object that cannot be removed because it is in
// use. What is gone already counts as removed.
//
// When Docker is out of reach or ctx ends Apply returns at once. The error
// holds those of all changes and has the fault that matters most to the loop:
// Unavailable, else Conflict (look again now), else Internal, else Invalid.
func (c *Client) Apply(ctx context.Context, plan kargo.Plan, done func(kargo.Change, error)) error {
	run := apply{client: c}
	failed := map[string]bool{}
	var errs []error
	for _, change := range plan.Changes {
		if failed[change.Stack] {
			continue
		}
		if err := ctx.Err(); err != nil {
			errs = append(errs, fmt.Errorf("stop before %s %s %s: %w", change.Action, change.Kind, change.Name, classify(err)))
			break
		}
		err := run.carryOut(ctx, change)
		if err != nil {
			err = fmt.Errorf("%s %s %s: %w", change.Action, change.Kind, change.Name, err)
			errs = append(errs, err)
		}
		if done != nil {
			done(change, err)
		}
		if err == nil {
			continue
		}
		if kargo.FaultOf(err) == kargo.Unavailable {
			break
		}
		failed[change.Stack] = change.Stack != "" && !stillInUse(change, err)
	}
	return errors.Join(errs...)
}

// stillInUse tells a removal that Swarm refuses for now, as when tasks or a
// rolling update still need the object, from a failure.
func stillInUse(change kargo.Change, err error) bool {
	return change.Action == kargo.Remove && change.Kind != kargo.KindService && kargo.FaultOf(err) == kargo.Conflict
}

// apply is one run of Apply.
type apply struct{ client *Client }

// carryOut makes the one write that a change is.
func (a *apply) carryOut(ctx context.Context, change kargo.Change) error {
	if err := change.Check(); err != nil {
		return err
	}
	switch change.Action {
	case kargo.Create:
		return a.create(ctx, change)
	case kargo.Update:
		return a.update(ctx, change)
	case kargo.Remove:
		return a.remove(ctx, change)
	}
	return notPossible(change)
}

func (a *apply) create(ctx context.Context, change kargo.Change) error {
	switch change.Kind {
	case kargo.KindService:
		return a.createService(ctx, change)
	case kargo.KindNetwork:
		return a.createNetwork(ctx, *change.Network)
	case kargo.KindConfig:
		return a.createConfig(ctx, *change.Config)
	case kargo.KindSecret:
		return a.createSecret(ctx, *change.Config)
	case kargo.KindNode: // joins by itself
	}
	return notPossible(change)
}

func (a *apply) update(ctx context.Context, change kargo.Change) error {
	switch change.Kind {
	case kargo.KindService:
		return a.updateService(ctx, change)
	case kargo.KindNode:
		return a.updateNode(ctx, change)
	case kargo.KindNetwork, kargo.KindConfig, kargo.KindSecret: // Swarm cannot change them
	}
	return notPossible(change)
}

// remove removes an object by id, so that one of the same name that somebody
// made meanwhile stays.
func (a *apply) remove(ctx context.Context, change kargo.Change) error {
	switch change.Kind {
	case kargo.KindService:
		return a.removeByID(ctx, "ServiceRemove", a.client.api.ServiceRemove, change.ID)
	case kargo.KindNetwork:
		return a.removeNetwork(ctx, change)
	case kargo.KindConfig:
		return a.removeByID(ctx, "ConfigRemove", a.client.api.ConfigRemove, change.ID)
	case kargo.KindSecret:
		return a.removeByID(ctx, "SecretRemove", a.client.api.SecretRemove, change.ID)
	case kargo.KindNode: // is the operator's
	}
	return notPossible(change)
}

func notPossible(change kargo.Change) error {
	return kargo.Errorf(kargo.Internal, "the plan is to %s a %s, which Swarm cannot do", change.Action, change.Kind)
}

func (a *apply) createService(ctx context.Context, change kargo.Change) error {
	spec, err := a.outgoing(ctx, change)
	if err != nil {
		return err
	}
	auth, err := a.auth(change)
	if err != nil {
		return err
	}
	created, err := call(ctx, a.client, "ServiceCreate", func(ctx context.Context) (swarm.ServiceCreateResponse, error) {
		return a.client.api.ServiceCreate(ctx, spec, swarm.ServiceCreateOptions{EncodedRegistryAuth: auth})
	})
	if err != nil {
		a.client.forgetReferences(*change.Service)
		return err
	}
	a.client.names.put(serviceNames, created.ID, change.Name)
	return nil
}

func (a *apply) updateService(ctx context.Context, change kargo.Change) error {
	spec, err := a.outgoing(ctx, change)
	if err != nil {
		return err
	}
	auth, err := a.auth(change)
	if err != nil {
		return err
	}
	// Without a credential of ours Swarm keeps the one that it has.
	err = a.client.write(ctx, "ServiceUpdate", func(ctx context.Context) error {
		_, err := a.client.api.ServiceUpdate(ctx, change.ID, swarm.Version{Index: change.Version}, spec,
			swarm.ServiceUpdateOptions{EncodedRegistryAuth: auth})
		return err
	})
	if err != nil {
		a.client.forgetReferences(*change.Service)
	}
	return err
}

func (a *apply) createNetwork(ctx context.Context, wanted kargo.Network) error {
	driver := wanted.Driver
	if driver == "" {
		driver = "overlay"
	}
	created, err := call(ctx, a.client, "NetworkCreate", func(ctx context.Context) (network.CreateResponse, error) {
		return a.client.api.NetworkCreate(ctx, wanted.Name, network.CreateOptions{
			Driver:     driver,
			Scope:      "swarm",
			Attachable: wanted.Attachable,
			Internal:   wanted.Internal,
			Options:    wanted.Options,
			Labels:     wanted.Labels,
			IPAM:       wanted.IPAM,
		})
	})
	if err != nil {
		return err
	}
	a.client.names.put(networkNames, created.ID, wanted.Name)
	return nil
}

func (a *apply) createConfig(ctx context.Context, wanted kargo.Config) error {
	created, err := call(ctx, a.client, "ConfigCreate", func(ctx context.Context) (swarm.ConfigCreateResponse, error) {
		return a.client.api.ConfigCreate(ctx, swarm.ConfigSpec{
			Annotations: annotations(wanted), Data: wanted.Data, Templating: templating(wanted),
		})
	})
	if err == nil {
		a.client.names.put(configIDs, wanted.Name, created.ID)
	}
	return err
}

func (a *apply) createSecret(ctx context.Context, wanted kargo.Config) error {
	created, err := call(ctx, a.client, "SecretCreate", func(ctx context.Context) (swarm.SecretCreateResponse, error) {
		return a.client.api.SecretCreate(ctx, swarm.SecretSpec{
			Annotations: annotations(wanted), Data: wanted.Data, Templating: templating(wanted),
		})
	})
	if err == nil {
		a.client.names.put(secretIDs, wanted.Name, created.ID)
	}
	return err
}

func annotations(wanted kargo.Config) swarm.Annotations {
	return swarm.Annotations{Name: wanted.Name, Labels: wanted.Labels}
}

func templating(wanted kargo.Config) *swarm.Driver {
	if wanted.Driver == "" {
		return nil
	}
	return &swarm.Driver{Name: wanted.Driver}
}

// removeByID removes an object. One that is gone already counts as removed.
func (a *apply) removeByID(ctx context.Context, operation string, remove func(context.Context, string) error, id string) error {
	err := a.client.write(ctx, operation, func(ctx context.Context) error { return remove(ctx, id) })
	if isNotFound(err) {
		return nil
	}
	return err
}

func (a *apply) removeNetwork(ctx context.Context, change kargo.Change) error {
	err := a.removeByID(ctx, "NetworkRemove", a.client.api.NetworkRemove, change.ID)
	if lingers(err, change.ID) {
		err = nil
	}
	if err == nil {
		a.client.names.put(goneNetworks, change.ID, change.Name)
	}
	return err
}

// lingers reports that Swarm has no such network any more, although the node that
// was asked still has its own copy: until the last container that used it is
// cleared away, Docker lists the network and refuses to remove it, with
// status 500.
func lingers(err error, id string) bool {
	return err != nil && strings.HasSuffix(err.Error(), "network "+id+" not found")
}

func isNotFound(err error) bool { return err != nil && errdefs.IsNotFound(err) }
