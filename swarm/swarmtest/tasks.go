package swarmtest

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/swarm"
)

// task is a task with what Swarm keeps and does not show.
type task struct {
	swarm.Task
	generation uint64 // of the spec it was made from
	template   string
	// after is the task that must have ended before this one starts.
	after *task
	// takenDown: its node left or was drained, which an update counts as a failure.
	takenDown bool
}

// ended reports whether the task has ended.
func (t *task) ended() bool {
	switch t.Status.State {
	case swarm.TaskStateComplete, swarm.TaskStateShutdown, swarm.TaskStateFailed,
		swarm.TaskStateRejected, swarm.TaskStateRemove, swarm.TaskStateOrphaned:
		return true
	}
	return false
}

func (t *task) failed() bool {
	return t.Status.State == swarm.TaskStateFailed || t.Status.State == swarm.TaskStateRejected
}

// wanted reports whether the task should run, or should have run.
func (t *task) wanted() bool {
	return t.DesiredState == swarm.TaskStateRunning || t.DesiredState == swarm.TaskStateComplete
}

// current reports whether the task fits the service's spec and is not replaced: nothing
// has changed, or only constraints that its node meets. It panics where a real manager
// does: the task has a placement and a node, the service has no placement any more, and
// nothing else has changed.
func (e *Engine) current(t *task, s *service) bool {
	if t.generation == s.generation {
		return true
	}
	if t.template != s.template {
		return false
	}
	if t.NodeID != "" && t.Spec.Placement != nil && s.Spec.TaskTemplate.Placement == nil {
		panic("swarmtest: service " + s.Spec.Name + " has lost its Placement: this kills a real manager")
	}
	return t.NodeID != "" && meets(e.node(t.NodeID), s.Spec.TaskTemplate.Placement)
}

// history is how many ended tasks of one slot Swarm remembers.
const history = 5

// steps is many more than anything needs to settle.
const steps = 1000

// Step lets time pass once: every task takes one step of its life, then missing tasks
// are created and updates continue. It reports whether anything changed.
func (e *Engine) Step() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.step(false)
}

// Settle calls Step until nothing changes any more. A task that fails three times in a
// row is not started again, and the service stays short of it.
func (e *Engine) Settle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settle()
}

func (e *Engine) settle() {
	for range steps {
		if !e.step(true) {
			return
		}
	}
	panic("swarmtest: the Swarm does not settle")
}

func (e *Engine) step(settling bool) bool {
	changed := e.index
	for _, t := range e.tasks {
		e.enforce(t)
		e.advance(t)
	}
	e.dropRemoved()
	e.removeOrphans()
	for _, s := range e.services {
		e.allocate(s)
		e.orchestrate(s, settling)
	}
	return e.index != changed
}

// removeOrphans stops the tasks of removed services.
func (e *Engine) removeOrphans() {
	exists := map[string]bool{}
	for _, s := range e.services {
		exists[s.ID] = true
	}
	for _, t := range e.tasks {
		if !exists[t.ServiceID] && t.DesiredState != swarm.TaskStateRemove {
			e.touch(&t.Meta)
			t.DesiredState = swarm.TaskStateRemove
		}
	}
}

// allocate gives a service its addresses. This changes its version, so a write with the
// version from its creation is out of sequence.
func (e *Engine) allocate(s *service) {
	if s.allocated {
		return
	}
	s.allocated = true
	endpoint := s.Spec.EndpointSpec
	virtual := endpoint == nil || endpoint.Mode == swarm.ResolutionModeVIP
	published := endpoint != nil && slices.ContainsFunc(endpoint.Ports, func(p swarm.PortConfig) bool {
		return p.PublishMode == swarm.PortConfigPublishModeIngress
	})
	if published || virtual && len(s.Spec.TaskTemplate.Networks) > 0 {
		if endpoint != nil {
			s.Endpoint.Spec = *endpoint
			s.Endpoint.Ports = endpoint.Ports
		}
		e.changedService(s)
	}
}

func sameEndpoints(a, b swarm.ServiceSpec) bool {
	return fmt.Sprint(a.EndpointSpec, a.TaskTemplate.Networks) == fmt.Sprint(b.EndpointSpec, b.TaskTemplate.Networks)
}

// changedService notes a change that Swarm itself makes.
func (e *Engine) changedService(s *service) {
	e.touch(&s.Meta)
	e.tell(events.ServiceEventType, events.ActionUpdate, s.ID, s.Spec.Name)
}

// newTask returns a new task of the spec in force.
func (e *Engine) newTask(s *service, slot int, node string, after *task) *task {
	t := &task{generation: s.generation, template: s.template, after: after}
	t.ID, t.Meta = e.newID(), e.newMeta()
	t.Labels = map[string]string{}
	t.Spec = s.Spec.TaskTemplate
	t.Spec.Runtime = ""
	t.ServiceID, t.Slot, t.NodeID = s.ID, slot, node
	t.DesiredState = swarm.TaskStateRunning
	if s.JobStatus != nil {
		iteration := s.JobStatus.JobIteration
		t.DesiredState, t.JobIteration = swarm.TaskStateComplete, &iteration
	}
	t.Status = swarm.TaskStatus{State: swarm.TaskStateNew, Timestamp: e.now(), Message: "created"}
	for _, attachment := range t.Spec.Networks {
		t.NetworksAttachments = append(t.NetworksAttachments, swarm.NetworkAttachment{Network: e.swarmNetwork(attachment.Target)})
	}
	e.tasks = append(e.tasks, t)
	return t
}

// swarmNetwork returns a network as tasks show it.
func (e *Engine) swarmNetwork(id string) swarm.Network {
	found := swarm.Network{ID: id}
	if i := find(e.networks, id, networkID, networkName); i >= 0 {
		found.Spec.Name, found.Spec.Labels = e.networks[i].Name, e.networks[i].Labels
	}
	return found
}

// become puts a task into another state.
func (e *Engine) become(t *task, state swarm.TaskState, message, err string, exitCode int) {
	e.touch(&t.Meta)
	t.Status.State, t.Status.Message, t.Status.Err, t.Status.Timestamp = state, message, err, e.now()
	t.Status.ContainerStatus = &swarm.ContainerStatus{ExitCode: exitCode}
	if state == swarm.TaskStateStarting || state == swarm.TaskStateRunning {
		t.Status.ContainerStatus.ContainerID = fmt.Sprintf("%x", sha256.Sum256([]byte(t.ID)))
	}
}

// advance takes one step in the life of a task: new, preparing, starting, running,
// ended. Tasks on a node that is down keep their state.
func (e *Engine) advance(t *task) {
	if node := e.node(t.NodeID); node != nil && node.Status.State == swarm.NodeStateDown {
		return
	}
	switch {
	case t.ended():
	case !t.wanted():
		e.become(t, swarm.TaskStateShutdown, "shutdown", "", 0)
	case t.after != nil && !t.after.ended():
	default:
		e.live(t)
	}
}

// enforce stops a task on a node that no longer meets the task's constraints.
func (e *Engine) enforce(t *task) {
	if node := e.node(t.NodeID); node != nil && t.wanted() && !t.ended() && !meets(node, t.Spec.Placement) {
		e.become(t, swarm.TaskStateRejected, "task rejected by constraint enforcer", "assigned node no longer meets constraints", 0)
	}
}

func (e *Engine) live(t *task) {
	behaviour := e.behaviour(t.Spec.ContainerSpec.Image)
	switch t.Status.State {
	case swarm.TaskStateNew, swarm.TaskStatePending:
		if !e.unallocated(t) {
			e.place(t)
		}
	case swarm.TaskStatePreparing:
		if behaviour.Missing && e.newest {
			e.become(t, swarm.TaskStatePreparing, "preparing", "failed to resolve reference "+t.Spec.ContainerSpec.Image+": no such host", 0)
			return
		}
		if behaviour.Missing || behaviour.Unknown {
			e.become(t, swarm.TaskStateRejected, "preparing", "No such image: "+t.Spec.ContainerSpec.Image, 0)
			return
		}
		e.become(t, swarm.TaskStateStarting, "starting", "", 0)
	case swarm.TaskStateStarting:
		if behaviour.Unhealthy {
			e.become(t, swarm.TaskStateFailed, "started", "task: non-zero exit (137): dockerexec: unhealthy container", 137)
			return
		}
		e.become(t, swarm.TaskStateRunning, "started", "", 0)
	case swarm.TaskStateRunning:
		switch {
		case behaviour.Exits && behaviour.ExitCode != 0:
			e.become(t, swarm.TaskStateFailed, "started", fmt.Sprintf("task: non-zero exit (%d)", behaviour.ExitCode), behaviour.ExitCode)
		case behaviour.Exits || t.JobIteration != nil:
			e.become(t, swarm.TaskStateComplete, "finished", "", 0)
		}
	}
}

// place gives a task a node: the one that it was made for, or the one with the fewest
// tasks.
func (e *Engine) place(t *task) {
	var best *swarm.Node
	for _, node := range e.nodes {
		if !fits(node, t.Spec.Placement) || t.NodeID != "" && t.NodeID != node.ID {
			continue
		}
		if best == nil || e.load(node) < e.load(best) {
			best = node
		}
	}
	if best != nil {
		t.NodeID = best.ID
		e.become(t, swarm.TaskStatePreparing, "preparing", "", 0)
		return
	}
	const waiting = "pending task scheduling"
	if t.Status.Message != waiting {
		word := "nodes"
		if len(e.nodes) == 1 {
			word = "node"
		}
		e.become(t, swarm.TaskStatePending, waiting,
			fmt.Sprintf("no suitable node (scheduling constraints not satisfied on %d %s)", len(e.nodes), word), 0)
	}
}

func (e *Engine) load(node *swarm.Node) int {
	count := 0
	for _, t := range e.tasks {
		if t.NodeID == node.ID && t.wanted() && !t.ended() {
			count++
		}
	}
	return count
}

// dropRemoved forgets tasks that have ended and are to be removed, and the oldest tasks
// of slots that have more than Swarm remembers.
func (e *Engine) dropRemoved() {
	type slot struct {
		service, node string
		number        int
	}
	remembered := map[slot]int{}
	kept := make([]*task, 0, len(e.tasks))
	for _, t := range slices.Backward(e.tasks) {
		if !t.ended() {
			kept = append(kept, t)
			continue
		}
		of := slot{service: t.ServiceID, number: t.Slot}
		if t.Slot == 0 {
			of.node = t.NodeID
		}
		remembered[of]++
		if t.DesiredState == swarm.TaskStateRemove || remembered[of] > history && !t.wanted() {
			e.bump()
			continue
		}
		kept = append(kept, t)
	}
	slices.Reverse(kept)
	e.tasks = kept
}

func (e *Engine) listTasks(r *http.Request) (answer, error) {
	only, err := filtersOf(r)
	if err != nil {
		return answer{}, err
	}
	ids := map[string]bool{}
	for _, name := range only.Get("service") {
		i, err := e.serviceAt(name)
		if err != nil {
			return answer{}, err
		}
		ids[e.services[i].ID] = true
	}
	upToDate := len(only.Get("_up-to-date")) > 0
	listed := []swarm.Task{}
	for _, t := range e.tasks {
		if upToDate && !e.upToDate(t) {
			continue
		}
		if (len(ids) == 0 || ids[t.ServiceID]) && matches(only, t.ID, "", t.Labels) &&
			only.ExactMatch("desired-state", string(t.DesiredState)) && only.ExactMatch("node", t.NodeID) {
			listed = append(listed, t.Task)
		}
	}
	return ok(listed)
}

// upToDate reports whether a task is of the present spec of its service, as Docker's
// internal filter does.
func (e *Engine) upToDate(t *task) bool {
	i := slices.IndexFunc(e.services, func(s *service) bool { return s.ID == t.ServiceID })
	return i >= 0 && e.current(t, e.services[i])
}

func (e *Engine) inspectTask(r *http.Request) (answer, error) {
	id := r.PathValue("id")
	i := find(e.tasks, id, func(t *task) string { return t.ID }, func(*task) string { return "" })
	if i < 0 {
		return answer{}, notFound("task", id)
	}
	return ok(e.tasks[i].Task)
}
