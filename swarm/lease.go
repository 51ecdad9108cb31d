package swarm

import (
	"context"
	"fmt"
	"strconv"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Labels of the Swarm config that holds the lease of an instance. It has no label of
// ownership, so that no plan removes it.
const (
	labelLease    = "kargo.lease" // the name of the instance
	labelHolder   = "kargo.lease.holder"
	labelName     = "kargo.lease.name"
	labelEpoch    = "kargo.lease.epoch"
	labelRenewal  = "kargo.lease.renewal"
	labelReleased = "kargo.lease.released"
	labelNudge    = "kargo.lease.nudge"
	labelTrigger  = "kargo.lease.trigger"
	labelShared   = "kargo.lease.shared"
)

// Lease returns the lease of an instance. It has version 0 if there is none.
func (c *Client) Lease(ctx context.Context, instance string) (kargo.Lease, error) {
	config, err := c.inspectConfig(ctx, configOf("lease", instance))
	if err != nil {
		return kargo.Lease{}, fmt.Errorf("read the lease of the instance: %w", err)
	}
	if config.ID == "" {
		return kargo.Lease{}, nil
	}
	c.listedConfigs.put(liveConfig(config)) // a plan reads of it which service the controller runs in
	labels := config.Spec.Labels
	number := func(label string) uint64 {
		value, _ := strconv.ParseUint(labels[label], 10, 64) // what somebody wrote by hand counts as 0
		return value
	}
	return kargo.Lease{
		Version: config.Version.Index, Holder: labels[labelHolder], Name: labels[labelName],
		Epoch: number(labelEpoch), Renewal: number(labelRenewal), Released: labels[labelReleased] == "true",
		Nudge: number(labelNudge), Trigger: labels[labelTrigger],
		Shared: labels[labelShared], Service: labels[kargo.LabelLeaseService],
	}, nil
}

// WriteLease writes the lease of an instance if it still has the version that was
// read, and returns it with its new version. Otherwise the error is a Conflict.
func (c *Client) WriteLease(ctx context.Context, instance string, lease kargo.Lease) (kargo.Lease, error) {
	labels := map[string]string{
		labelLease: instance, labelHolder: lease.Holder, labelName: lease.Name,
		labelEpoch: strconv.FormatUint(lease.Epoch, 10), labelRenewal: strconv.FormatUint(lease.Renewal, 10),
		labelReleased: strconv.FormatBool(lease.Released),
		labelNudge:    strconv.FormatUint(lease.Nudge, 10), labelTrigger: lease.Trigger,
		labelShared: lease.Shared, kargo.LabelLeaseService: lease.Service,
	}
	spec := swarm.ConfigSpec{Annotations: swarm.Annotations{Name: configOf("lease", instance), Labels: labels}}
	if lease.Version == 0 {
		spec.Data = []byte("the labels say which controller works\n") // Swarm wants some
		_, err := call(ctx, c, "ConfigCreate", func(ctx context.Context) (swarm.ConfigCreateResponse, error) {
			return c.api.ConfigCreate(ctx, spec)
		})
		if err != nil {
			return lease, fmt.Errorf("create the lease of the instance: %w", err)
		}
	} else {
		err := c.write(ctx, "ConfigUpdate", func(ctx context.Context) error {
			return c.api.ConfigUpdate(ctx, spec.Name, swarm.Version{Index: lease.Version}, spec)
		})
		if err != nil {
			return lease, fmt.Errorf("write the lease of the instance: %w", err)
		}
	}
	// Swarm does not say which version the object has now. Another controller may have
	// written since: then the lease is not what was written.
	written, err := c.Lease(ctx, instance)
	if err == nil && (written.Holder != lease.Holder || written.Epoch != lease.Epoch || written.Renewal < lease.Renewal) {
		err = kargo.Errorf(kargo.Conflict, "another controller wrote the lease of the instance")
	}
	return written, err
}

// ServiceOf returns the name of the service whose task a container of this id is, or
// "". It makes one call, and one more if there is such a task.
func (c *Client) ServiceOf(ctx context.Context, container string) (string, error) {
	tasks, err := c.listTasks(ctx, filters.NewArgs(filters.Arg("desired-state", "running")))
	if err != nil {
		return "", err
	}
	for _, task := range tasks {
		if task.Container != container {
			continue
		}
		if _, err := c.listServices(ctx); err != nil { // for their names
			return "", err
		}
		return c.names.name(serviceNames, task.Service), nil
	}
	return "", nil
}
