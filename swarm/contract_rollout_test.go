package swarm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"
)

// rolloutContracts are about tasks, updates, rollbacks and jobs.
var rolloutContracts = []contract{
	{"a new service has no update status", func(t *testing.T, b *bed) {
		b.create(t, b.spec("one"))
		same(t, "at once", fmt.Sprint(b.status(t, "one")), "{0 1 0}")
		b.running(t, "one", 1)
		if status := b.inspect(t, "one").UpdateStatus; status != nil {
			t.Errorf("it has one: %+v", status)
		}
	}},
	{"an update completes", func(t *testing.T, b *bed) {
		b.create(t, b.spec("one"))
		b.running(t, "one", 1)
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Env = []string{"A=1"} })
		// A passing state may be over before it is looked at.
		b.updated(t, "one", dockerswarm.UpdateStateUpdating, dockerswarm.UpdateStateCompleted)
		service := b.updated(t, "one", dockerswarm.UpdateStateCompleted)
		same(t, "message", service.UpdateStatus.Message, "update completed")
		same(t, "previous", fmt.Sprint(service.PreviousSpec.TaskTemplate.ContainerSpec.Env), "[]")
		b.running(t, "one", 1)
	}},
	{"a change outside of the task template replaces no task", func(t *testing.T, b *bed) {
		b.create(t, b.spec("one"))
		b.running(t, "one", 1)
		before := b.tasks(t, b.name("one"))[0].ID
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.Labels = map[string]string{"a": "1"} })
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { two := uint64(2); s.Mode.Replicated.Replicas = &two })
		b.running(t, "one", 2)
		tasks := b.tasks(t, b.name("one"))
		kept := len(tasks) == 2 && (tasks[0].ID == before || tasks[1].ID == before)
		if status := b.inspect(t, "one").UpdateStatus; status != nil || !kept {
			t.Errorf("tasks %v, update status %+v", tasks, status)
		}
	}},
	{"zero replicas are a valid state", func(t *testing.T, b *bed) {
		b.create(t, b.spec("one"))
		b.running(t, "one", 1)
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.Mode.Replicated.Replicas = new(uint64) })
		b.until(t, "its tasks are gone", func() bool { return len(b.tasks(t, b.name("one"))) == 0 })
		same(t, "status", fmt.Sprint(b.status(t, "one")), "{0 0 0}")
	}},
	{"a failed update rolls back and hides its cause", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.UpdateConfig.FailureAction = dockerswarm.UpdateFailureActionRollback
		b.create(t, spec)
		b.running(t, "one", 1)
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { b.exiting(s, 3) })
		b.updated(t, "one", dockerswarm.UpdateStateRollbackStarted, dockerswarm.UpdateStateRollbackCompleted)
		service := b.updated(t, "one", dockerswarm.UpdateStateRollbackCompleted)
		same(t, "message", service.UpdateStatus.Message, "rollback completed")
		same(t, "spec", b.whatRuns(service.Spec), b.whatRuns(spec))
		if service.PreviousSpec != nil {
			t.Error("the spec that failed is kept as PreviousSpec")
		}
		b.running(t, "one", 1)
	}},
	{"a failed update pauses by default", func(t *testing.T, b *bed) {
		b.create(t, b.spec("one"))
		b.running(t, "one", 1)
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { b.exiting(s, 3) })
		service := b.updated(t, "one", dockerswarm.UpdateStatePaused)
		words, task, _ := strings.Cut(service.UpdateStatus.Message, " of task ")
		same(t, "message", words, "update paused due to failure or early termination")
		if task == "" {
			t.Error("the message names no task")
		}
		failing := b.spec("one")
		b.exiting(&failing, 3)
		same(t, "spec", b.whatRuns(service.Spec), b.whatRuns(failing))
		same(t, "previous", service.PreviousSpec.TaskTemplate.ContainerSpec.Image, b.image)
	}},
	{"a person can roll back to PreviousSpec, and forward again", func(t *testing.T, b *bed) {
		b.create(t, b.spec("one"))
		b.running(t, "one", 1)
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Env = []string{"A=1"} })
		service := b.updated(t, "one", dockerswarm.UpdateStateCompleted)
		_, err := b.api.ServiceUpdate(t.Context(), service.ID, service.Version, service.Spec, dockerswarm.ServiceUpdateOptions{Rollback: "previous"})
		if err != nil {
			t.Fatal(err)
		}
		service = b.updated(t, "one", dockerswarm.UpdateStateRollbackCompleted)
		same(t, "env", fmt.Sprint(service.Spec.TaskTemplate.ContainerSpec.Env), "[]")
		same(t, "previous", fmt.Sprint(service.PreviousSpec.TaskTemplate.ContainerSpec.Env), "[A=1]")
	}},
	{"a task without its image is rejected, or goes on trying", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.TaskTemplate.ContainerSpec.Image = "kargo/missing:1"
		b.create(t, spec)
		b.until(t, "a task says why it does not start", func() bool {
			return slices.ContainsFunc(b.tasks(t, b.name("one")), func(task dockerswarm.Task) bool { return task.Status.Err != "" })
		})
		for _, task := range b.tasks(t, b.name("one")) {
			switch state := task.Status.State; {
			case task.Status.Err == "":
			case state == dockerswarm.TaskStateRejected:
				same(t, "words", task.Status.Err, "No such image: kargo/missing:1")
			case state != dockerswarm.TaskStatePreparing: // as from engine 29 on
				t.Errorf("the task is %s: %s", state, task.Status.Err)
			}
		}
	}},
	{"a task that ends has its exit code", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		b.exiting(&spec, 3)
		spec.TaskTemplate.RestartPolicy.Condition = dockerswarm.RestartPolicyConditionNone
		b.create(t, spec)
		b.until(t, "the task has failed", func() bool {
			tasks := b.tasks(t, b.name("one"))
			return len(tasks) > 0 && tasks[0].Status.State == dockerswarm.TaskStateFailed
		})
		task := b.tasks(t, b.name("one"))[0]
		same(t, "words", fmt.Sprint(task.Status.Err, " ", task.Status.ContainerStatus.ExitCode), "task: non-zero exit (3) 3")
		same(t, "status", fmt.Sprint(b.status(t, "one")), "{0 1 0}")
	}},
	{"a task that no node takes waits", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"node.labels.nowhere == true"}}
		b.create(t, spec)
		b.until(t, "the task says why", func() bool {
			tasks := b.tasks(t, b.name("one"))
			return len(tasks) > 0 && strings.HasPrefix(tasks[0].Status.Err, "no suitable node (scheduling constraints not satisfied on 1 node")
		})
		same(t, "state", string(b.tasks(t, b.name("one"))[0].Status.State), "pending")
	}},
	{"a global service counts what is placed", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.Mode = dockerswarm.ServiceMode{Global: &dockerswarm.GlobalService{}}
		b.create(t, spec)
		b.until(t, "it has its task", func() bool { return fmt.Sprint(b.status(t, "one")) == "{1 1 0}" })
		nowhere := b.spec("two")
		nowhere.Mode = spec.Mode
		nowhere.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"node.labels.nowhere == true"}}
		b.create(t, nowhere)
		same(t, "without nodes", fmt.Sprint(b.status(t, "two")), "{0 0 0}")
	}},
	{"a job completes, and each update runs it again", func(t *testing.T, b *bed) {
		b.create(t, b.job("one", 0))
		completed := func() bool { return b.status(t, "one").CompletedTasks == 1 }
		b.until(t, "the job has completed", completed)
		same(t, "status", fmt.Sprint(b.status(t, "one")), "{0 1 1}")
		same(t, "first run", fmt.Sprint(b.inspect(t, "one").JobStatus.JobIteration.Index), "0")
		b.update(t, "one", func(*dockerswarm.ServiceSpec) {})
		same(t, "second run", fmt.Sprint(b.inspect(t, "one").JobStatus.JobIteration.Index), "1")
		b.until(t, "the job has completed again", completed)
		if status := b.inspect(t, "one").UpdateStatus; status != nil {
			t.Errorf("a job has an update status: %+v", status)
		}
	}},
	{"a job has no update config", func(t *testing.T, b *bed) {
		spec := b.job("one", 0)
		spec.UpdateConfig = &dockerswarm.UpdateConfig{Parallelism: 1}
		_, err := b.api.ServiceCreate(t.Context(), spec, dockerswarm.ServiceCreateOptions{})
		same(t, "error", message(err), daemonInvalid+"Jobs may not have an update config")
	}},
	{"a job that fails does not complete", func(t *testing.T, b *bed) {
		spec := b.job("one", 3)
		spec.TaskTemplate.RestartPolicy.Condition = dockerswarm.RestartPolicyConditionNone
		b.create(t, spec)
		b.until(t, "its task has failed", func() bool {
			tasks := b.tasks(t, b.name("one"))
			return len(tasks) > 0 && tasks[0].Status.State == dockerswarm.TaskStateFailed
		})
		same(t, "status", fmt.Sprint(b.status(t, "one")), "{0 1 0}")
	}},
}
