package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// failures are ways in which a second version does not come up. Each edits a
// workspace whose stack web has a service app that runs well.
var failures = []struct {
	name string
	edit func(*workspace)
	want string // in the reason
}{
	{"an image that nobody has", func(w *workspace) {
		w.service("app", replicas(1), image("kargo/nosuch:1"))
	}, "kargo/nosuch:1"}, // "No such image: kargo/nosuch:1", or from engine 29 on "the image kargo/nosuch:1 cannot be pulled"
	{"a crash at start", func(w *workspace) {
		w.service("app", replicas(1), command("serve -crash-after 100ms -crash-code 7"))
	}, "non-zero exit (7)"},
	{"a health check that fails after 20 seconds", func(w *workspace) {
		w.service("app", replicas(1), command("serve -unhealthy-after 20s"))
		w.set(w.variable("web", "STABLE"), "30s").set(w.variable("web", "DEADLINE"), "35s")
	}, "failed and was rolled back"}, // whether Swarm or the tasks tell first is a matter of moments
	{"no node to run on", func(w *workspace) {
		w.service("app", replicas(1))
		w.set("APP_CONSTRAINTS", "node.labels.nosuch==true")
		w.set(w.variable("web", "DEADLINE"), "8s")
	}, "did not come up within 8s"},
}

func TestAFailedRenderingIsRolledBackAndNotTriedAgain(t *testing.T) {
	t.Parallel()
	for _, failure := range failures {
		t.Run(failure.name, func(t *testing.T) {
			t.Parallel()
			s := onDocker(t, "--interval", "2s")
			good := func() *workspace { return s.workspace().stack("web", "app").service("app", replicas(1)) }
			s.begin(good())
			before := s.services()[s.service("web", "app")]

			bad := good()
			failure.edit(bad)
			d := s.deploy(bad)
			if d.Outcome != kargo.OutcomeFailed || !strings.Contains(d.Err, failure.want) {
				t.Errorf("deployment %s: %s, want a failure that says %q", d.Outcome, d.Err, failure.want)
			}
			after := s.services()[s.service("web", "app")]
			if asJSON(t, withoutRevision(after.Spec)) != asJSON(t, withoutRevision(before.Spec)) {
				t.Errorf("spec is %s, want what ran before: %s", asJSON(t, after.Spec), asJSON(t, before.Spec))
			}
			if kept := d.Stacks[0].Failure; kept == nil || len(kept.Words) == 0 && failure.want != "failed and was rolled back" {
				t.Errorf("the deployment does not keep what the tasks said: %+v", kept)
			}
			stack := s.status().Stacks[0]
			if stack.Failure == nil || !strings.Contains(d.Err, stack.Failure.Reason) {
				t.Errorf("the status does not keep the failure: %+v", stack.Failure)
			}

			mark := s.docker.mark()
			s.awaitRound(s.sync)
			if got := s.docker.writesSince(mark); len(got) > 0 {
				t.Errorf("the failed rendering was tried again: %q", got)
			}
		})
	}
}

func TestAConstraintThatNoNodeSatisfiesIsSaidBeforeADeadline(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	good := func() *workspace { return s.workspace().stack("web", "app").service("app", replicas(1)) }
	s.begin(good())
	bad := good()
	bad.set("APP_CONSTRAINTS", "node.labels.nosuch==true")
	s.repo.commit(bad)
	const want = `no node of the Swarm satisfies "node.labels.nosuch==true"; its tasks wait until one does`
	if got := s.cli("plan"); !strings.Contains(got.stdout, want) {
		t.Errorf("the plan does not say %q:\n%s", want, got)
	}
	s.sync()
	until(t, "the status says why the task waits", func() bool { return strings.Contains(s.status().Stacks[0].Message, want) })
	s.deploy(good())
}

func withoutRevision(spec dockerswarm.ServiceSpec) dockerswarm.ServiceSpec {
	delete(spec.Labels, kargo.LabelRevision)
	return spec
}

// A stack of five services of which the fourth fails: all five are as they
// were, and the task of the one that was to stay has never been touched.
func TestOneOfFiveFails(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	names := []string{"a", "b", "c", "d", "e"}
	good := s.workspace().stack("web", names...)
	for _, name := range names {
		good.service(name, replicas(1))
	}
	s.begin(good)
	images := func() string {
		var all []string
		for _, name := range names {
			all = append(all, s.services()[s.service("web", name)].Spec.TaskTemplate.ContainerSpec.Image)
		}
		return strings.Join(all, " ")
	}
	updated := func() time.Time { return s.services()[s.service("web", "e")].Updated }
	before, untouched := images(), updated()

	bad := s.workspace().stack("web", names...)
	for _, name := range []string{"a", "b", "c"} {
		bad.service(name, replicas(1), image("kargo/testserver:2"))
	}
	bad.service("d", replicas(1), image("kargo/testserver:2"), command("serve -crash-after 100ms"))
	bad.service("e", replicas(1))
	d := s.deploy(bad)

	if d.Outcome != kargo.OutcomeFailed {
		t.Errorf("deployment %s", d.Outcome)
	}
	if got := images(); got != before {
		t.Errorf("images are %s, want %s", got, before)
	}
	if got := updated(); !got.Equal(untouched) {
		t.Errorf("the untouched service was written at %s, before that at %s", got, untouched)
	}
	if got := s.takenDown("web", "e"); len(got) > 0 {
		t.Errorf("tasks of the untouched service were taken down: %v", got)
	}
	if got := s.takenDown("web", "a"); len(got) == 0 {
		t.Error("no task of a changed service was taken down")
	}
}

// takenDown are the tasks of a service that somebody ended. What ended by itself
// is nobody's doing.
func (s *scene) takenDown(stack, service string) []string {
	return s.tasks(stack, service, func(task kargo.Task) bool { return task.Desired != "running" && task.Err == "" })
}

// anyTask is all of a service's tasks.
func anyTask(kargo.Task) bool { return true }

// tasks are the ids of those of a service's tasks that are meant.
func (s *scene) tasks(stack, service string, meant func(kargo.Task) bool) []string {
	s.t.Helper()
	tasks, err := s.observer.Tasks(s.t.Context(), s.service(stack, service))
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, task := range tasks {
		if meant(task) {
			ids = append(ids, task.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// A job runs once a rendering, what depends on it waits, and an update of
// something else does not run it again.
func TestAJobRunsOnceARendering(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	w := s.workspace().stack("web", "app").set("GREETING", "hello").file("deploy/app.yml", `
services:
  migrate:
    image: kargo/testserver:1
    command: exit 0 1s
    healthcheck: {disable: true}
    deploy: {mode: replicated-job, restart_policy: {condition: none}}
  app:
    image: kargo/testserver:1
    environment: ["GREETING=${GREETING}"]
    depends_on: {migrate: {condition: service_completed_successfully}}
    deploy: {endpoint_mode: dnsrr, update_config: {monitor: 500ms}}
`)
	if d := s.begin(w); d.Outcome != kargo.OutcomeSucceeded {
		t.Fatalf("deployment %s: %s", d.Outcome, d.Err)
	}
	ran := s.tasks("web", "migrate", anyTask)
	if len(ran) != 1 {
		t.Fatalf("the job has %d tasks", len(ran))
	}
	if d := s.deploy(w.set("GREETING", "good evening")); d.Outcome != kargo.OutcomeSucceeded {
		t.Fatalf("deployment %s: %s", d.Outcome, d.Err)
	}
	if got := s.tasks("web", "migrate", anyTask); !slices.Equal(got, ran) {
		t.Errorf("an unrelated update ran the job again: %v, then %v", ran, got)
	}
}

func TestAFailedJobHoldsWhatDependsOnIt(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	d := s.begin(s.workspace().stack("web", "app").file("deploy/app.yml", `
services:
  migrate:
    image: kargo/testserver:1
    command: exit 3
    healthcheck: {disable: true}
    deploy: {mode: replicated-job, restart_policy: {condition: none}}
  app:
    image: kargo/testserver:1
    depends_on: {migrate: {condition: service_completed_successfully}}
    deploy: {endpoint_mode: dnsrr}
`))
	if d.Outcome != kargo.OutcomeFailed || !strings.Contains(d.Err, "non-zero exit (3)") {
		t.Errorf("deployment %s: %s", d.Outcome, d.Err)
	}
	if _, exists := s.services()[s.service("web", "app")]; exists {
		t.Error("what depends on the failed job was started")
	}
}

func TestPoliciesOnDocker(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	w := s.workspace().stack("web", "app").service("app", replicas(1))
	w.set(w.variable("web", "DRIFT"), "warn")
	s.begin(w)
	name := s.service("web", "app")
	scale := func(count uint64) {
		s.change(name, func(spec *dockerswarm.ServiceSpec) { spec.Mode.Replicated.Replicas = &count })
	}
	replicasNow := func() uint64 { return *s.services()[name].Spec.Mode.Replicated.Replicas }

	scale(2)
	s.awaitStatus("drift is told", func(k kargo.Status) bool {
		return len(k.Pending.Held) == 1 && strings.Contains(k.Pending.Held[0].Reason, ", left as it is (")
	})
	if got := replicasNow(); got != 2 {
		t.Errorf("%d replicas: drift was to be left as it is", got)
	}

	w.set(w.variable("web", "DRIFT"), "enforce").set(w.variable("web", "IGNORE"), "/Spec/Mode/Replicated/Replicas")
	s.deploy(w)
	s.deploy(w.service("app", replicas(1), environment("A=1")))
	if got := replicasNow(); got != 2 {
		t.Errorf("%d replicas: others have the say in them", got)
	}
}
