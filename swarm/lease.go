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
	labelAside    = "kargo.lease.aside"
)

// asideOf is the purpose of the config that holds what is too large for the lease. It begins
// as that of the lease does, so that nobody looks at the Swarm because of it. No name of an
// instance begins like its end.
const asideOf = "lease-_aside"

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
		Shared: labels[labelShared], Aside: labels[labelAside], Service: labels[kargo.LabelLeaseService],
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
	if lease.Aside != "" {
		labels[labelAside] = lease.Aside
	}
	if err := c.writeLabels(ctx, configOf("lease", instance), lease.Version, labels); err != nil {
		return lease, fmt.Errorf("write the lease of the instance: %w", err)
	}
	// Swarm does not say which version the object has now. Another controller may have
	// written since: then the lease is not what was written.
	written, err := c.Lease(ctx, instance)
	if err == nil && (written.Holder != lease.Holder || written.Epoch != lease.Epoch || written.Renewal < lease.Renewal) {
		err = kargo.Errorf(kargo.Conflict, "another controller wrote the lease of the instance")
	}
	return written, err
}

// Aside returns what lies beside the lease of an instance. It has version 0 if nothing does.
func (c *Client) Aside(ctx context.Context, instance string) (kargo.Aside, error) {
	config, err := c.inspectConfig(ctx, configOf(asideOf, instance))
	if err != nil {
		return kargo.Aside{}, fmt.Errorf("read what lies beside the lease of the instance: %w", err)
	}
	return kargo.Aside{Version: config.Version.Index, Shared: config.Spec.Labels[labelShared]}, nil
}

// WriteAside writes what lies beside the lease if it still has the version that was read.
// Otherwise the error is a Conflict.
func (c *Client) WriteAside(ctx context.Context, instance string, aside kargo.Aside) error {
	labels := map[string]string{labelLease: instance, labelShared: aside.Shared}
	if err := c.writeLabels(ctx, configOf(asideOf, instance), aside.Version, labels); err != nil {
		return fmt.Errorf("write what lies beside the lease of the instance: %w", err)
	}
	return nil
}

// writeLabels writes the labels of a config that has a version, or creates it with them if
// that is 0.
func (c *Client) writeLabels(ctx context.Context, name string, version uint64, labels map[string]string) error {
	spec := swarm.ConfigSpec{Annotations: swarm.Annotations{Name: name, Labels: labels}}
	if version != 0 {
		return c.write(ctx, "ConfigUpdate", func(ctx context.Context) error {
			return c.api.ConfigUpdate(ctx, name, swarm.Version{Index: version}, spec)
		})
	}
	spec.Data = []byte("the labels say which controller works\n") // Swarm wants some
	_, err := call(ctx, c, "ConfigCreate", func(ctx context.Context) (swarm.ConfigCreateResponse, error) {
		return c.api.ConfigCreate(ctx, spec)
	})
	return err
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
