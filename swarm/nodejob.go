package swarm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

const (
	// jobRest is the pause between two looks at a job on all nodes.
	jobRest = 2 * time.Second
	// jobLines is how many lines of each node's log are reported.
	jobLines = 20
	// dockerSocket is the path of Docker's socket on nodes.
	dockerSocket = "/var/run/docker.sock"
)

// RunOnNodes runs a program once on every node that accepts tasks. It waits until the
// program has ended everywhere or ctx ends, and returns what it printed, by node. It
// removes the job then, and any job that an earlier process left.
func (c *Client) RunOnNodes(ctx context.Context, job kargo.NodeJob) (reports []kargo.NodeReport, err error) {
	if err := c.removeJobs(ctx, job.Instance); err != nil {
		return nil, err
	}
	created, err := call(ctx, c, "ServiceCreate", func(ctx context.Context) (swarm.ServiceCreateResponse, error) {
		return c.api.ServiceCreate(ctx, jobSpec(job), swarm.ServiceCreateOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("create job %s: %w", job.Name, err)
	}
	c.names.put(serviceNames, created.ID, job.Name)
	defer func() {
		err = errors.Join(err, c.removeJobs(context.WithoutCancel(ctx), job.Instance))
	}()
	tasks, err := c.awaitJob(ctx, job.Name)
	if err != nil {
		return nil, err
	}
	return c.reports(ctx, tasks)
}

// jobSpec returns the spec of a global job that has Docker's socket. It needs root to
// open the socket, and no other right.
func jobSpec(job kargo.NodeJob) swarm.ServiceSpec {
	return swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: job.Name, Labels: map[string]string{kargo.LabelJob: job.Instance}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{
				Image: job.Image, Args: job.Args, User: "0", ReadOnly: true, CapabilityDrop: []string{"ALL"},
				Mounts:      []mount.Mount{{Type: mount.TypeBind, Source: dockerSocket, Target: dockerSocket}},
				Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
			},
			RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionNone},
			Placement:     &swarm.Placement{}, // see outgoing
		},
		Mode: swarm.ServiceMode{GlobalJob: &swarm.GlobalJob{}},
	}
}

func (c *Client) removeJobs(ctx context.Context, instance string) error {
	jobs, err := call(ctx, c, "ServiceList", func(ctx context.Context) ([]swarm.Service, error) {
		return c.api.ServiceList(ctx, swarm.ServiceListOptions{Filters: filters.NewArgs(filters.Arg("label", kargo.LabelJob+"="+instance))})
	})
	if err != nil {
		return fmt.Errorf("list jobs: %w", err)
	}
	for _, job := range jobs {
		err := c.write(ctx, "ServiceRemove", func(ctx context.Context) error { return c.api.ServiceRemove(ctx, job.ID) })
		if err != nil && !isNotFound(err) {
			return fmt.Errorf("remove job %s: %w", job.Spec.Name, err)
		}
	}
	return nil
}

// awaitJob looks until all tasks of a job have ended. Swarm may not have created all
// of them at the first look, so two looks in a row must have the same number.
func (c *Client) awaitJob(ctx context.Context, name string) ([]kargo.Task, error) {
	before := 0
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for job %s: %w", name, classify(ctx.Err()))
		case <-time.After(jobRest):
		}
		tasks, err := c.Tasks(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(tasks) > 0 && len(tasks) == before && !slices.ContainsFunc(tasks, func(task kargo.Task) bool { return !task.Ended() }) {
			return tasks, nil
		}
		before = len(tasks)
	}
}

// reports returns what the tasks of a job printed, by the name of their node.
func (c *Client) reports(ctx context.Context, tasks []kargo.Task) ([]kargo.NodeReport, error) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	reports := make([]kargo.NodeReport, 0, len(tasks))
	for _, task := range tasks {
		report := kargo.NodeReport{Node: task.Node}
		for _, node := range nodes {
			if node.ID == task.Node {
				report.Node = node.Hostname
			}
		}
		if swarm.TaskState(task.State) != swarm.TaskStateComplete {
			report.Err = task.Err
		}
		lines, err := c.LogTail(ctx, task.ID, jobLines)
		if err != nil {
			report.Err = strings.TrimPrefix(report.Err+"; "+kargo.Explain(err), "; ")
		}
		report.Said = strings.Join(lines, "\n")
		reports = append(reports, report)
	}
	slices.SortFunc(reports, func(a, b kargo.NodeReport) int { return strings.Compare(a.Node, b.Node) })
	return reports, nil
}
