package swarm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"

	"kargo"
)

// Observe is the full look: four calls to Docker, and one more for the tasks
// where they can matter. Its lists are sorted by name.
//
// All tasks are read, and TasksKnown set, if a stack of Kargo's has a network,
// config or secret that no service names: it may be gone only after the tasks
// that still hold it. Those are there even if their service is not, with their
// networks in [kargo.Task].Networks. Else only the tasks of services short of
// them are read, if there are any. Of those services the newest failed task of
// each slot is there too; other tasks that have ended never are.
func (c *Client) Observe(ctx context.Context) (kargo.Cluster, error) {
	services, err := c.listServices(ctx)
	if err != nil {
		return kargo.Cluster{}, err
	}
	var cluster kargo.Cluster
	if cluster.Networks, err = c.observeNetworks(ctx); err != nil {
		return kargo.Cluster{}, err
	}
	configs, err := c.observeConfigs(ctx)
	if err != nil {
		return kargo.Cluster{}, err
	}
	secrets, err := c.observeSecrets(ctx)
	if err != nil {
		return kargo.Cluster{}, err
	}
	cluster.Configs = append(configs, secrets...)
	slices.SortStableFunc(cluster.Configs, func(a, b kargo.LiveConfig) int { return strings.Compare(a.Name, b.Name) })
	if cluster.Services, err = c.translateServices(ctx, services); err != nil {
		return kargo.Cluster{}, err
	}
	if err := c.observeTasks(ctx, &cluster); err != nil {
		return kargo.Cluster{}, err
	}
	return cluster, nil
}

// Services is the light look: one call to Docker, services only, sorted by
// name and translated as in Observe. Only a network that no look has met
// before costs one call more, once.
func (c *Client) Services(ctx context.Context) ([]kargo.LiveService, error) {
	services, err := c.listServices(ctx)
	if err != nil {
		return nil, err
	}
	return c.translateServices(ctx, services)
}

// listServices reads all services and learns their names.
func (c *Client) listServices(ctx context.Context) ([]swarm.Service, error) {
	services, err := call(ctx, c, "ServiceList", func(ctx context.Context) ([]swarm.Service, error) {
		return c.api.ServiceList(ctx, swarm.ServiceListOptions{Status: true})
	})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	named := map[string]string{}
	for _, service := range services {
		if service.ServiceStatus == nil {
			return nil, &kargo.Error{
				Fault: kargo.Unavailable,
				Err:   fmt.Errorf("list services: Docker does not count the tasks of service %s", service.Spec.Name),
				Hint:  tooOld,
			}
		}
		named[service.ID] = service.Spec.Name
	}
	c.names.replace(serviceNames, named)
	return services, nil
}

func (c *Client) translateServices(ctx context.Context, services []swarm.Service) ([]kargo.LiveService, error) {
	live := make([]kargo.LiveService, 0, len(services))
	for _, service := range services {
		if err := c.learnNetworks(ctx, &service.Spec); err != nil {
			return nil, err
		}
		if err := c.learnNetworks(ctx, service.PreviousSpec); err != nil {
			return nil, err
		}
		live = append(live, c.names.liveService(service))
	}
	slices.SortFunc(live, func(a, b kargo.LiveService) int { return strings.Compare(a.Name, b.Name) })
	return live, nil
}

// learnNetworks asks for the name of each network of a spec that is not known:
// one made since the last Observe, one that Docker leaves out of its list
// ("host"), or one that is gone and only a PreviousSpec remembers.
func (c *Client) learnNetworks(ctx context.Context, spec *swarm.ServiceSpec) error {
	if spec == nil {
		return nil
	}
	for _, attachment := range slices.Concat(spec.TaskTemplate.Networks, deprecatedNetworks(spec)) {
		if _, known := c.names.get(networkNames, attachment.Target); known {
			continue
		}
		name, err := c.networkName(ctx, attachment.Target)
		if err != nil {
			return err
		}
		c.names.put(networkNames, attachment.Target, name)
	}
	return nil
}

func (c *Client) networkName(ctx context.Context, id string) (string, error) {
	found, err := call(ctx, c, "NetworkInspect", func(ctx context.Context) (network.Inspect, error) {
		return c.api.NetworkInspect(ctx, id, network.InspectOptions{})
	})
	switch {
	case isNotFound(err):
		return id, nil
	case err != nil:
		return "", fmt.Errorf("look up network %s: %w", id, err)
	}
	return found.Name, nil
}

// observeNetworks leaves out those that linger on the node after they were
// removed from Swarm, see lingers.
func (c *Client) observeNetworks(ctx context.Context) ([]kargo.LiveNetwork, error) {
	networks, err := call(ctx, c, "NetworkList", func(ctx context.Context) ([]network.Summary, error) {
		return c.api.NetworkList(ctx, network.ListOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	live := make([]kargo.LiveNetwork, 0, len(networks))
	lingering := map[string]string{}
	for _, found := range networks {
		if _, gone := c.names.get(goneNetworks, found.ID); gone {
			lingering[found.ID] = found.Name
			continue
		}
		c.names.put(networkNames, found.ID, found.Name)
		live = append(live, kargo.LiveNetwork{
			Local: found.Scope != "swarm",
			ID:    found.ID, Name: found.Name, Driver: found.Driver,
			Attachable: found.Attachable, Internal: found.Internal, Ingress: found.Ingress,
			Labels: found.Labels, Created: found.Created,
		})
	}
	c.names.replace(goneNetworks, lingering)
	slices.SortFunc(live, func(a, b kargo.LiveNetwork) int { return strings.Compare(a.Name, b.Name) })
	return live, nil
}

// observeConfigs drops the contents at once: Docker has no way to leave them
// out, and the name already says what they are.
func (c *Client) observeConfigs(ctx context.Context) ([]kargo.LiveConfig, error) {
	configs, err := call(ctx, c, "ConfigList", func(ctx context.Context) ([]swarm.Config, error) {
		return c.api.ConfigList(ctx, swarm.ConfigListOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("list configs: %w", err)
	}
	ids := map[string]string{}
	live := make([]kargo.LiveConfig, 0, len(configs))
	for _, config := range configs {
		ids[config.Spec.Name] = config.ID
		found := kargo.LiveConfig{ID: config.ID, Name: config.Spec.Name, Version: config.Version.Index, Labels: config.Spec.Labels}
		if config.Spec.Templating == nil { // of a template the content alone says little
			found.Digest = digestOf(config.Spec.Data)
		}
		live = append(live, found)
	}
	c.names.replace(configIDs, ids)
	return live, nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (c *Client) observeSecrets(ctx context.Context) ([]kargo.LiveConfig, error) {
	secrets, err := call(ctx, c, "SecretList", func(ctx context.Context) ([]swarm.Secret, error) {
		return c.api.SecretList(ctx, swarm.SecretListOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	ids := map[string]string{}
	live := make([]kargo.LiveConfig, 0, len(secrets))
	for _, secret := range secrets {
		ids[secret.Spec.Name] = secret.ID
		live = append(live, kargo.LiveConfig{
			ID: secret.ID, Name: secret.Spec.Name, Secret: true, Version: secret.Version.Index, Labels: secret.Spec.Labels,
		})
	}
	c.names.replace(secretIDs, ids)
	return live, nil
}

// observeTasks reads the tasks if they can matter.
func (c *Client) observeTasks(ctx context.Context, cluster *kargo.Cluster) error {
	short := map[string]bool{}
	only := filters.NewArgs()
	for _, service := range cluster.Services {
		if shortOfTasks(service) {
			short[service.Name] = true
			only.Add("service", service.ID)
		}
	}
	leftovers := hasLeftovers(*cluster)
	if leftovers {
		only = filters.NewArgs() // tasks of a service that is gone have no filter
	} else if len(short) == 0 {
		return nil
	}
	tasks, err := c.listTasks(ctx, only)
	if isNotFound(err) {
		// One of the services was removed just now.
		tasks, err = c.listTasks(ctx, filters.NewArgs())
	}
	if err != nil {
		return err
	}
	cluster.Tasks, cluster.TasksKnown = notable(tasks, short), leftovers
	return nil
}

// listTasks answers the newest first.
func (c *Client) listTasks(ctx context.Context, only filters.Args) ([]kargo.Task, error) {
	tasks, err := call(ctx, c, "TaskList", func(ctx context.Context) ([]swarm.Task, error) {
		return c.api.TaskList(ctx, swarm.TaskListOptions{Filters: only})
	})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	slices.SortStableFunc(tasks, func(a, b swarm.Task) int { return b.CreatedAt.Compare(a.CreatedAt) })
	translated := make([]kargo.Task, 0, len(tasks))
	for _, task := range tasks {
		translated = append(translated, c.names.task(task))
	}
	return translated, nil
}

// Tasks are all tasks of the services that Swarm remembers, the newest first,
// with what they say of themselves. One call, and one more for the names of
// the nodes on which tasks failed.
func (c *Client) Tasks(ctx context.Context, services ...string) ([]kargo.Task, error) {
	only := filters.NewArgs()
	for _, service := range services {
		only.Add("service", service)
	}
	tasks, err := c.listTasks(ctx, only)
	if err != nil {
		return nil, err
	}
	return tasks, c.nameNodes(ctx, tasks)
}

// nameNodes puts the names of nodes in the place of their ids, where a task
// failed or cannot start: only then does a person want to know. One call for a
// node that was never asked for.
func (c *Client) nameNodes(ctx context.Context, tasks []kargo.Task) error {
	for i, task := range tasks {
		state := swarm.TaskState(task.State)
		if task.Node == "" || state != swarm.TaskStateFailed && state != swarm.TaskStateRejected && task.Err == "" {
			continue
		}
		name, known := c.names.get(nodeNames, task.Node)
		if !known {
			if _, err := c.Nodes(ctx); err != nil {
				return err
			}
			name = c.names.name(nodeNames, task.Node)
			c.names.put(nodeNames, task.Node, name) // one that has left keeps its id
		}
		tasks[i].Node = name
	}
	return nil
}

// maxLog bounds what is read of a log, in bytes.
const maxLog = 16 << 10

// LogTail is the end of a task's log, at most so many lines, as the task wrote
// them. What it says may be secret.
func (c *Client) LogTail(ctx context.Context, task string, lines int) ([]string, error) {
	text, err := call(ctx, c, "TaskLogs", func(ctx context.Context) (string, error) {
		stream, err := c.api.TaskLogs(ctx, task, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines)})
		if err != nil {
			return "", err
		}
		defer stream.Close()
		var text bytes.Buffer
		_, err = stdcopy.StdCopy(&text, &text, io.LimitReader(stream, maxLog))
		return text.String(), err
	})
	if err != nil {
		return nil, fmt.Errorf("read log of task %s: %w", task, err)
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), nil
}

// shortOfTasks tells whether fewer tasks run, or have completed, than should.
func shortOfTasks(service kargo.LiveService) bool {
	if job := service.Spec.Mode.ReplicatedJob; job != nil {
		return job.TotalCompletions != nil && service.Completed < *job.TotalCompletions
	}
	return service.Running < service.Desired
}

// hasLeftovers tells whether a stack of Kargo's has a network, config or secret
// that no service names, in its spec or in the one it would roll back to.
// Whether that can go is a question to all tasks.
func hasLeftovers(cluster kargo.Cluster) bool {
	used := map[string]bool{}
	for _, service := range cluster.Services {
		for _, spec := range []*swarm.ServiceSpec{&service.Spec, service.Previous} {
			if spec == nil {
				continue
			}
			for _, name := range mentioned(spec) {
				used[name] = true
			}
		}
	}
	leftover := func(name string, labels map[string]string) bool {
		return labels[kargo.LabelInstance] != "" && labels[kargo.LabelStack] != "" && !used[name]
	}
	return slices.ContainsFunc(cluster.Networks, func(n kargo.LiveNetwork) bool { return leftover(n.Name, n.Labels) }) ||
		slices.ContainsFunc(cluster.Configs, func(c kargo.LiveConfig) bool { return leftover(c.Name, c.Labels) })
}

// mentioned are the names of the networks, configs and secrets of a spec.
func mentioned(spec *swarm.ServiceSpec) []string {
	var names []string
	for _, attachment := range slices.Concat(spec.TaskTemplate.Networks, deprecatedNetworks(spec)) {
		names = append(names, attachment.Target)
	}
	if container := spec.TaskTemplate.ContainerSpec; container != nil {
		for _, config := range container.Configs {
			names = append(names, config.ConfigName)
		}
		for _, secret := range container.Secrets {
			names = append(names, secret.SecretName)
		}
	}
	return names
}

// notable returns the tasks that have not ended, and the failed ones of the
// services short of tasks, in the order of tasks.
func notable(tasks []kargo.Task, short map[string]bool) []kargo.Task {
	return slices.DeleteFunc(slices.Clone(tasks), func(task kargo.Task) bool {
		state := swarm.TaskState(task.State)
		failed := state == swarm.TaskStateFailed || state == swarm.TaskStateRejected
		return task.Ended() && !(failed && short[task.Service])
	})
}
