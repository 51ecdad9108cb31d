package swarm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"

	"kargo"
)

// Observe reads all services, networks, configs and secrets. It makes four calls to
// Docker, and one more for tasks where they can matter. Its lists are sorted by name.
// Nodes are read, once, only where one may be down: by the first look, after an event of
// a node, as long as one is down, and if a task is to be removed and has not ended. See
// [kargo.LiveService].Lost and [kargo.Task].NodeDown. Where they were read, the result has
// them.
//
// It reads all tasks, and sets TasksKnown, if a stack of Kargo has a network, config
// or secret that no service uses: the object can be removed only after the tasks that
// use it have ended. These tasks are in the result even if their service was removed,
// with their networks in [kargo.Task].Networks. Otherwise it reads only the tasks of
// services that are short of tasks. Of those services the result also has the failed
// tasks that Swarm remembers. It has no other tasks that have ended.
func (c *Client) Observe(ctx context.Context) (kargo.Cluster, error) {
	services, err := c.listServices(ctx)
	if err != nil {
		return kargo.Cluster{}, err
	}
	nodes := nodeLook{client: c}
	return nodes.observe(ctx, func() ([]kargo.LiveService, error) { return nodes.translateServices(ctx, services) })
}

// Complete reads what [Client.Observe] reads besides the services, which Services has
// just read: the result is that of Observe. It makes one call less.
func (c *Client) Complete(ctx context.Context, services []kargo.LiveService) (kargo.Cluster, error) {
	return (&nodeLook{client: c}).observe(ctx, func() ([]kargo.LiveService, error) { return services, nil })
}

// observe reads all but the services, which are translated once the networks are known.
func (l *nodeLook) observe(ctx context.Context, services func() ([]kargo.LiveService, error)) (cluster kargo.Cluster, err error) {
	if cluster.Networks, err = l.client.observeNetworks(ctx); err != nil {
		return kargo.Cluster{}, err
	}
	configs, err := l.client.observeConfigs(ctx)
	if err != nil {
		return kargo.Cluster{}, err
	}
	secrets, err := l.client.observeSecrets(ctx)
	if err != nil {
		return kargo.Cluster{}, err
	}
	cluster.Configs = append(configs, secrets...)
	slices.SortStableFunc(cluster.Configs, func(a, b kargo.LiveConfig) int { return strings.Compare(a.Name, b.Name) })
	if cluster.Services, err = services(); err != nil {
		return kargo.Cluster{}, err
	}
	if err := l.observeTasks(ctx, &cluster); err != nil {
		return kargo.Cluster{}, err
	}
	cluster.Nodes = l.nodes
	return cluster, nil
}

// Services reads services only, those of the names, or all if there are none: sorted by
// name and with the same content as in Observe. It makes one call, and one more for each
// network that it meets for the first time. It reads nodes as Observe does.
func (c *Client) Services(ctx context.Context, only ...string) ([]kargo.LiveService, error) {
	services, err := c.listServices(ctx, only...)
	if err != nil {
		return nil, err
	}
	return (&nodeLook{client: c}).translateServices(ctx, services)
}

// listServices reads the services of the names, or all if there are none, and notes the
// names of all that it reads.
func (c *Client) listServices(ctx context.Context, only ...string) ([]listed, error) {
	ids, known := c.names.idsOf(only)
	filter := filters.NewArgs()
	for _, id := range ids { // by a name, Docker finds all that begin with it
		filter.Add("id", id)
	}
	services, err := call(ctx, c, "ServiceList", func(ctx context.Context) ([]listed, error) { return c.fetchServices(ctx, filter) })
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	named := map[string]string{}
	for _, service := range services {
		if service.ServiceStatus == nil {
			return nil, &kargo.Error{
				Fault: kargo.Unavailable,
				Err:   fmt.Errorf("list services: Docker does not count the tasks of service %s", service.name()),
				Hint:  tooOld,
			}
		}
		named[service.id()] = service.name()
	}
	if len(ids) > 0 {
		return services, nil
	}
	c.names.replace(serviceNames, named)
	c.known.forget(named)
	if !known {
		services = slices.DeleteFunc(services, func(s listed) bool { return !slices.Contains(only, s.name()) })
	}
	return services, nil
}

func (l *nodeLook) translateServices(ctx context.Context, services []listed) ([]kargo.LiveService, error) {
	live, now := make([]kargo.LiveService, 0, len(services)), time.Now()
	for _, service := range services {
		known, err := l.client.translated(ctx, service)
		if err != nil {
			return nil, err
		}
		known.live.Update = l.client.clock.update(known.live.ID, known.update, now)
		live = append(live, counted(known.live, service.Service))
	}
	slices.SortFunc(live, func(a, b kargo.LiveService) int { return strings.Compare(a.Name, b.Name) })
	return live, l.countOutLost(ctx, live)
}

// translated returns a service that was read, without what is counted.
func (c *Client) translated(ctx context.Context, service listed) (knownService, error) {
	if service.known != nil {
		return *service.known, nil
	}
	if err := c.learnNetworks(ctx, &service.Spec); err != nil {
		return knownService{}, err
	}
	if err := c.learnNetworks(ctx, service.PreviousSpec); err != nil {
		return knownService{}, err
	}
	known := knownService{c.names.liveService(service.Service), service.UpdateStatus}
	if service.digest != (serviceDigest{}) {
		known.live.Digest = service.digest
		c.known.keep(service.digest, known)
	}
	return known, nil
}

// learnNetworks asks for the names of the networks of a spec that are not known: they
// were created after the last Observe, Docker does not list them ("host"), or they
// were removed and only a PreviousSpec has them.
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

// observeNetworks leaves out networks that were removed from Swarm and are still on
// the manager's node, see lingers.
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
			Subnets: subnets(found.IPAM.Config), Labels: found.Labels, Created: found.Created,
		})
	}
	c.names.replace(goneNetworks, lingering)
	slices.SortFunc(live, func(a, b kargo.LiveNetwork) int { return strings.Compare(a.Name, b.Name) })
	return live, nil
}

func subnets(configs []network.IPAMConfig) []netip.Prefix {
	return kargo.Network{IPAM: &network.IPAM{Config: configs}}.Subnets()
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

// observeTasks reads the tasks where they can matter, see Observe.
func (l *nodeLook) observeTasks(ctx context.Context, cluster *kargo.Cluster) error {
	short := map[string]bool{}
	var ids []string
	for _, service := range cluster.Services {
		if service.ShortOfTasks() {
			short[service.Name] = true
			ids = append(ids, service.ID)
		}
	}
	leftovers := hasLeftovers(*cluster)
	if leftovers {
		ids = nil // tasks of a service that is gone have no filter
	} else if len(short) == 0 {
		return nil
	}
	tasks, err := l.listTasks(ctx, ofServices(ids))
	if isNotFound(err) {
		// One of the services was removed after it was listed.
		tasks, err = l.listTasks(ctx, filters.NewArgs())
	}
	if err != nil {
		return err
	}
	if !leftovers {
		tasks = tasksOf(tasks, short)
	}
	cluster.Tasks, cluster.TasksKnown = notable(tasks, short), leftovers
	return nil
}

// mostFiltered is by how many services a request filters. More would make its address
// longer than proxies allow, which often take 8 or 16 KB.
const mostFiltered = 100

// ofServices returns a filter for the tasks of services, by names or ids. If these are too
// many it passes all tasks.
func ofServices(services []string) filters.Args {
	only := filters.NewArgs()
	if len(services) <= mostFiltered {
		for _, service := range services {
			only.Add("service", service)
		}
	}
	return only
}

// tasksOf returns those of some tasks that are of services.
func tasksOf(tasks []kargo.Task, services map[string]bool) []kargo.Task {
	return slices.DeleteFunc(tasks, func(task kargo.Task) bool { return !services[task.Service] })
}

// setOf returns names as a set.
func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// listTasks returns tasks, the newest first.
func (c *Client) listTasks(ctx context.Context, only filters.Args) ([]kargo.Task, error) {
	return (&nodeLook{client: c}).listTasks(ctx, only)
}

// listTasks does the same, as a part of a look.
func (l *nodeLook) listTasks(ctx context.Context, only filters.Args) ([]kargo.Task, error) {
	c := l.client
	tasks, err := call(ctx, c, "TaskList", func(ctx context.Context) ([]swarm.Task, error) {
		return c.api.TaskList(ctx, swarm.TaskListOptions{Filters: only})
	})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	slices.SortStableFunc(tasks, func(a, b swarm.Task) int { return b.CreatedAt.Compare(a.CreatedAt) })
	translated, now := make([]kargo.Task, 0, len(tasks)), time.Now()
	for _, task := range tasks {
		translated = append(translated, c.clock.task(c.names.task(task), now))
	}
	return translated, l.markDown(ctx, translated)
}

// Tasks returns all tasks of services that Swarm remembers, the newest first; the
// tasks of all services if none is named. It makes one call, and one more where it
// does not know the name of a node on which a task failed, or a task is to be removed.
func (c *Client) Tasks(ctx context.Context, services ...string) ([]kargo.Task, error) {
	tasks, err := c.listTasks(ctx, ofServices(services))
	if err != nil {
		return nil, err
	}
	if len(services) > mostFiltered {
		tasks = tasksOf(tasks, setOf(services))
	}
	return tasks, c.nameNodes(ctx, tasks)
}

// MarkOutdated marks those of the tasks of services that Swarm has still to replace, and
// leaves tasks of other services as they are. It makes one call: only Swarm can tell,
// because it keeps a task whose node meets changed constraints.
func (c *Client) MarkOutdated(ctx context.Context, tasks []kargo.Task, services ...string) error {
	only := ofServices(services)
	only.Add("_up-to-date", "true")
	current, err := c.listTasks(ctx, only)
	if err != nil {
		return err
	}
	upToDate := map[string]bool{}
	for _, task := range current {
		upToDate[task.ID] = true
	}
	named := setOf(services)
	for i, task := range tasks {
		if named[task.Service] {
			tasks[i].Outdated = !upToDate[task.ID]
		}
	}
	return nil
}

// nameNodes replaces the ids of nodes by names where a task failed or cannot start,
// because only there people read them. It makes one call if a name is not known.
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

// Probes returns the last health checks of a container, the newest first. Swarm
// does not keep them: only the engine does on which the container is or was. Of a
// container of another node it returns nothing.
func (c *Client) Probes(ctx context.Context, id string) ([]kargo.Probe, error) {
	found, err := call(ctx, c, "ContainerInspect", func(ctx context.Context) (container.InspectResponse, error) {
		return c.api.ContainerInspect(ctx, id)
	})
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read health checks of container %s: %w", id, err)
	}
	if found.ContainerJSONBase == nil || found.State == nil || found.State.Health == nil {
		return nil, nil
	}
	var probes []kargo.Probe
	for _, result := range slices.Backward(found.State.Health.Log) {
		probes = append(probes, kargo.Probe{ExitCode: result.ExitCode, Output: result.Output})
	}
	return probes, nil
}

// maxLog is how much of a log is read at most, in bytes.
const maxLog = 16 << 10

// LogTail returns the end of a task's log, at most so many lines and 16 KiB, as the
// task wrote them. They may have secrets.
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

// hasLeftovers reports whether a stack of Kargo has a network, config or secret that
// no service uses, in its spec or in the one that a rollback returns to. All tasks
// must be read to know whether such an object can be removed.
func hasLeftovers(cluster kargo.Cluster) bool {
	used := map[string]bool{}
	for _, service := range cluster.Services {
		for _, spec := range []*swarm.ServiceSpec{&service.Spec, service.Previous} {
			if spec == nil {
				continue
			}
			for _, name := range kargo.References(*spec) {
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

// notable returns the tasks that have not ended, and the failed ones of the
// services short of tasks, in the order of tasks.
func notable(tasks []kargo.Task, short map[string]bool) []kargo.Task {
	return slices.DeleteFunc(slices.Clone(tasks), func(task kargo.Task) bool {
		state := swarm.TaskState(task.State)
		failed := state == swarm.TaskStateFailed || state == swarm.TaskStateRejected
		return task.Ended() && !(failed && short[task.Service])
	})
}
