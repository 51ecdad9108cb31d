package controller

import (
	"context"
	"fmt"
	"strings"

	"kargo"
)

// check is the health check of a service, as far as its compose file says.
type check struct {
	test    []string
	retries int
}

// defaultRetries is how often a check fails in a row until Docker calls its
// container unhealthy, if nothing is said.
const defaultRetries = 3

// healthCheck returns the health check of the service of a task, or nil. One that
// only the image has is not known here.
func healthCheck(stack kargo.Stack, task kargo.Task) *check {
	for _, service := range stack.Services {
		container := service.Spec.TaskTemplate.ContainerSpec
		if service.Name != task.Service || container == nil || container.Healthcheck == nil {
			continue
		}
		health := container.Healthcheck
		if len(health.Test) == 0 || health.Test[0] == "NONE" {
			return nil
		}
		found := check{health.Test, health.Retries}
		if found.retries == 0 {
			found.retries = defaultRetries
		}
		return &found
	}
	return nil
}

// String names the test, and how often it fails until a container is unhealthy.
func (c check) String() string {
	return fmt.Sprintf("its health check %q counts as failed after %d failures in a row", strings.Join(c.test[min(1, len(c.test)-1):], " "), c.retries)
}

// lastProbe says how the last health checks of a task ended, if they failed.
func (r rollouts) lastProbe(ctx context.Context, task kargo.Task) []string {
	if task.Container == "" {
		return nil
	}
	probes, err := r.parts.Swarm.Probes(ctx, task.Container)
	if err != nil {
		r.parts.Log.Debug("cannot read the health checks of a failed task", "task", task.ID, "error", err)
	}
	failures := 0
	for failures < len(probes) && probes[failures].ExitCode != 0 {
		failures++
	}
	if failures == 0 {
		return nil
	}
	output := kargo.PrintableLine(strings.TrimSpace(probes[0].Output))
	return []string{r.view.mask().Text(fmt.Sprintf("health check: failed %d times in a row, the last time with exit code %d: %s", failures, probes[0].ExitCode, output))}
}
