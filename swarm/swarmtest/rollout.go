package swarmtest

import (
	"fmt"
	"slices"

	"github.com/docker/docker/api/types/swarm"
)

// rollout is an update or rollback that has not ended.
type rollout struct {
	// replaced has the tasks that it made, whose failure counts until it ends;
	// failed has those that failed.
	replaced, failed map[string]bool
	// slots is how many slots it has to replace.
	slots int
	// watched counts the steps since the last task was replaced.
	watched int
}

// monitor is how many steps a rollout watches its last tasks.
const monitor = 2

// update continues the update of a service by one step.
func (e *Engine) update(s *service, slots []*slot) {
	var dirty []*slot
	for _, at := range slots {
		if t := at.wanted(); t != nil && !e.current(t, s) {
			dirty = append(dirty, at)
		}
	}
	if s.UpdateStatus == nil {
		if len(dirty) == 0 {
			return
		}
		started := e.now()
		s.UpdateStatus = &swarm.UpdateStatus{State: swarm.UpdateStateUpdating, StartedAt: &started, Message: "update in progress"}
		e.changedService(s)
	}
	switch s.UpdateStatus.State {
	case swarm.UpdateStateUpdating, swarm.UpdateStateRollbackStarted:
		e.roll(s, slots, dirty)
	}
}

func (e *Engine) roll(s *service, slots, dirty []*slot) {
	r := &s.rollout
	if r.replaced == nil {
		r.replaced, r.failed, r.slots = map[string]bool{}, map[string]bool{}, len(dirty)
	}
	config := rolloutConfig(s)
	if e.rolloutFailed(s, config) {
		return
	}
	starting := 0
	for _, at := range slots {
		for _, t := range at.tasks {
			if e.replaces(s, at, t) && t.wanted() && !t.ended() && t.Status.State != swarm.TaskStateRunning {
				starting++
			}
		}
	}
	e.startFirst(s, slots)
	for _, at := range dirty {
		if config.Parallelism > 0 && starting >= int(config.Parallelism) {
			break
		}
		starting++
		old := at.wanted()
		after := old
		if config.Order == swarm.UpdateOrderStartFirst {
			after = nil
		} else {
			e.shutDown(old)
		}
		made := e.newTask(s, at.number, at.node, after)
		at.tasks = append(at.tasks, made)
		r.replaced[made.ID] = true
	}
	if len(dirty) > 0 || starting > 0 {
		r.watched = 0
		return
	}
	// Swarm watches for a while before an update is complete.
	if r.watched++; r.watched < monitor {
		e.bump()
		return
	}
	e.completeRollout(s)
}

// startFirst stops the old task of each slot whose new one runs.
func (e *Engine) startFirst(s *service, slots []*slot) {
	for _, at := range slots {
		newest := at.wanted()
		if newest == nil || !e.replaces(s, at, newest) || newest.Status.State != swarm.TaskStateRunning {
			continue
		}
		for _, t := range at.tasks {
			if t != newest && t.wanted() {
				e.shutDown(t)
			}
		}
	}
}

// replaces reports whether a task replaces others in its slot: the rollout made it, or
// a restart did while an old task ran beside the one that failed.
func (e *Engine) replaces(s *service, at *slot, t *task) bool {
	return s.rollout.replaced[t.ID] || e.current(t, s) &&
		slices.ContainsFunc(at.tasks, func(other *task) bool { return other != t && other.wanted() && !other.ended() })
}

// rolloutConfig returns the configuration of updates, or of rollbacks, with Swarm's
// own defaults.
func rolloutConfig(s *service) swarm.UpdateConfig {
	config := s.Spec.UpdateConfig
	if s.UpdateStatus.State == swarm.UpdateStateRollbackStarted {
		config = s.Spec.RollbackConfig
	}
	if config == nil {
		return swarm.UpdateConfig{Parallelism: 1, FailureAction: swarm.UpdateFailureActionPause, Order: swarm.UpdateOrderStopFirst}
	}
	return *config
}

// rolloutFailed counts the tasks of a rollout that failed or ended early, and pauses it or rolls it back
// once they are too many.
func (e *Engine) rolloutFailed(s *service, config swarm.UpdateConfig) bool {
	r := &s.rollout
	for _, t := range e.tasks {
		if !r.replaced[t.ID] || r.failed[t.ID] || !t.ended() || t.Status.State == swarm.TaskStateShutdown && !t.takenDown {
			continue
		}
		r.failed[t.ID] = true
		if float32(len(r.failed))/float32(max(r.slots, 1)) <= config.MaxFailureRatio {
			continue
		}
		switch config.FailureAction {
		case swarm.UpdateFailureActionPause:
			e.pauseRollout(s, t)
			return true
		case swarm.UpdateFailureActionRollback:
			e.rollBack(s, t)
			return true
		}
	}
	return false
}

func (e *Engine) pauseRollout(s *service, failed *task) {
	status := *s.UpdateStatus
	word := "update"
	status.State = swarm.UpdateStatePaused
	if s.UpdateStatus.State == swarm.UpdateStateRollbackStarted {
		word = "rollback"
		status.State = swarm.UpdateStateRollbackPaused
	}
	status.Message = fmt.Sprintf("%s paused due to failure or early termination of task %s", word, failed.ID)
	s.UpdateStatus = &status
	e.changedService(s)
}

// rollBack copies PreviousSpec over Spec and clears it, so that the spec that failed is
// lost. A rollback that fails is not rolled back.
func (e *Engine) rollBack(s *service, failed *task) {
	if s.PreviousSpec == nil || s.UpdateStatus.State == swarm.UpdateStateRollbackStarted {
		e.pauseRollout(s, failed)
		return
	}
	s.setSpec(*s.PreviousSpec, s.previous)
	s.PreviousSpec, s.previous = nil, 0
	status := *s.UpdateStatus
	status.State = swarm.UpdateStateRollbackStarted
	status.Message = fmt.Sprintf("update rolled back due to failure or early termination of task %s", failed.ID)
	s.UpdateStatus = &status
	e.changedService(s)
}

func (e *Engine) completeRollout(s *service) {
	status := *s.UpdateStatus
	status.State, status.Message = swarm.UpdateStateCompleted, "update completed"
	if s.UpdateStatus.State == swarm.UpdateStateRollbackStarted {
		status.State, status.Message = swarm.UpdateStateRollbackCompleted, "rollback completed"
	}
	completed := e.now()
	status.CompletedAt = &completed
	s.UpdateStatus = &status
	e.changedService(s)
}
