package swarmtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"
)

// normalize changes a spec as Swarm's store does: it writes some defaults into it and
// drops what is empty.
func normalize(spec *swarm.ServiceSpec) error {
	spec.Labels = labelsOrEmpty(spec.Labels)
	task := &spec.TaskTemplate
	if task.Runtime == "" {
		task.Runtime = swarm.RuntimeContainer
	}
	if task.Runtime != swarm.RuntimeContainer || task.ContainerSpec == nil {
		return errors.New("mismatched Runtime and *Spec fields")
	}
	if err := normalizeContainer(task.ContainerSpec); err != nil {
		return err
	}
	if err := normalizeRestart(task.RestartPolicy); err != nil {
		return err
	}
	if err := errors.Join(normalizeUpdate(spec.UpdateConfig), normalizeUpdate(spec.RollbackConfig)); err != nil {
		return err
	}
	if err := normalizeEndpoint(spec.EndpointSpec); err != nil {
		return err
	}
	return normalizeMode(&spec.Mode)
}

func normalizeContainer(spec *swarm.ContainerSpec) error {
	if spec.Isolation == "" {
		spec.Isolation = container.IsolationDefault
	}
	for i := range spec.Mounts {
		bound := &spec.Mounts[i]
		if bound.Type == "" {
			bound.Type = mount.TypeBind
		}
		options := bound.BindOptions
		if options == nil {
			continue
		}
		// Swarm knows these two fields only; without them nothing is left.
		bound.BindOptions = nil
		if options.Propagation != "" || options.NonRecursive {
			bound.BindOptions = &mount.BindOptions{Propagation: options.Propagation, NonRecursive: options.NonRecursive}
			if options.Propagation == "" {
				bound.BindOptions.Propagation = mount.PropagationRPrivate
			}
		}
	}
	for _, config := range spec.Configs {
		switch {
		case config.File == nil && config.Runtime == nil:
			return errors.New("invalid Config: either File or Runtime should be set")
		case config.File != nil && config.Runtime != nil:
			return errors.New("invalid Config: cannot specify both File and Runtime")
		}
	}
	if slices.ContainsFunc(spec.Secrets, func(secret *swarm.SecretReference) bool { return secret.File == nil }) {
		return invalid("malformed secret reference, no target provided")
	}
	return nil
}

func normalizeRestart(policy *swarm.RestartPolicy) error {
	if policy == nil {
		return nil
	}
	switch policy.Condition {
	case swarm.RestartPolicyConditionNone, swarm.RestartPolicyConditionOnFailure, swarm.RestartPolicyConditionAny:
	case "":
		policy.Condition = swarm.RestartPolicyConditionAny
	default:
		return fmt.Errorf("invalid RestartCondition: %q", policy.Condition)
	}
	if policy.MaxAttempts == nil {
		policy.MaxAttempts = new(uint64)
	}
	return nil
}

func normalizeUpdate(config *swarm.UpdateConfig) error {
	if config == nil {
		return nil
	}
	switch config.FailureAction {
	case swarm.UpdateFailureActionPause, swarm.UpdateFailureActionContinue, swarm.UpdateFailureActionRollback:
	case "":
		config.FailureAction = swarm.UpdateFailureActionPause
	default:
		return fmt.Errorf("unrecognized update failure action %s", config.FailureAction)
	}
	switch config.Order {
	case swarm.UpdateOrderStopFirst, swarm.UpdateOrderStartFirst:
	case "":
		config.Order = swarm.UpdateOrderStopFirst
	default:
		return fmt.Errorf("unrecognized update order %s", config.Order)
	}
	return nil
}

func normalizeEndpoint(endpoint *swarm.EndpointSpec) error {
	if endpoint == nil {
		return nil
	}
	switch endpoint.Mode {
	case swarm.ResolutionModeVIP, swarm.ResolutionModeDNSRR:
	case "":
		endpoint.Mode = swarm.ResolutionModeVIP
	default:
		return fmt.Errorf("invalid resolution mode: %q", endpoint.Mode)
	}
	for i := range endpoint.Ports {
		published := &endpoint.Ports[i]
		if published.Protocol == "" {
			published.Protocol = swarm.PortConfigProtocolTCP
		}
		if published.PublishMode == "" {
			published.PublishMode = swarm.PortConfigPublishModeIngress
		}
	}
	return nil
}

func normalizeMode(mode *swarm.ServiceMode) error {
	modes := 0
	for _, set := range []bool{mode.Global != nil, mode.Replicated != nil, mode.ReplicatedJob != nil, mode.GlobalJob != nil} {
		if set {
			modes++
		}
	}
	if modes > 1 {
		return errors.New("must specify only one service mode")
	}
	one := uint64(1)
	switch {
	case mode.Global != nil, mode.GlobalJob != nil:
	case mode.ReplicatedJob != nil:
		if mode.ReplicatedJob.MaxConcurrent == nil {
			mode.ReplicatedJob.MaxConcurrent = &one
		}
		if mode.ReplicatedJob.TotalCompletions == nil {
			mode.ReplicatedJob.TotalCompletions = mode.ReplicatedJob.MaxConcurrent
		}
	case mode.Replicated == nil:
		mode.Replicated = &swarm.ReplicatedService{Replicas: &one}
	case mode.Replicated.Replicas == nil:
		mode.Replicated.Replicas = &one
	}
	return nil
}

// unpinned returns an image as Docker shows it to people, without its digest.
func unpinned(image string) string {
	image, _, _ = strings.Cut(image, "@")
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	return reference.FamiliarString(reference.TagNameOnly(named))
}
