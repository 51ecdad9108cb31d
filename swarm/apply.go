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

var errNotPossible = errors.New("the plan asks for what Swarm cannot do")

func (a *apply) carryOut(ctx context.Context, change kargo.Change) error {
	if change.Action != kargo.Create && change.ID == "" {
		return &kargo.Error{Fault: kargo.Internal, Err: errors.New("the plan does not say which object it means")}
	}
	switch {
	case change.Action == kargo.Remove:
		return a.remove(ctx, change)
	case change.Service != nil && change.Action == kargo.Create:
		return a.createService(ctx, change)
	case change.Service != nil:
		return a.updateService(ctx, change)
	case change.Network != nil && change.Action == kargo.Create:
		return a.createNetwork(ctx, *change.Network)
	case change.Config != nil && change.Action == kargo.Create:
		return a.createConfig(ctx, *change.Config)
	case change.Config != nil:
		return a.relabelConfig(ctx, change)
	case change.Node != nil:
		return a.updateNode(ctx, change)
	}
	return &kargo.Error{Fault: kargo.Internal, Err: errNotPossible}
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
	annotations := swarm.Annotations{Name: wanted.Name, Labels: wanted.Labels}
	var templating *swarm.Driver
	if wanted.Driver != "" {
		templating = &swarm.Driver{Name: wanted.Driver}
	}
	if wanted.Secret {
		created, err := call(ctx, a.client, "SecretCreate", func(ctx context.Context) (swarm.SecretCreateResponse, error) {
			return a.client.api.SecretCreate(ctx, swarm.SecretSpec{Annotations: annotations, Data: wanted.Data, Templating: templating})
		})
		if err == nil {
			a.client.names.put(secretIDs, wanted.Name, created.ID)
		}
		return err
	}
	created, err := call(ctx, a.client, "ConfigCreate", func(ctx context.Context) (swarm.ConfigCreateResponse, error) {
		return a.client.api.ConfigCreate(ctx, swarm.ConfigSpec{Annotations: annotations, Data: wanted.Data, Templating: templating})
	})
	if err == nil {
		a.client.names.put(configIDs, wanted.Name, created.ID)
	}
	return err
}

// relabelConfig changes the labels of a config or secret, the one thing that
// Swarm allows to change.
func (a *apply) relabelConfig(ctx context.Context, change kargo.Change) error {
	annotations := swarm.Annotations{Name: change.Config.Name, Labels: change.Config.Labels}
	version := swarm.Version{Index: change.Version}
	if change.Config.Secret {
		return a.client.write(ctx, "SecretUpdate", func(ctx context.Context) error {
			return a.client.api.SecretUpdate(ctx, change.ID, version, swarm.SecretSpec{Annotations: annotations})
		})
	}
	return a.client.write(ctx, "ConfigUpdate", func(ctx context.Context) error {
		return a.client.api.ConfigUpdate(ctx, change.ID, version, swarm.ConfigSpec{Annotations: annotations})
	})
}

// remove removes by id, so that an object of the same name that somebody made
// meanwhile stays.
func (a *apply) remove(ctx context.Context, change kargo.Change) error {
	api := a.client.api
	operations := map[kargo.Kind]struct {
		name string
		do   func(context.Context, string) error
	}{
		kargo.KindService: {"ServiceRemove", api.ServiceRemove},
		kargo.KindNetwork: {"NetworkRemove", api.NetworkRemove},
		kargo.KindConfig:  {"ConfigRemove", api.ConfigRemove},
		kargo.KindSecret:  {"SecretRemove", api.SecretRemove},
	}
	operation, ok := operations[change.Kind]
	if !ok {
		return &kargo.Error{Fault: kargo.Internal, Err: errNotPossible}
	}
	err := a.client.write(ctx, operation.name, func(ctx context.Context) error { return operation.do(ctx, change.ID) })
	if isNotFound(err) || change.Kind == kargo.KindNetwork && lingers(err, change.ID) {
		err = nil
	}
	if err == nil && change.Kind == kargo.KindNetwork {
		a.client.names.put(goneNetworks, change.ID, change.Name)
	}
	return err
}

// lingers tells that Swarm has no such network any more, although the node that
// was asked still has its own copy: until the last container that used it is
// cleared away, Docker lists the network and refuses to remove it, with
// status 500.
func lingers(err error, id string) bool {
	return err != nil && strings.HasSuffix(err.Error(), "network "+id+" not found")
}

func isNotFound(err error) bool { return err != nil && errdefs.IsNotFound(err) }
