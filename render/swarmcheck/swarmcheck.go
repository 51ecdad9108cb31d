// Package swarmcheck asks Swarm's own validation what it would refuse. It runs
// swarmkit's control API in memory, after the conversion that dockerd makes, so
// there is no copy of the rules here. What only a node can refuse, when it
// creates the container, is checked with the functions that dockerd uses there,
// as far as they are exported.
//
// The package is pure: it talks to no Swarm.
package swarmcheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/daemon/cluster/convert"
	"github.com/moby/swarmkit/v2/api"
	"github.com/moby/swarmkit/v2/manager/constraint"
	"github.com/moby/swarmkit/v2/manager/controlapi"
	"github.com/moby/swarmkit/v2/manager/state"
	"github.com/moby/swarmkit/v2/manager/state/store"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kargo"
	"kargo/pattern"
)

// noContext is handed to the control API, which does not use it in memory.
var noContext context.Context

// Swarm validates specs. It is a control API without a Swarm behind it.
type Swarm struct {
	store *store.MemoryStore
	api   *controlapi.Server
}

// New returns a Swarm to ask. The caller closes it.
func New() *Swarm {
	memory := store.NewMemoryStore(empty{})
	return &Swarm{store: memory, api: controlapi.NewServer(memory, nil, nil, anyDriver{}, nil)}
}

// empty is the log of a Swarm that stays empty: what was accepted is not stored.
type empty struct{}

var errAccepted = errors.New("accepted")

// ProposeValue implements state.Proposer.
func (empty) ProposeValue(context.Context, []api.StoreAction, func()) error { return errAccepted }

// GetVersion implements state.Proposer.
func (empty) GetVersion() *api.Version { return &api.Version{} }

// ChangesBetween implements state.Proposer.
func (empty) ChangesBetween(api.Version, api.Version) ([]state.Change, error) { return nil, nil }

// absent is the id of a service that does not exist.
const absent = "absent"

// Close ends what New started.
func (s *Swarm) Close() error { return s.store.Close() }

// anyDriver accepts every driver of networks: which there are, the managers
// know.
type anyDriver struct{}

func (anyDriver) ValidateIPAMDriver(*api.Driver) error           { return nil }
func (anyDriver) ValidateIngressNetworkDriver(*api.Driver) error { return nil }
func (anyDriver) ValidateNetworkDriver(*api.Driver) error        { return nil }

// Service returns the first reason for which Swarm refuses a service; nil where
// it accepts it. Configs and secrets are not checked, as they have no ids yet.
// Each service is validated as if there were no other.
func (s *Swarm) Service(spec swarm.ServiceSpec) error {
	converted, err := convert.ServiceSpecToGRPC(withoutReferences(spec))
	if err != nil {
		return err
	}
	// An update is validated as a creation is. Only then Swarm looks for the service.
	_, err = s.api.UpdateService(noContext, &api.UpdateServiceRequest{ServiceID: absent, ServiceVersion: &api.Version{}, Spec: &converted})
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return refusal(err)
}

// costly is a template that may take long to expand, or become very long: it
// repeats, or pads. Those are not tried.
var costly = pattern.Lazy(`(?s)\{\{.*(?:\b(?:define|block|template|range)\b|%[^a-zA-Z%]*[0-9*])`)

// tried returns the text to try to expand. It is empty if that may be costly.
func tried(text string) string {
	if costly().MatchString(text) {
		return ""
	}
	return text
}

// templates returns the texts that are templates, without costly ones.
func templates(texts []string) (all []string) {
	for _, text := range texts {
		if isTemplate(text) && !costly().MatchString(text) {
			all = append(all, text)
		}
	}
	return all
}

// withoutReferences returns a spec without configs and secrets, and without
// costly templates.
func withoutReferences(spec swarm.ServiceSpec) swarm.ServiceSpec {
	if spec.TaskTemplate.ContainerSpec == nil {
		return spec
	}
	container := *spec.TaskTemplate.ContainerSpec
	container.Configs, container.Secrets = nil, nil
	container.Hostname = tried(container.Hostname)
	container.Env = templates(container.Env) // others expand to themselves
	container.Mounts = slices.DeleteFunc(slices.Clone(container.Mounts), func(m mount.Mount) bool {
		return costly().MatchString(fmt.Sprint(m, m.VolumeOptions, driverOf(m)))
	})
	if container.Privileges != nil && container.Privileges.CredentialSpec != nil {
		privileges := *container.Privileges
		privileges.CredentialSpec = nil
		container.Privileges = &privileges
	}
	spec.TaskTemplate.ContainerSpec = &container
	return spec
}

// driverOf returns the driver of a volume with its options.
func driverOf(m mount.Mount) mount.Driver {
	if m.VolumeOptions == nil || m.VolumeOptions.DriverConfig == nil {
		return mount.Driver{}
	}
	return *m.VolumeOptions.DriverConfig
}

// Network returns the reason for which Swarm refuses a network; nil where it
// accepts it.
func (s *Swarm) Network(n kargo.Network) error {
	spec := convert.BasicNetworkCreateToGRPC(network.CreateRequest{
		Name: n.Name,
		CreateOptions: network.CreateOptions{
			Driver: n.Driver, IPAM: n.IPAM, Internal: n.Internal, Attachable: n.Attachable, Options: n.Options, Labels: n.Labels,
		},
	})
	_, err := s.api.CreateNetwork(noContext, &api.CreateNetworkRequest{Spec: &spec})
	if errors.Is(err, errAccepted) {
		return nil
	}
	return refusal(err)
}

// Constraint returns the reason for which Swarm refuses a placement constraint.
func Constraint(text string) error {
	_, err := constraint.Parse([]string{text})
	return err
}

// refusal returns the reason in a response of the control API. It ignores that
// there is no ingress network, which is only true here.
func refusal(err error) error {
	if err == nil || status.Code(err) == codes.FailedPrecondition {
		return nil
	}
	reason := status.Convert(err).Message()
	for _, prefix := range []string{"EndpointSpec: ", "TaskSpec: ", "ContainerSpec: "} {
		reason = strings.TrimPrefix(reason, prefix)
	}
	return errors.New(reason)
}
