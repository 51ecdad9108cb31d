package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Details returns the named stacks with all that runs of them; all stacks if none is
// named. It asks Swarm for the tasks and nodes. The error is Invalid if there is no
// such stack.
func (l *Loop) Details(ctx context.Context, stacks ...string) ([]kargo.StackDetail, error) {
	status := l.Status()
	return inspected(ctx, l, func(i inspector) ([]kargo.StackDetail, error) { return i.details(ctx, status, stacks) })
}

func (i inspector) details(ctx context.Context, status kargo.Status, names []string) ([]kargo.StackDetail, error) {
	for _, name := range names {
		if !slices.ContainsFunc(status.Stacks, func(s kargo.StackStatus) bool { return s.Name == name }) {
			return nil, kargo.Errorf(kargo.Invalid, "there is no stack %q", name)
		}
	}
	services, err := i.parts.Swarm.Services(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at services: %w", err)
	}
	people, err := i.people(ctx)
	if err != nil {
		return nil, err
	}
	details := []kargo.StackDetail{}
	for _, stack := range status.Stacks {
		if len(names) > 0 && !slices.Contains(names, stack.Name) {
			continue
		}
		detail := kargo.StackDetail{StackStatus: stack, Namespace: kargo.StackPrefix + stack.Name, Parts: []kargo.ServiceDetail{}}
		if i.view != nil {
			for _, wanted := range i.view.stacks {
				if wanted.Name == stack.Name {
					detail.Namespace, detail.Needs, detail.Drift = wanted.Namespace(), wanted.Needs, wanted.Options.Drift
					for _, network := range wanted.Networks {
						detail.Networks = append(detail.Networks, network.Name)
					}
				}
			}
		}
		for _, service := range stack.Services {
			detail.Parts = append(detail.Parts, people.service(service, services))
		}
		details = append(details, detail)
	}
	return details, nil
}

// people has the tasks of Swarm as people read them.
type people struct {
	tasks []kargo.Task
	nodes map[string]string // host names by id
	mask  kargo.Mask
}

// people reads tasks and nodes.
func (i inspector) people(ctx context.Context, services ...string) (people, error) {
	p := people{nodes: map[string]string{}}
	if i.view != nil {
		p.mask = i.view.mask()
	}
	nodes, err := i.parts.Swarm.Nodes(ctx)
	if err != nil {
		i.parts.Log.Debug("cannot name the nodes of tasks", "error", err) // a proxy before Docker's socket may not let it through
	}
	for _, node := range nodes {
		p.nodes[node.ID] = node.Hostname
	}
	if p.tasks, err = i.parts.Swarm.Tasks(ctx, services...); err != nil {
		return p, fmt.Errorf("look at tasks: %w", err)
	}
	return p, nil
}

func (p people) node(task kargo.Task) string { return cmp.Or(p.nodes[task.Node], task.Node) }

// name returns the name of a task: its service, and its slot or node.
func (p people) name(task kargo.Task) string {
	if task.Slot == 0 {
		return task.Service + "." + cmp.Or(p.node(task), task.ID)
	}
	return fmt.Sprintf("%s.%d", task.Service, task.Slot)
}

// service returns a service with what it uses, and its tasks: of each slot the newest,
// and the one that still runs.
func (p people) service(status kargo.ServiceStatus, live []kargo.LiveService) kargo.ServiceDetail {
	detail := kargo.ServiceDetail{ServiceStatus: status, Tasks: []kargo.TaskDetail{}}
	for _, service := range live {
		if service.Name == status.Name {
			detail.Updated = service.Updated
			addUses(&detail, service.Spec)
		}
	}
	shown := map[string]bool{}
	for _, task := range p.tasks { // the newest first
		name := p.name(task)
		if task.Service != status.Name || shown[name] && task.Ended() {
			continue
		}
		shown[name] = true
		detail.Tasks = append(detail.Tasks, kargo.TaskDetail{
			ID: task.ID, Name: name, Node: p.node(task), State: task.State, Since: task.StateAt, Message: p.mask.Text(kargo.Task{Err: task.Err, ExitCode: task.ExitCode}.Said()),
		})
	}
	slices.SortStableFunc(detail.Tasks, func(a, b kargo.TaskDetail) int { return strings.Compare(a.Name, b.Name) })
	return detail
}

// addUses adds what a spec uses.
func addUses(detail *kargo.ServiceDetail, spec swarm.ServiceSpec) {
	if spec.EndpointSpec != nil {
		for _, port := range spec.EndpointSpec.Ports {
			text := fmt.Sprintf("%d:%d", port.PublishedPort, port.TargetPort)
			if port.Protocol != "" && port.Protocol != swarm.PortConfigProtocolTCP {
				text += "/" + string(port.Protocol)
			}
			detail.Ports = append(detail.Ports, text)
		}
	}
	for _, network := range spec.TaskTemplate.Networks {
		detail.Networks = append(detail.Networks, network.Target)
	}
	container := spec.TaskTemplate.ContainerSpec
	if container == nil {
		return
	}
	for _, config := range container.Configs {
		detail.Configs = append(detail.Configs, config.ConfigName)
	}
	for _, secret := range container.Secrets {
		detail.Secrets = append(detail.Secrets, secret.SecretName)
	}
	for _, volume := range container.Mounts {
		detail.Volumes = append(detail.Volumes, strings.TrimPrefix(volume.Source+":"+volume.Target, ":"))
	}
}

const (
	logTime    = 15 * time.Second // for the log of one task that is not followed
	logTasks   = 8                // whose logs are read at once
	logLooks   = 2 * time.Second  // between two looks for new tasks of a log that is followed
	mostLogged = 50_000           // lines of a log that is not followed
)

// Logs calls a function for each line that the tasks of a stack write, or of one of
// its services if it is named: sorted by time, or as they come if they are followed.
// Secrets are masked. It calls the function from one goroutine at a time.
func (l *Loop) Logs(ctx context.Context, stack, service string, options kargo.LogOptions, each func(kargo.LogLine)) error {
	if l.parts.TaskLog == nil {
		return kargo.Errorf(kargo.Unavailable, "logs cannot be read here")
	}
	var names []string
	for _, known := range l.Status().Stacks {
		for _, of := range known.Services {
			if known.Name == stack && (service == "" || service == of.Name || service == kargo.ShortService(of.Name)) {
				names = append(names, of.Name)
			}
		}
	}
	if len(names) == 0 {
		return kargo.Errorf(kargo.Invalid, "there is no service %s", strings.TrimSuffix(stack+"/"+service, "/"))
	}
	reading := &logReading{parts: l.parts, options: options, started: map[string]bool{}, each: each,
		look: func() (people, error) {
			return inspected(ctx, l, func(i inspector) (people, error) { return i.people(ctx, names...) })
		}}
	now, err := reading.look()
	switch {
	case err != nil:
		return err
	case options.Follow:
		return reading.follow(ctx, now)
	}
	return reading.once(ctx, now)
}

// logReading reads the logs of tasks.
type logReading struct {
	parts   Parts
	options kargo.LogOptions
	// look returns the tasks, and what is secret in what they write, as it is now.
	look    func() (people, error)
	started map[string]bool // tasks that are read
	mu      sync.Mutex
	each    func(kargo.LogLine)
}

// read reads the log of one task.
func (g *logReading) read(ctx context.Context, p people, task kargo.Task, options kargo.LogOptions, each func(kargo.LogLine)) error {
	name, node := p.name(task), p.node(task)
	return g.parts.TaskLog(ctx, task.ID, options, func(line kargo.LogLine) {
		line.Service, line.Task, line.Node = task.Service, name, node
		line.Text = p.mask.Text(line.Text)
		g.mu.Lock()
		defer g.mu.Unlock()
		each(line)
	})
}

// once reads what there is. The log of a task that has ended may be gone.
func (g *logReading) once(ctx context.Context, now people) error {
	var lines []kargo.LogLine
	var failed error
	var group sync.WaitGroup
	slots := make(chan struct{}, logTasks)
	for _, task := range now.tasks {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, logTime)
			defer cancel()
			err := g.read(ctx, now, task, g.options, func(line kargo.LogLine) {
				if len(lines) < mostLogged {
					lines = append(lines, line)
				}
			})
			if err != nil && !task.Ended() {
				g.mu.Lock()
				defer g.mu.Unlock()
				failed = err
			}
		})
	}
	group.Wait()
	slices.SortStableFunc(lines, func(a, b kargo.LogLine) int { return a.Time.Compare(b.Time) })
	for _, line := range lines {
		g.each(line)
	}
	if len(lines) > 0 {
		return nil
	}
	return failed
}

// follow reads until ctx ends, also the logs of tasks that begin meanwhile.
func (g *logReading) follow(ctx context.Context, now people) error {
	var group sync.WaitGroup
	defer group.Wait()
	options := g.options
	for {
		g.begin(ctx, &group, now, options)
		options = kargo.LogOptions{Follow: true} // of a new task, all is new
		sleep(ctx, logLooks)
		if ctx.Err() != nil {
			return nil
		}
		if next, err := g.look(); err == nil {
			now = next
		}
	}
}

// begin reads the logs of the tasks that are not read yet, each in a goroutine of its own.
func (g *logReading) begin(ctx context.Context, group *sync.WaitGroup, now people, options kargo.LogOptions) {
	for _, task := range now.tasks {
		if g.started[task.ID] {
			continue
		}
		g.started[task.ID] = true
		group.Go(func() { _ = g.read(ctx, now, task, options, g.each) }) // one that has ended may be gone
	}
}
