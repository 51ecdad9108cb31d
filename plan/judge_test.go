package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

var (
	sentAt = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	later  = func(d time.Duration) time.Time { return sentAt.Add(d) }
)

func updating(s kargo.LiveService, state swarm.UpdateState, started time.Time) kargo.LiveService {
	s.Update = &swarm.UpdateStatus{State: state, StartedAt: &started, Message: "update " + string(state)}
	return s
}

func restarting(s kargo.LiveService, policy swarm.RestartPolicy) kargo.LiveService {
	s.Spec.TaskTemplate.RestartPolicy = &policy
	return s
}

func tasks(service, state string, at time.Time, n int) []kargo.Task {
	var all []kargo.Task
	for i := range n {
		all = append(all, kargo.Task{ID: fmt.Sprint(i), Service: service, State: state, Time: at, StateAt: at, Err: "boom", ExitCode: 7})
	}
	return all
}

// waiting returns a task that has not run and has an error.
func waiting(service, state string, made time.Time) []kargo.Task {
	return []kargo.Task{{Service: service, State: state, Desired: "running", Time: made, StateAt: made, Err: "boom"}}
}

func TestJudge(t *testing.T) {
	options := kargo.StackOptions{Deadline: 10 * time.Minute, Stable: 5 * time.Second}
	a := live("web", "kargo-web_a", "app:1")
	none := uint64(0)
	job := a
	job.Spec.Mode = swarm.ServiceMode{ReplicatedJob: &swarm.ReplicatedJob{TotalCompletions: new(uint64(2))}}
	job.Running, job.Desired, job.Completed = 0, 2, 2
	halfJob := job
	halfJob.Completed = 1
	onceMore := job
	onceMore.Run = 1
	onceMore.Spec.TaskTemplate.RestartPolicy = &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionNone}
	earlierRun := tasks(a.Name, "failed", later(-10*time.Second), 1)

	onDeadNode := starting(a)
	onDeadNode.Lost = map[string]uint64{"worker-2": 1, "worker-1": 2}

	tests := []struct {
		name  string
		live  kargo.LiveService
		tasks []kargo.Task
		after time.Duration
		want  string
	}{
		{"its task has run long enough", a, tasks(a.Name, "running", later(0), 1), 6 * time.Second, "healthy "},
		{"its task has not run long enough", a, tasks(a.Name, "running", later(2*time.Second), 1), 6 * time.Second, "progressing kargo-web_a: has not run for 5s yet, proven at 12:00:07"},
		{"its tasks are not known", a, nil, time.Minute, "progressing kargo-web_a: has not run for 5s yet"},
		{"it is up, and is never proven", a, nil, 11 * time.Minute, "degraded did not come up within 10m0s: kargo-web_a: has not run for 5s yet"},
		{"a task is on its way out", a, append(tasks(a.Name, "running", later(0), 1), kargo.Task{Service: a.Name, State: "running", Desired: "shutdown", StateAt: later(5 * time.Second)}), 6 * time.Second, "healthy "},
		{"it does not run yet", starting(a), nil, time.Minute, "progressing kargo-web_a: 0 of 1 tasks run"},
		{"nodes with its tasks are down", onDeadNode, nil, time.Minute, "progressing kargo-web_a: 0 of 1 tasks run; not counted: 2 on node worker-1, which is down; not counted: 1 on node worker-2, which is down"},
		{"the deadline has passed", starting(a), nil, 11 * time.Minute, "degraded did not come up within 10m0s: kargo-web_a: 0 of 1 tasks run"},
		{"Swarm paused the update", updating(a, swarm.UpdateStatePaused, later(0)), nil, time.Minute, "degraded kargo-web_a: update paused"},
		{"and the last task says why", updating(a, swarm.UpdateStatePaused, later(0)), tasks(a.Name, "failed", later(time.Second), 1), time.Minute, "degraded kargo-web_a: update paused: boom (exit code 7)"},
		{"Swarm rolls it back", updating(a, swarm.UpdateStateRollbackStarted, later(0)), nil, time.Minute, "degraded kargo-web_a: update rollback_started"},
		{"Swarm rolled it back, and all runs", updating(a, swarm.UpdateStateRollbackCompleted, later(0)), tasks(a.Name, "running", later(0), 1), time.Minute, "degraded kargo-web_a: update rollback_completed"},
		{"a person rolled it back", rolledBackByHand(a), tasks(a.Name, "running", later(0), 1), time.Minute, "healthy "},
		{"Swarm rolled something back long ago", updating(a, swarm.UpdateStateRollbackCompleted, later(-time.Hour)), tasks(a.Name, "running", later(0), 1), time.Minute, "healthy "},
		{"two tasks failed", starting(a), tasks(a.Name, "failed", later(time.Second), 2), time.Minute, "progressing kargo-web_a: 0 of 1 tasks run: boom (exit code 7)"},
		{"three tasks failed", starting(a), tasks(a.Name, "failed", later(time.Second), 3), time.Minute, "degraded kargo-web_a: 3 tasks failed, the last one: boom (exit code 7)"},
		{"three tasks failed just before, of the version that this one mends", updating(starting(a), swarm.UpdateStateUpdating, later(0)), tasks(a.Name, "failed", later(-10*time.Second), 3), time.Minute, "progressing kargo-web_a: boom (exit code 7)"},
		{"a task is preparing and says why it does not start", starting(a), waiting(a.Name, "preparing", later(40*time.Second)), time.Minute, "progressing kargo-web_a: 0 of 1 tasks run: boom"},
		{"it has tried for too long", starting(a), waiting(a.Name, "preparing", later(time.Second)), time.Minute, "degraded kargo-web_a: a task cannot be prepared: boom"},
		{"its registry cannot be reached", starting(a), []kargo.Task{{Service: a.Name, State: "preparing", Desired: "running", Time: later(time.Second), Err: `Get "https://registry.example.org/v2/": dial tcp: no route to host`}}, time.Minute, `degraded kargo-web_a: the image app:1 cannot be pulled: Get "https://registry.example.org/v2/": dial tcp: no route to host`},
		{"a task that no node takes may wait until the deadline", starting(a), waiting(a.Name, "pending", later(time.Second)), time.Minute, "progressing kargo-web_a: 0 of 1 tasks run: boom"},
		{"three tasks were rejected", starting(a), tasks(a.Name, "rejected", later(time.Second), 3), time.Minute, "degraded kargo-web_a: 3 tasks failed, the last one: boom (exit code 7)"},
		{"three tasks failed long ago", starting(a), tasks(a.Name, "failed", later(-time.Hour), 3), time.Minute, "progressing kargo-web_a: 0 of 1 tasks run: boom (exit code 7)"},
		{"one failed and is not started again", restarting(starting(a), swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionNone}), tasks(a.Name, "failed", later(time.Second), 1), time.Minute, "degraded kargo-web_a: 1 tasks failed, the last one: boom (exit code 7)"},
		{"attempts are left", restarting(starting(a), swarm.RestartPolicy{MaxAttempts: new(uint64(2))}), tasks(a.Name, "failed", later(time.Second), 2), time.Minute, "progressing kargo-web_a: 0 of 1 tasks run: boom (exit code 7)"},
		{"attempts without end", restarting(starting(a), swarm.RestartPolicy{MaxAttempts: &none}), tasks(a.Name, "failed", later(time.Second), 1), time.Minute, "progressing kargo-web_a: 0 of 1 tasks run: boom (exit code 7)"},
		{"three tasks ended by themselves", starting(a), tasks(a.Name, "complete", later(time.Second), 3), time.Minute, "degraded kargo-web_a: 3 tasks failed, the last one: ended by itself (Swarm reports unhealthy tasks this way)"},
		{"its task has done what it was for", restarting(starting(a), swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionOnFailure}), tasks(a.Name, "complete", later(time.Second), 1), time.Minute, "healthy "},
		{"no replicas are wanted", scaled(a, 0), nil, time.Second, "healthy "},
		{"a job is complete", job, nil, time.Second, "healthy "},
		{"an earlier run of the job failed just before", onceMore, earlierRun, time.Second, "healthy "},
		{"a job is half done", halfJob, nil, time.Second, "progressing kargo-web_a: 1 of 2 completed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := withOptions(stack("web", service("kargo-web_a", "app:1")), options)
			c := cluster(test.live)
			c.Tasks = test.tasks
			j := plan.Judge(s, plan.NewIndex(c), kargo.Rollout{Since: sentAt}, later(test.after))
			got := string(j.Health) + " " + j.Reason
			if !j.ProvenAt.IsZero() {
				got += ", proven at " + j.ProvenAt.Format(time.TimeOnly)
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// While no process looked, the clock may have been set by any time.
func TestDeadlineCountsWhatWasWatched(t *testing.T) {
	a := live("web", "kargo-web_a", "app:1")
	s := withOptions(stack("web", service(a.Name, "app:1")), kargo.StackOptions{Deadline: 10 * time.Minute})
	rollout := kargo.Rollout{Since: sentAt, Watched: later(10 * time.Hour)}
	for _, test := range []struct {
		after time.Duration
		want  kargo.Health
	}{
		{10*time.Hour + 9*time.Minute, kargo.HealthProgressing},
		{10*time.Hour + 11*time.Minute, kargo.HealthDegraded},
	} {
		if got := plan.Judge(s, plan.NewIndex(cluster(starting(a))), rollout, later(test.after)); got.Health != test.want {
			t.Errorf("after %s: %s, want %s: %s", test.after, got.Health, test.want, got.Reason)
		}
	}
}

func TestJudgeNamesTheWorst(t *testing.T) {
	s := withOptions(stack("web", service("kargo-web_a", "app:1"), service("kargo-web_b", "app:1"), service("kargo-web_c", "app:1")),
		kargo.StackOptions{Stable: 5 * time.Second})
	a, b, c := live("web", "kargo-web_a", "app:1"), live("web", "kargo-web_b", "app:1"), live("web", "kargo-web_c", "app:1")
	for _, test := range []struct {
		live []kargo.LiveService
		want string
	}{
		{[]kargo.LiveService{a, starting(b), c}, "kargo-web_b: 0 of 1 tasks run"},
		{[]kargo.LiveService{a, c}, "kargo-web_b does not run"},
		{[]kargo.LiveService{starting(a), updating(b, swarm.UpdateStatePaused, later(0)), starting(c)}, "kargo-web_b: update paused"},
	} {
		if got := plan.Judge(s, plan.NewIndex(cluster(test.live...)), kargo.Rollout{Since: sentAt}, later(time.Second)).Reason; got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// Only what the software did counts for good.
func TestCauses(t *testing.T) {
	options := kargo.StackOptions{Deadline: 10 * time.Minute}
	a := live("web", "kargo-web_a", "app:1")
	paused := updating(starting(a), swarm.UpdateStatePaused, later(0))
	paused.Update.Message = "update paused due to failure or early termination of task t1"
	rolledBack := paused
	rolledBack.Update = &swarm.UpdateStatus{State: swarm.UpdateStateRollbackCompleted, StartedAt: paused.Update.StartedAt, Message: "rollback completed"}
	task := func(id, state, words string) kargo.Task {
		return kargo.Task{ID: id, Service: a.Name, State: state, Err: words, Time: later(time.Second), Desired: "running"}
	}
	three := func(state, words string) []kargo.Task {
		return []kargo.Task{task("t1", state, words), task("t2", state, words), task("t3", state, words)}
	}
	tests := []struct {
		name  string
		live  kargo.LiveService
		tasks []kargo.Task
		after time.Duration
		want  string
	}{
		{"a task ran and failed", paused, []kargo.Task{task("t1", "failed", "task: non-zero exit (1)")}, time.Minute, `degraded ""`},
		{"an image cannot be had", paused, []kargo.Task{task("t1", "rejected", "No such image: app:2")}, time.Minute, `degraded "image"`},
		{"another task had failed before", paused, []kargo.Task{task("t1", "rejected", "No such image: app:2"), task("t0", "failed", "task: non-zero exit (1)")}, time.Minute, `degraded ""`},
		{"its node was drained", paused, []kargo.Task{task("t1", "shutdown", "")}, time.Minute, `progressing ""`},
		{"its node still had the addresses of a removed network", paused, []kargo.Task{task("t1", "rejected", "invalid pool request: Pool overlaps with other one on this address space")}, time.Minute, `progressing "host"`},
		{"nodes still had the addresses", starting(a), three("rejected", "invalid pool request: Pool overlaps with other one on this address space"), time.Minute, `progressing "host"`},
		{"its node does not fit any more", paused, []kargo.Task{task("t1", "rejected", "assigned node no longer meets constraints")}, time.Minute, `progressing ""`},
		{"nothing is known of the tasks", paused, nil, time.Minute, `degraded ""`},
		{"Swarm rolled back for a drained node", rolledBack, []kargo.Task{task("t1", "shutdown", "")}, time.Minute, `degraded "host"`},
		{"three tasks ran and failed", starting(a), three("failed", "task: non-zero exit (1)"), time.Minute, `degraded ""`},
		{"a node's disk is full", starting(a), three("failed", "starting container failed: write /var/lib/docker: no space left on device"), time.Minute, `degraded "host"`},
		{"its node was too busy to mount its secrets", paused, []kargo.Task{task("t1", "failed", "starting container failed: unable to remount dir as readonly: mount tmpfs:/var/lib/docker/containers/c/mounts/secrets: device or resource busy")}, time.Minute, `progressing "host"`},
		{"a node's runtime does not answer", starting(a), three("failed", "starting container failed: failed to create shim task: context deadline exceeded: unknown"), time.Minute, `degraded "host"`},
		{"a command that the image does not have", starting(a), three("failed", `starting container failed: failed to create shim task: exec: "serve": executable file not found in $PATH: unknown`), time.Minute, `degraded ""`},
		{"a path that a node does not have", starting(a), three("rejected", `invalid mount config for type "bind": bind source path does not exist: /srv`), time.Minute, `degraded "host"`},
		{"no node takes it", starting(a), []kargo.Task{task("t1", "pending", "no suitable node (insufficient resources on 1 node)")}, 11 * time.Minute, `degraded "node"`},
		{"it is slow", starting(a), []kargo.Task{task("t1", "starting", "")}, 11 * time.Minute, `degraded ""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stack := withOptions(stack("web", service("kargo-web_a", "app:1")), options)
			index := plan.NewIndex(kargo.Cluster{Services: []kargo.LiveService{test.live}, Tasks: test.tasks})
			judgement := plan.Judge(stack, index, kargo.Rollout{Since: sentAt}, later(test.after))
			if got := fmt.Sprintf("%s %q", judgement.Health, judgement.Cause); got != test.want {
				t.Errorf("got %s, want %s: %s", got, test.want, judgement.Reason)
			}
		})
	}
}

// A task was rejected because its node had not yet freed the addresses of a network that
// was removed, and Swarm starts no other one. A job is sent again, and runs.
func TestATaskThatMissedItsOnlyChance(t *testing.T) {
	once := func(s *swarm.ServiceSpec) {
		s.TaskTemplate.RestartPolicy = &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionNone}
	}
	often := func(*swarm.ServiceSpec) {}
	overlaps := kargo.Task{ID: "t1", Service: "kargo-web_a", State: "rejected", Time: sentAt, Err: "invalid pool request: Pool overlaps with other one on this address space"}
	failed := kargo.Task{ID: "t2", Service: "kargo-web_a", State: "failed", Time: later(time.Second), Err: "task: non-zero exit (1)"}
	for _, test := range []struct {
		name    string
		restart func(*swarm.ServiceSpec)
		tasks   []kargo.Task
		want    string
	}{
		{"it is sent again", once, []kargo.Task{overlaps}, "update service kargo-web_a: its task never ran, because of its node, and Swarm starts no other: it is sent again\n"},
		{"Swarm starts another one", often, []kargo.Task{overlaps}, "nothing to do\n"},
		{"the next one ran and failed", once, []kargo.Task{failed, overlaps}, "nothing to do\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen := cluster(starting(live("web", "kargo-web_a", "app:1", test.restart)))
			seen.Tasks = test.tasks
			got := plan.Make([]kargo.Stack{stack("web", service("kargo-web_a", "app:1", test.restart))}, seen, options())
			check(t, got, test.want)
			if len(got.Changes) == 1 && got.Changes[0].Service.TaskTemplate.ForceUpdate != 1 {
				t.Error("the update would replace no task")
			}
		})
	}
}

// Swarm paused an update, and no program of its tasks failed. The update is sent again,
// and its line says what the node said.
func TestAnInterruptedUpdateIsSentAgain(t *testing.T) {
	for _, test := range []struct{ name, state, words, want string }{
		{"the node was busy", "failed", "remount dir as readonly: input/output error", "update service kargo-web_a: its update was interrupted (remount dir as readonly: input/output error), and no program had failed: it is sent again\n"},
		{"the node left", "shutdown", "", "update service kargo-web_a: its update was interrupted, and no program had failed: it is sent again\n"},
		{"the program failed", "failed", "task: non-zero exit (1)", "nothing to do\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen := cluster(updating(live("web", "kargo-web_a", "app:1"), swarm.UpdateStatePaused, sentAt))
			seen.Tasks = []kargo.Task{{ID: "t1", Service: "kargo-web_a", State: test.state, Time: later(time.Second), Err: test.words}}
			check(t, plan.Make([]kargo.Stack{stack("web", service("kargo-web_a", "app:1"))}, seen, options()), test.want)
		})
	}
}

// A rollout that goes forward is not taken for one that hangs, however slow its
// settings make it.
func TestDeadlineOfASlowUpdate(t *testing.T) {
	slow := updating(starting(live("web", "kargo-web_a", "app:1")), swarm.UpdateStateUpdating, later(0))
	slow.Spec.UpdateConfig = &swarm.UpdateConfig{Delay: 12 * time.Second, Monitor: 5 * time.Second}
	stack := withOptions(stack("web", service("kargo-web_a", "app:1")), kargo.StackOptions{Deadline: 30 * time.Second})
	up := func(at time.Duration) []kargo.Task {
		return []kargo.Task{{Service: slow.Name, State: "running", Desired: "running", Time: later(at), StateAt: later(at)}}
	}
	for _, test := range []struct {
		name  string
		tasks []kargo.Task
		after time.Duration
		want  kargo.Health
	}{
		{"a task came up just now", up(time.Minute), 70 * time.Second, kargo.HealthProgressing},
		{"the pause between two tasks counts", up(time.Minute), 60*time.Second + 46*time.Second, kargo.HealthProgressing},
		{"no task comes up any more", up(time.Minute), 60*time.Second + 48*time.Second, kargo.HealthDegraded},
		{"none came up at all", nil, 48 * time.Second, kargo.HealthDegraded},
	} {
		t.Run(test.name, func(t *testing.T) {
			index := plan.NewIndex(kargo.Cluster{Services: []kargo.LiveService{slow}, Tasks: test.tasks})
			if got := plan.Judge(stack, index, kargo.Rollout{Since: sentAt}, later(test.after)); got.Health != test.want {
				t.Errorf("%s, want %s: %s", got.Health, test.want, got.Reason)
			}
		})
	}
}
