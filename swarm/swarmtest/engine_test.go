package swarmtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	dockerclient "github.com/docker/docker/client"

	"kargo/swarm/swarmtest"
)

// The behaviour that swarmtest shares with a real engine is checked by the
// contract test of package swarm. Here is what only an engine in memory has,
// and what would take a real one too long.

func spec(name, image string, replicas uint64) swarm.ServiceSpec {
	return swarm.ServiceSpec{
		Annotations:  swarm.Annotations{Name: name},
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: image}},
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}},
	}
}

func create(t *testing.T, api *dockerclient.Client, spec swarm.ServiceSpec) {
	t.Helper()
	if _, err := api.ServiceCreate(t.Context(), spec, swarm.ServiceCreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func update(t *testing.T, api *dockerclient.Client, name string, edit func(*swarm.ServiceSpec)) {
	t.Helper()
	service := inspect(t, api, name)
	edit(&service.Spec)
	if _, err := api.ServiceUpdate(t.Context(), service.ID, service.Version, service.Spec, swarm.ServiceUpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func inspect(t *testing.T, api *dockerclient.Client, name string) swarm.Service {
	t.Helper()
	service, _, err := api.ServiceInspectWithRaw(t.Context(), name, swarm.ServiceInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// summary is a line a service: its counts, update and tasks by state.
func summary(t *testing.T, api *dockerclient.Client) string {
	t.Helper()
	services, err := api.ServiceList(t.Context(), swarm.ServiceListOptions{Status: true})
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := api.TaskList(t.Context(), swarm.TaskListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, service := range services {
		status := service.ServiceStatus
		line := fmt.Sprintf("%s %d/%d", service.Spec.Name, status.RunningTasks, status.DesiredTasks)
		if service.UpdateStatus != nil {
			line += " " + string(service.UpdateStatus.State)
		}
		states := map[swarm.TaskState]int{}
		for _, task := range tasks {
			if task.ServiceID == service.ID {
				states[task.Status.State]++
			}
		}
		lines = append(lines, line+" "+strings.TrimPrefix(fmt.Sprint(states), "map"))
	}
	return strings.Join(lines, "\n")
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got: %s\nwant: %s", what, got, want)
	}
}

func TestNothingHappensByItself(t *testing.T) {
	engine := swarmtest.New()
	api := engine.Client()
	create(t, api, spec("web", "good", 2))
	same(t, "before", summary(t, api), "web 0/2 []")
	for _, want := range []string{
		"web 0/2 [new:2]", "web 0/2 [preparing:2]", "web 0/2 [starting:2]", "web 2/2 [running:2]",
	} {
		engine.Step()
		same(t, "step", summary(t, api), want)
	}
	if engine.Step() {
		t.Error("something still happens")
	}
}

func TestAutoSettle(t *testing.T) {
	engine := swarmtest.New(swarmtest.AutoSettle)
	api := engine.Client()
	create(t, api, spec("web", "good", 3))
	same(t, "created", summary(t, api), "web 3/3 [running:3]")
	update(t, api, "web", func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "better" })
	same(t, "updated", summary(t, api), "web 3/3 completed [running:3 shutdown:3]")
	if err := api.ServiceRemove(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	same(t, "removed", summary(t, api), "")
	same(t, "writes", strings.Join(engine.Writes(), ", "), "create service web, update service web, remove service web")
	same(t, "calls", fmt.Sprint(engine.Calls()["POST /services/{id}/update"]), "1")
}

func TestTwoRunsAreTheSame(t *testing.T) {
	run := func() string {
		engine := swarmtest.New(swarmtest.AutoSettle)
		api := engine.Client()
		create(t, api, spec("web", "good", 2))
		_, raw, err := api.ServiceInspectWithRaw(t.Context(), "web", swarm.ServiceInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	same(t, "second run", run(), run())
}

func TestUpdateGoesInTurns(t *testing.T) {
	engine := swarmtest.New()
	api := engine.Client()
	create(t, api, spec("web", "good", 2))
	engine.Settle()
	update(t, api, "web", func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "better" })
	version := inspect(t, api, "web").Version
	var seen []string
	for engine.Step() {
		if line := summary(t, api); len(seen) == 0 || seen[len(seen)-1] != line {
			seen = append(seen, line)
		}
	}
	same(t, "course", strings.Join(seen, "\n"), strings.Join([]string{
		"web 2/2 updating [new:1 running:2]",
		"web 1/2 updating [preparing:1 running:1 shutdown:1]",
		"web 1/2 updating [running:1 shutdown:1 starting:1]",
		"web 2/2 updating [new:1 running:2 shutdown:1]",
		"web 1/2 updating [preparing:1 running:1 shutdown:2]",
		"web 1/2 updating [running:1 shutdown:2 starting:1]",
		"web 2/2 updating [running:2 shutdown:2]",
		"web 2/2 completed [running:2 shutdown:2]",
	}, "\n"))
	if inspect(t, api, "web").Version == version {
		t.Error("the update itself changed no version")
	}
}

func TestFailuresSettle(t *testing.T) {
	engine := swarmtest.New(swarmtest.AutoSettle)
	engine.Image("crash", swarmtest.Behaviour{Exits: true, ExitCode: 1})
	engine.Image("sick", swarmtest.Behaviour{Unhealthy: true})
	engine.Image("ends", swarmtest.Behaviour{Exits: true})
	api := engine.Client()
	once := spec("once", "ends", 1)
	once.TaskTemplate.RestartPolicy = &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionOnFailure}
	for _, s := range []swarm.ServiceSpec{spec("crash", "crash", 1), spec("sick", "sick", 1), once} {
		create(t, api, s)
	}
	same(t, "settled", summary(t, api), "crash 0/1 [failed:3]\nsick 0/1 [failed:3]\nonce 0/1 [complete:1]")
	if !engine.Step() {
		t.Error("Step does not start the failed tasks again")
	}
}

func TestFailedUpdates(t *testing.T) {
	for _, c := range []struct{ action, order, want string }{
		{"pause", "stop-first", "web 1/2 paused [failed:3 running:1 shutdown:1]"},
		{"continue", "stop-first", "web 0/2 completed [failed:6 shutdown:2]"},
		{"rollback", "stop-first", "web 2/2 rollback_completed [failed:1 running:2 shutdown:1]"},
		{"pause", "start-first", "web 2/2 paused [failed:3 running:2]"},
		{"rollback", "start-first", "web 2/2 rollback_completed [failed:1 running:2]"},
	} {
		engine := swarmtest.New(swarmtest.AutoSettle)
		engine.Image("sick", swarmtest.Behaviour{Unhealthy: true})
		api := engine.Client()
		web := spec("web", "good", 2)
		web.UpdateConfig = &swarm.UpdateConfig{Parallelism: 1, FailureAction: c.action, Order: c.order}
		create(t, api, web)
		update(t, api, "web", func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "sick" })
		same(t, c.action+" "+c.order, summary(t, api), c.want)
	}
}

func TestNodesComeAndGo(t *testing.T) {
	engine := swarmtest.New(swarmtest.AutoSettle, swarmtest.Nodes("one", "two"))
	api := engine.Client()
	global := spec("agent", "good", 0)
	global.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}}
	create(t, api, global)
	create(t, api, spec("web", "good", 2))
	same(t, "both up", summary(t, api), "agent 2/2 [running:2]\nweb 2/2 [running:2]")
	engine.NodeDown("two", true)
	// What ran on the lost node is not known to have ended.
	same(t, "one lost", summary(t, api), "agent 2/1 [running:2]\nweb 3/2 [running:3]")
	engine.NodeDown("two", false)
	same(t, "back", summary(t, api), "agent 2/2 [running:2]\nweb 2/2 [running:2 shutdown:1]")
}

func TestConstraintsAreMetOnceANodeHasTheLabel(t *testing.T) {
	engine := swarmtest.New(swarmtest.AutoSettle, swarmtest.Nodes("one", "two"))
	api := engine.Client()
	picky := spec("picky", "good", 1)
	picky.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{"node.labels.disk == fast", "node.role != manager"}}
	create(t, api, picky)
	same(t, "before", summary(t, api), "picky 0/1 [pending:1]")
	node, _, err := api.NodeInspectWithRaw(t.Context(), "two")
	if err != nil {
		t.Fatal(err)
	}
	node.Spec.Labels["disk"] = "fast"
	if err := api.NodeUpdate(t.Context(), node.ID, node.Version, node.Spec); err != nil {
		t.Fatal(err)
	}
	same(t, "after", summary(t, api), "picky 1/1 [running:1]")
}

func TestJobOnAllNodes(t *testing.T) {
	engine := swarmtest.New(swarmtest.AutoSettle, swarmtest.Nodes("one", "two"))
	api := engine.Client()
	job := spec("job", "good", 0)
	job.Mode = swarm.ServiceMode{GlobalJob: &swarm.GlobalJob{}}
	create(t, api, job)
	same(t, "done", summary(t, api), "job 0/0 [complete:2]")
}

func TestLosingThePlacementKillsTheManager(t *testing.T) {
	engine := swarmtest.New(swarmtest.AutoSettle)
	api := engine.Client()
	web := spec("web", "good", 1)
	web.TaskTemplate.Placement = &swarm.Placement{}
	create(t, api, web)
	defer func() {
		if recover() == nil {
			t.Error("the manager lives")
		}
	}()
	update(t, api, "web", func(s *swarm.ServiceSpec) { s.TaskTemplate.Placement = nil })
}

func TestEventsCanBeReadAgain(t *testing.T) {
	engine := swarmtest.New()
	api := engine.Client()
	for _, name := range []string{"a", "b"} {
		if _, err := api.NetworkCreate(t.Context(), name, network.CreateOptions{Driver: "overlay"}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	messages, errs := api.Events(ctx, events.ListOptions{Since: "0"})
	same(t, "first", fmt.Sprint((<-messages).Actor.Attributes), "map[name:a]")
	same(t, "second", fmt.Sprint((<-messages).Actor.Attributes), "map[name:b]")
	engine.Disconnect()
	if err := <-errs; err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestFaults(t *testing.T) {
	engine := swarmtest.New()
	api := engine.Client()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, c := range []struct {
		status int
		want   string
	}{
		{418, "Error response from daemon: no"},
		{swarmtest.Cut, `error during connect: Get "http://swarmtest:2375/v1.41/nodes": EOF`},
		{swarmtest.Silent, "context canceled"},
	} {
		engine.Fail(func(r *http.Request) (int, string) {
			if r.URL.Path != "/nodes" {
				return 0, ""
			}
			if c.status == swarmtest.Silent {
				cancel()
			}
			return c.status, "no"
		})
		_, err := api.NodeList(ctx, swarm.NodeListOptions{})
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("status %d: %v", c.status, err)
		}
	}
	same(t, "calls", fmt.Sprint(engine.Calls()["GET /nodes"]), "3")
}
