package swarmtest

import (
	"slices"

	"github.com/docker/docker/api/types/swarm"
)

// patience is how often in a row a slot may fail before Settle gives up on it.
const patience = 3

// slot is a place for one task of a service: a number, or the node of a global
// service. Its tasks are in the order in which they were made.
type slot struct {
	number int
	node   string
	tasks  []*task
}

// wanted returns the newest task that should run, or nil.
func (s *slot) wanted() *task {
	for _, t := range slices.Backward(s.tasks) {
		if t.wanted() {
			return t
		}
	}
	return nil
}

// failures counts the newest tasks of one generation that failed in a row.
func (s *slot) failures(generation uint64) int {
	count := 0
	for _, t := range slices.Backward(s.tasks) {
		if t.generation != generation || !t.ended() || t.Status.State == swarm.TaskStateShutdown {
			break
		}
		count++
	}
	return count
}

// orchestrate creates the tasks that a service lacks, removes those that it has too
// many, replaces those that ended, and continues its update.
func (e *Engine) orchestrate(s *service, settling bool) {
	if isJob(s.Spec.Mode) {
		e.orchestrateJob(s, settling)
		return
	}
	slots := e.slots(s)
	e.update(s, slots)
	for _, at := range slots {
		current := at.wanted()
		switch {
		case current == nil:
			if !at.spent(s) {
				e.newTask(s, at.number, at.node, nil)
			}
		case current.ended():
			e.restart(s, at, current, settling)
		case !e.reachable(current):
			// The node is removed or drained: the task is started elsewhere.
			e.shutDown(current)
			current.takenDown = true
			if at.node == "" {
				e.newTask(s, at.number, "", nil)
			}
		}
	}
}

// spent reports whether a slot stays empty because its last task ended for good.
func (s *slot) spent(of *service) bool {
	if len(s.tasks) == 0 {
		return false
	}
	last := s.tasks[len(s.tasks)-1]
	return last.generation == of.generation && last.ended() && last.Status.State != swarm.TaskStateShutdown
}

// reachable reports whether the node of a task is up and accepts tasks.
func (e *Engine) reachable(t *task) bool {
	return t.NodeID == "" || fits(e.node(t.NodeID), nil)
}

func (e *Engine) shutDown(t *task) {
	e.touch(&t.Meta)
	t.DesiredState = swarm.TaskStateShutdown
}

// slots returns the slots that a service should have. Tasks in others are stopped.
func (e *Engine) slots(s *service) []*slot {
	var slots []*slot
	byNumber, byNode := map[int]*slot{}, map[string]*slot{}
	if replicated := s.Spec.Mode.Replicated; replicated != nil {
		for number := 1; number <= int(*replicated.Replicas); number++ {
			at := &slot{number: number}
			byNumber[number], slots = at, append(slots, at)
		}
	} else {
		for _, node := range e.nodes {
			if fits(node, s.Spec.TaskTemplate.Placement) {
				at := &slot{node: node.ID}
				byNode[node.ID], slots = at, append(slots, at)
			}
		}
	}
	for _, t := range e.tasks {
		if t.ServiceID != s.ID || t.DesiredState == swarm.TaskStateRemove {
			continue
		}
		at := byNumber[t.Slot]
		if s.Spec.Mode.Global != nil {
			at = byNode[t.NodeID]
		}
		if at == nil {
			e.touch(&t.Meta)
			t.DesiredState = swarm.TaskStateRemove
			continue
		}
		at.tasks = append(at.tasks, t)
	}
	return slots
}

// restart replaces a task that ended by itself, if the policy says so.
func (e *Engine) restart(s *service, at *slot, ended *task, settling bool) {
	if !shouldRestart(s.Spec.TaskTemplate.RestartPolicy, ended, at.failures(ended.generation)) {
		e.shutDown(ended)
		return
	}
	if settling && at.failures(ended.generation) >= patience {
		return
	}
	e.shutDown(ended)
	if !e.filled(at, s) {
		e.newTask(s, at.number, at.node, nil)
	}
}

// filled reports whether the slot has a task of the spec in force. This may be the old
// task, where an update that starts the new task first was rolled back.
func (e *Engine) filled(at *slot, of *service) bool {
	return slices.ContainsFunc(at.tasks, func(t *task) bool { return t.wanted() && !t.ended() && e.current(t, of) })
}

func shouldRestart(policy *swarm.RestartPolicy, ended *task, failures int) bool {
	if policy == nil {
		return true
	}
	if attempts := *policy.MaxAttempts; attempts > 0 && uint64(failures) > attempts {
		return false
	}
	switch policy.Condition {
	case swarm.RestartPolicyConditionNone:
		return false
	case swarm.RestartPolicyConditionOnFailure:
		return ended.failed()
	}
	return true
}

// orchestrateJob creates tasks until enough of them have completed in this run, and
// removes those of earlier runs.
func (e *Engine) orchestrateJob(s *service, settling bool) {
	run := s.JobStatus.JobIteration.Index
	slots := e.jobSlots(s)
	active := 0
	for _, t := range e.tasks {
		switch {
		case t.ServiceID != s.ID || t.DesiredState == swarm.TaskStateRemove:
		case t.JobIteration.Index != run:
			e.touch(&t.Meta)
			t.DesiredState = swarm.TaskStateRemove
		case t.Status.State != swarm.TaskStateComplete && t.wanted() && !t.ended():
			active++
		}
	}
	limit := len(slots)
	if job := s.Spec.Mode.ReplicatedJob; job != nil {
		limit = int(*job.MaxConcurrent)
	}
	for _, at := range slots {
		current := at.wanted()
		switch {
		case current == nil && len(at.tasks) == 0 && active < limit:
			e.newTask(s, at.number, at.node, nil)
			active++
		case current != nil && current.failed():
			e.restart(s, at, current, settling)
		}
	}
}

// jobSlots returns a slot for each completion that a job needs in this run.
func (e *Engine) jobSlots(s *service) []*slot {
	var slots []*slot
	if job := s.Spec.Mode.ReplicatedJob; job != nil {
		for number := range int(*job.TotalCompletions) {
			// Jobs count their slots from 0.
			slots = append(slots, &slot{number: number})
		}
	} else {
		for _, node := range e.nodes {
			if fits(node, s.Spec.TaskTemplate.Placement) {
				slots = append(slots, &slot{node: node.ID})
			}
		}
	}
	for _, t := range e.tasks {
		if t.ServiceID != s.ID || t.JobIteration.Index != s.JobStatus.JobIteration.Index {
			continue
		}
		for _, at := range slots {
			if s.Spec.Mode.GlobalJob != nil && at.node == t.NodeID || s.Spec.Mode.ReplicatedJob != nil && at.number == t.Slot {
				at.tasks = append(at.tasks, t)
			}
		}
	}
	return slots
}
