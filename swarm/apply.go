package swarm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
)

// Apply carries out the changes of a plan, one write for each. It decides nothing,
// repeats nothing and waits for nothing.
//
// Changes are sent in order, one after the other. Only creations that follow each other
// are sent side by side if they are of several stacks, a few at once. sending is called
// with the changes that are sent next, before the first of them is sent. done is called
// after each change, in the order of the plan. Both are called by the caller's goroutine,
// and may be nil.
//
// After an error Apply skips the later changes of the same stack, without a call of done,
// because they may need the one that failed. It goes on with other stacks. It also goes
// on after an object without a stack, such as a shared network, and after the removal of
// an object that is in use. The removal of an object that is gone already succeeds.
//
// When Docker is out of reach or ctx ends, Apply sends nothing more, and returns once
// what is under way is answered. The error joins those of all changes, and kargo.FaultOf
// returns the fault that matters most to the loop.
func (c *Client) Apply(ctx context.Context, plan kargo.Plan, sending func([]kargo.Change), done func(kargo.Change, error)) error {
	failed, stopped := map[string]bool{}, false
	var errs []error
	for group, rest := nextGroup(plan.Changes, failed); len(group) > 0 && !stopped; group, rest = nextGroup(rest, failed) {
		if err := ctx.Err(); err != nil {
			errs = append(errs, stoppedBefore(group[0], classify(err)))
			break
		}
		if sending != nil {
			sending(group)
		}
		writer{c}.sendTogether(ctx, group, func(o outcome) {
			change, err := group[o.index], o.err
			switch {
			case !o.sent && err != nil && !stopped:
				errs, stopped = append(errs, stoppedBefore(change, err)), true
				return
			case !o.sent:
				return
			case err != nil:
				err = fmt.Errorf("%s %s %s: %w", change.Action, change.Kind, change.Name, err)
				errs = append(errs, err)
				stopped = stopped || isOutOfReach(err)
				failed[change.Stack] = change.Stack != "" && !stillInUse(change, err)
			}
			if done != nil {
				done(change, err)
			}
		})
	}
	return errors.Join(errs...)
}

// stoppedBefore returns the error of a change that was not sent any more.
func stoppedBefore(change kargo.Change, cause error) error {
	return fmt.Errorf("stop before %s %s %s: %w", change.Action, change.Kind, change.Name, cause)
}

// stillInUse reports whether Swarm refuses a removal only for now: tasks or a
// rolling update still need the object.
func stillInUse(change kargo.Change, err error) bool {
	return change.Action == kargo.Remove && change.Kind != kargo.KindService && kargo.FaultOf(err) == kargo.Conflict
}

// writer carries out changes.
type writer struct{ *Client }

// carryOut makes the write of one change.
func (w writer) carryOut(ctx context.Context, change kargo.Change) error {
	if err := change.Check(); err != nil {
		return err
	}
	write := writeOf(change)
	if write == nil {
		return kargo.Errorf(kargo.Internal, "the plan is to %s a %s, which Swarm cannot do", change.Action, change.Kind)
	}
	return write(w, ctx, change)
}

func (w writer) createService(ctx context.Context, change kargo.Change) error {
	spec, err := w.outgoing(ctx, change)
	if err != nil {
		return err
	}
	auth, err := w.auth(change)
	if err != nil {
		return err
	}
	created, err := call(ctx, w.Client, "ServiceCreate", func(ctx context.Context) (swarm.ServiceCreateResponse, error) {
		return w.api.ServiceCreate(ctx, spec, swarm.ServiceCreateOptions{EncodedRegistryAuth: auth})
	})
	if err != nil {
		w.forgetReferences(*change.Service)
		return err
	}
	w.names.put(serviceNames, created.ID, change.Name)
	return nil
}

func (w writer) updateService(ctx context.Context, change kargo.Change) error {
	spec, err := w.outgoing(ctx, change)
	if err != nil {
		return err
	}
	auth, err := w.auth(change)
	if err != nil {
		return err
	}
	w.clock.writes(change.ID, time.Now())
	// If no credential is sent, Swarm keeps the one that it has.
	err = w.write(ctx, "ServiceUpdate", func(ctx context.Context) error {
		_, err := w.api.ServiceUpdate(ctx, change.ID, swarm.Version{Index: change.Version}, spec,
			swarm.ServiceUpdateOptions{EncodedRegistryAuth: auth})
		return err
	})
	if err != nil {
		w.forgetReferences(*change.Service)
	}
	return err
}

func (w writer) createNetwork(ctx context.Context, change kargo.Change) error {
	wanted := change.Network
	driver := wanted.Driver
	if driver == "" {
		driver = "overlay"
	}
	created, err := call(ctx, w.Client, "NetworkCreate", func(ctx context.Context) (network.CreateResponse, error) {
		return w.api.NetworkCreate(ctx, wanted.Name, network.CreateOptions{
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
	w.names.put(networkNames, created.ID, wanted.Name)
	return nil
}

func (w writer) createConfig(ctx context.Context, change kargo.Change) error {
	w.listedConfigs.drop()
	wanted := *change.Config
	created, err := call(ctx, w.Client, "ConfigCreate", func(ctx context.Context) (swarm.ConfigCreateResponse, error) {
		return w.api.ConfigCreate(ctx, swarm.ConfigSpec{
			Annotations: annotations(wanted), Data: wanted.Data, Templating: templating(wanted),
		})
	})
	if err == nil {
		w.names.put(configIDs, wanted.Name, created.ID)
	}
	return err
}

func (w writer) createSecret(ctx context.Context, change kargo.Change) error {
	wanted := *change.Config
	created, err := call(ctx, w.Client, "SecretCreate", func(ctx context.Context) (swarm.SecretCreateResponse, error) {
		return w.api.SecretCreate(ctx, swarm.SecretSpec{
			Annotations: annotations(wanted), Data: wanted.Data, Templating: templating(wanted),
		})
	})
	if err == nil {
		w.names.put(secretIDs, wanted.Name, created.ID)
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

// removeByID removes an object by its id, so that one of the same name that
// somebody made meanwhile stays. One that is gone already counts as removed.
func (w writer) removeByID(ctx context.Context, operation string, remove func(context.Context, string) error, id string) error {
	err := w.write(ctx, operation, func(ctx context.Context) error { return remove(ctx, id) })
	if isNotFound(err) {
		return nil
	}
	return err
}

func (w writer) removeService(ctx context.Context, change kargo.Change) error {
	return w.removeByID(ctx, "ServiceRemove", w.api.ServiceRemove, change.ID)
}

func (w writer) removeConfig(ctx context.Context, change kargo.Change) error {
	w.listedConfigs.drop()
	return w.removeByID(ctx, "ConfigRemove", w.api.ConfigRemove, change.ID)
}

func (w writer) removeSecret(ctx context.Context, change kargo.Change) error {
	return w.removeByID(ctx, "SecretRemove", w.api.SecretRemove, change.ID)
}

func (w writer) removeNetwork(ctx context.Context, change kargo.Change) error {
	err := w.removeByID(ctx, "NetworkRemove", w.api.NetworkRemove, change.ID)
	if lingers(err, change.ID) {
		err = nil
	}
	if err != nil && strings.Contains(err.Error(), inUse+" task") {
		err = w.whoUses(ctx, change, err)
	}
	if err == nil {
		w.names.put(goneNetworks, change.ID, change.Name)
	}
	return err
}

// taskContainer matches the names of containers that are tasks of services.
var taskContainer = pattern.Lazy(`\.[a-z0-9]{25}$`)

// whoUses returns the refusal to remove a network that a task uses, with the names of
// the containers that a person attached to it. Swarm itself names the task of such a
// container, which is in no list. Tasks of services are none of those: Swarm names
// their service, or ignores them once it is removed.
func (w writer) whoUses(ctx context.Context, change kargo.Change, refusal error) error {
	found, err := call(ctx, w.Client, "NetworkInspect", func(ctx context.Context) (network.Inspect, error) {
		return w.api.NetworkInspect(ctx, change.ID, network.InspectOptions{})
	})
	if err != nil {
		return refusal // the network is gone, or Docker is: the next look shows it
	}
	var containers []string
	for id, user := range found.Containers {
		balancer := strings.HasPrefix(id, "lb-") // Swarm's own end of the network
		if !balancer && !taskContainer().MatchString(user.Name) {
			containers = append(containers, user.Name)
		}
	}
	slices.Sort(containers)
	inUse := &kargo.InUseError{Network: change.Name, Containers: containers}
	return &kargo.Error{Fault: kargo.Conflict, Err: inUse, Hint: inUse.Remedy()}
}

// lingers reports whether Swarm has removed a network of which the manager's node
// still has a copy. Until the last container that used it is cleaned up, Docker
// lists the network and refuses its removal with status 500.
func lingers(err error, id string) bool {
	return err != nil && strings.HasSuffix(err.Error(), "network "+id+" not found")
}

func isNotFound(err error) bool { return err != nil && errdefs.IsNotFound(err) }
