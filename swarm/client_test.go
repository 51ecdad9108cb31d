package swarm_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	for _, options := range []swarm.Options{
		{Hosts: []string{"no address"}}, {Hosts: []string{"tcp://127.0.0.1:1", "no address"}},
		{TLSVerify: true},
		{CertPath: filepath.Join(t.TempDir(), "nothing")},
	} {
		client, err := swarm.Open(options)
		if err == nil || kargo.FaultOf(err) != kargo.Invalid {
			t.Errorf("%+v: client %v, error %v", options, client, err)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	client, err := swarm.Open(swarm.Options{Hosts: []string{"unix://" + filepath.Join(t.TempDir(), "docker.sock")}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Observe(t.Context())
	if kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), "does Docker run there") {
		t.Errorf("%s: %v", kargo.FaultOf(err), err)
	}
	if err := client.Watch(t.Context(), nil); kargo.FaultOf(err) != kargo.Unavailable {
		t.Errorf("%s: %v", kargo.FaultOf(err), err)
	}
}

// overSocket is an engine behind a real connection, and a client that waits for
// it no longer than that.
func overSocket(t *testing.T, timeout time.Duration) (*swarmtest.Engine, *swarm.Client) {
	t.Helper()
	engine := swarmtest.New(swarmtest.AutoSettle)
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	client, err := swarm.Open(swarm.Options{Hosts: []string{"tcp://" + server.Listener.Addr().String()}, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		engine.Disconnect()
		_ = client.Close()
	})
	return engine, client
}

func TestSilentDaemon(t *testing.T) {
	engine, client := overSocket(t, 500*time.Millisecond)
	engine.Fail(func(*http.Request) (int, string) { return swarmtest.Silent, "" })
	_, err := client.Services(t.Context())
	if kargo.FaultOf(err) != kargo.Unavailable || !strings.HasSuffix(message(err), "(the Docker daemon did not answer in time)") {
		t.Errorf("%s: %v", kargo.FaultOf(err), err)
	}
	// The version is negotiated once the daemon answers.
	engine.Fail(nil)
	if _, err := client.Services(t.Context()); err != nil {
		t.Error(err)
	}
}

// A proxy may let nobody ask for the nodes. What else the manager says is still known.
func TestNodesThatAProxyHides(t *testing.T) {
	engine, client := overSocket(t, 0)
	engine.Fail(func(r *http.Request) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/nodes") {
			return http.StatusForbidden, "forbidden by administrative rules"
		}
		return 0, ""
	})
	found, err := client.Examine(t.Context())
	if err != nil || !found.NodesHidden || found.Nodes != 0 {
		t.Errorf("found %+v: %v", found, err)
	}
}

func TestFaultsOfALook(t *testing.T) {
	const grpc = "rpc error: code = "
	for _, c := range []struct {
		status        int
		message, want string
	}{
		{503, "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state.",
			"unavailable: list services: This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. " +
				"(this node is not a swarm manager: run Kargo on a manager, or name one in DOCKER_HOST)"},
		{503, "This node is not part of a swarm", "unavailable: list services: This node is not part of a swarm " +
			"(this node is not a swarm manager: run Kargo on a manager, or name one in DOCKER_HOST)"},
		{500, grpc + "Unknown desc = The swarm does not have a leader. It's possible that too few managers are online.",
			"unavailable: list services: The swarm does not have a leader. It's possible that too few managers are online. (the managers have no leader for the moment, or too few of them are up; they are asked again)"},
		{500, grpc + "DeadlineExceeded desc = context deadline exceeded", "unavailable: list services: context deadline exceeded (the managers have no leader for the moment, or too few of them are up; they are asked again)"},
		{500, grpc + "Unavailable desc = connection error", "unavailable: list services: connection error (the managers have no leader for the moment, or too few of them are up; they are asked again)"},
		{403, "no", "unavailable: list services: no " +
			"(the proxy in front of the Docker socket must allow services, networks, configs, secrets, tasks, nodes, distribution and events)"},
		{500, "something odd", "unavailable: list services: something odd (the Docker daemon failed; it is asked again)"},
		{500, grpc + "Unknown desc = raft: failed to process the request: node lost leader status",
			"unavailable: list services: raft: failed to process the request: node lost leader status (the managers have no leader for the moment, or too few of them are up; they are asked again)"},
		{502, "Bad Gateway", "unavailable: list services: Bad Gateway (a proxy in front of Docker does not reach it)"},
		{504, "Gateway Time-out", "unavailable: list services: Gateway Time-out (a proxy in front of Docker does not reach it)"},
		{swarmtest.Cut, "", "unavailable: list services: error during connect: Get \"http://swarmtest:2375/v1.41/services?status=true\": EOF " +
			"(does Docker run there, and may this process open its socket?)"},
	} {
		engine := swarmtest.New()
		engine.Fail(func(r *http.Request) (int, string) {
			if r.URL.Path != "/services" {
				return 0, ""
			}
			return c.status, c.message
		})
		_, err := swarm.New(engine.Client()).Observe(t.Context())
		same(t, "error", kargo.FaultOf(err).String()+": "+message(err), c.want)
	}
}

func TestDockerWithoutTaskCounts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.40")
		fmt.Fprint(w, `[{"ID":"someid","Spec":{"Name":"old"}}]`)
	}))
	defer server.Close()
	client, err := swarm.Open(swarm.Options{Hosts: []string{"tcp://" + server.Listener.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Services(t.Context())
	const tooOld = "(Kargo needs Docker 20.10, API 1.41, or newer)"
	same(t, "look", message(err), "list services: Docker does not count the tasks of service old "+tooOld)
	err = client.Watch(t.Context(), nil)
	same(t, "watch", kargo.FaultOf(err).String()+": "+message(err), "unavailable: watch swarm events: "+
		`"counting the tasks of services" requires API version 1.41, but the Docker daemon API version is 1.40 `+tooOld)
}

func TestApplyStopsWhenDockerIsOutOfReach(t *testing.T) {
	b := memoryBed()
	b.engine.Fail(func(r *http.Request) (int, string) {
		if r.URL.Path == "/secrets/create" {
			return 500, "rpc error: code = Unknown desc = The swarm does not have a leader"
		}
		return 0, ""
	})
	changes := b.everything()
	for i := range changes {
		changes[i].Stack = "web"
	}
	update := &changes[len(changes)-1]
	update.Action, update.ID, update.Stack = kargo.Update, "someid", "other"
	same(t, "apply", b.apply(t, changes...), "create network net: ok\ncreate config config: ok\n"+
		"create secret secret: unavailable: create secret secret: The swarm does not have a leader\n= unavailable")
}

// A proxy that cannot reach the daemon responds with a page, or with nothing.
func TestGatewaysThatReachNoDaemon(t *testing.T) {
	for _, c := range []struct {
		status     int
		kind, body string
	}{
		{502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>"},
		{503, "text/html", "<html><body><h1>503 Service Unavailable</h1>No server is available.</body></html>"},
		{504, "text/html", "<html><body><h1>504 Gateway Time-out</h1></body></html>"},
		{502, "text/plain", ""}, {503, "text/plain", ""}, {504, "text/plain", ""},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		client, err := swarm.Open(swarm.Options{Hosts: []string{"tcp://" + server.Listener.Addr().String()}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = client.Services(t.Context()); kargo.FaultOf(err) != kargo.Unavailable {
			t.Errorf("%d %q: %s: %v", c.status, c.body, kargo.FaultOf(err), err)
		}
		_ = client.Close()
		server.Close()
	}
}

func TestApplyStopsBeforeTheNextCall(t *testing.T) {
	b := memoryBed()
	ctx, cancel := context.WithCancel(t.Context())
	done := 0
	err := b.client.Apply(ctx, kargo.Plan{Changes: b.everything()}, nil, func(kargo.Change, error) {
		done++
		cancel()
	})
	same(t, "error", fmt.Sprint(done, " ", kargo.FaultOf(err), ": ", err),
		"1 unavailable: stop before create config case-config: context canceled")
	same(t, "writes", strings.Join(b.engine.Writes(), ", "), "create network case-net")
}

func TestApplyHasTheFaultThatMatters(t *testing.T) {
	b := memoryBed()
	bad, odd := b.spec("bad"), b.spec("odd")
	bad.Name = "not.a.name"
	b.engine.Fail(func(r *http.Request) (int, string) {
		if r.URL.Path == "/networks/create" {
			return 500, "something odd"
		}
		return 0, ""
	})
	invalid, failing, conflict := serviceChange(bad), b.network("net"), removal(kargo.KindService, "", odd.Name)
	invalid.Stack, failing.Stack, conflict.Stack = "1", "2", "3"
	conflict.Action, conflict.Service, conflict.ID = kargo.Update, &odd, "gone"
	fault := func(changes ...kargo.Change) string {
		lines := strings.Split(b.apply(t, changes...), "\n")
		return lines[len(lines)-1]
	}
	same(t, "one", fault(invalid), "= invalid")
	same(t, "two", fault(invalid, conflict), "= conflict")
	// After a failure of the daemon in one stack, Apply goes on with the others.
	same(t, "three", b.apply(t, failing, conflict), ""+
		"create network net: unavailable: create network net: something odd\n"+
		"update service odd: conflict: update service odd: service gone not found\n= unavailable")
}

func TestApplyDoesNotGuess(t *testing.T) {
	b := memoryBed()
	unnamed := removal(kargo.KindNetwork, "", "net")
	other := b.network("net")
	other.Action, other.ID, other.Stack = kargo.Update, "someid", "other"
	same(t, "apply", b.apply(t, unnamed, other), ""+
		"remove network net: internal: remove network net: the plan does not say which object it means\n"+
		"update network net: internal: update network net: the plan is to update a network, which Swarm cannot do\n= internal")
}

func TestAnswerOfAWriteIsLost(t *testing.T) {
	b := memoryBed()
	b.engine.Fail(func(r *http.Request) (int, string) {
		if r.Method == http.MethodPost {
			return swarmtest.CutAfter, ""
		}
		return 0, ""
	})
	if got := b.apply(t, b.network("net")); !strings.HasSuffix(got, "= unavailable") {
		t.Errorf("apply: %s", got)
	}
	b.engine.Fail(nil)
	same(t, "again", b.apply(t, b.network("net")),
		"create network net: conflict: create network net: network with name net already exists\n= conflict")
}

// Docker shows the containers of the manager's node only.
func TestANetworkMayBeInUseOnAnotherNode(t *testing.T) {
	b := memoryBed()
	b.apply(t, b.network("net"))
	b.engine.Fail(func(r *http.Request) (int, string) {
		if r.Method == http.MethodDelete {
			return 400, "rpc error: code = FailedPrecondition desc = network someid is in use by task anid"
		}
		return 0, ""
	})
	i := slices.IndexFunc(b.observe(t).Networks, func(n kargo.LiveNetwork) bool { return n.Name == b.name("net") })
	remove := kargo.RemoveNetwork("s", b.observe(t).Networks[i], "no longer used")
	same(t, "apply", b.apply(t, remove), "remove network net: conflict: remove network net: network net is in use by a container on another node\n= conflict")
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	b := memoryBed()
	spec := b.spec("bad")
	spec.TaskTemplate.ContainerSpec.Env = []string{"PASSWORD=hunter2"}
	spec.TaskTemplate.Resources = &dockerswarm.ResourceRequirements{Limits: &dockerswarm.Limit{MemoryBytes: 5}}
	secret := b.config("not a name", true)
	secret.Stack, secret.Config.Data = "other", []byte("hunter2")
	if got := b.apply(t, serviceChange(spec), secret); strings.Contains(got, "hunter2") || !strings.HasSuffix(got, "= invalid") {
		t.Error(got)
	}
}

func TestServicesAlwaysHaveAPlacement(t *testing.T) {
	b := memoryBed()
	b.apply(t, serviceChange(b.spec("one")))
	b.engine.Settle()
	same(t, "apply", b.apply(t, updateOf(b.service(t), func(s *dockerswarm.ServiceSpec) {
		s.TaskTemplate.Placement = nil
	})), "update service one: ok")
	b.engine.Settle() // dies without a placement, as a real manager does
	if b.service(t).Spec.TaskTemplate.Placement == nil {
		t.Error("it was sent without a placement")
	}
}

func TestLightLookAsksOnceForANetworkItDoesNotKnow(t *testing.T) {
	b := memoryBed()
	netID := b.createNetwork(t, "net")
	spec := b.spec("one")
	spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: netID}}
	b.create(t, spec)
	for range 2 {
		same(t, "target", b.service(t).Spec.TaskTemplate.Networks[0].Target, b.name("net"))
	}
	same(t, "calls", fmt.Sprint(b.client.Calls()), "map[NetworkInspect:1 NodeList:1 ServiceList:2]")

	// A network that only PreviousSpec remembers stays an id.
	b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.Networks = nil })
	b.engine.Settle()
	if err := b.api.NetworkRemove(t.Context(), netID); err != nil {
		t.Fatal(err)
	}
	fresh := swarm.New(b.api)
	for range 2 {
		services, err := fresh.Services(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "previous target", services[0].Previous.TaskTemplate.Networks[0].Target, netID)
	}
	same(t, "calls", fmt.Sprint(fresh.Calls()), "map[NetworkInspect:1 NodeList:1 ServiceList:2]")
}

func TestServiceIsRemovedDuringTheLook(t *testing.T) {
	b := memoryBed()
	b.create(t, b.spec("one"))
	b.create(t, b.spec("two"))
	b.engine.Step()
	b.engine.Fail(func(r *http.Request) (int, string) {
		if r.URL.Path == "/tasks" && r.URL.Query().Get("filters") != "" {
			return 404, "service someid not found"
		}
		return 0, ""
	})
	same(t, "tasks", fmt.Sprint(len(b.observe(t).Tasks)), "2")
}

func TestWatchEndsWithTheStream(t *testing.T) {
	engine, client := overSocket(t, 0)
	stirred, ended := make(chan string, 100), make(chan error)
	go func() { ended <- client.Watch(t.Context(), func(event kargo.Event) { stirred <- event.String() }) }()
	b := &bed{api: engine.Client(), prefix: "case-", engine: engine}
	b.listening(t, stirred)
	engine.Disconnect()
	err := <-ended
	same(t, "error", kargo.FaultOf(err).String()+": "+err.Error(), "unavailable: watch swarm events: EOF")
}

// Swarm goes on counting a task as running whose node is down.
func TestLostTasksDoNotCount(t *testing.T) {
	b := memoryBed(swarmtest.Nodes("manager", "worker"))
	spec := b.spec("one")
	spec.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"node.hostname == worker"}}
	b.apply(t, serviceChange(spec))
	b.engine.Settle()
	services := func() (text string, calls uint64) {
		before := b.client.Calls()["NodeList"]
		seen, err := b.client.Services(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d of %d run, lost %v", seen[0].Running, seen[0].Desired, seen[0].Lost), b.client.Calls()["NodeList"] - before
	}
	check := func(when, want string, calls uint64) {
		t.Helper()
		if got, made := services(); got != want || made != calls {
			t.Errorf("%s: %s, with %d calls for nodes; want %s, with %d", when, got, made, want, calls)
		}
	}
	check("at first", "1 of 1 run, lost map[]", 1)
	check("while nothing changes", "1 of 1 run, lost map[]", 0)

	stirred := make(chan string, 100)
	go func() { _ = b.client.Watch(t.Context(), func(event kargo.Event) { stirred <- event.String() }) }()
	b.listening(t, stirred)
	untilNodeEvent := func() {
		for event := range stirred {
			if event == "node update worker" {
				return
			}
		}
	}
	check("after the stream began", "1 of 1 run, lost map[]", 1)
	nodes, err := b.client.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	labelled := nodes[1].Spec
	labelled.Labels = map[string]string{"zone": "near"}
	b.apply(t, kargo.UpdateNode(nodes[1], labelled, "a label"))
	untilNodeEvent()
	check("with another label of the node", "1 of 1 run, lost map[]", 0)
	b.engine.NodeDown("worker", true)
	b.engine.Settle()
	untilNodeEvent()
	check("with the node down", "0 of 1 run, lost map[worker:1]", 1)
	check("as long as it is down", "0 of 1 run, lost map[worker:1]", 1)
	same(t, "tasks seen", fmt.Sprint(len(b.observe(t).Tasks)), "2") // the lost one, and one that waits

	forbidden := func(r *http.Request) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/nodes") {
			return http.StatusForbidden, "Request forbidden by administrative rules."
		}
		return 0, ""
	}
	b.engine.Fail(forbidden)
	check("behind a proxy that forbids /nodes", "1 of 1 run, lost map[]", 1)
	b.engine.Fail(nil)
}

// A node that is down never says that a task of it has ended.
func TestTasksOfANodeThatIsDown(t *testing.T) {
	b := memoryBed(swarmtest.Nodes("manager", "worker"))
	b.apply(t, b.network("net"))
	spec := b.spec("one")
	spec.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"node.hostname == worker"}}
	spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: b.name("net")}}
	b.apply(t, serviceChange(spec))
	b.engine.Settle()
	b.engine.NodeDown("worker", true)
	service := b.service(t)
	b.apply(t, removal(kargo.KindService, service.ID, service.Name))
	b.engine.Settle()

	seen := b.observe(t)
	ending := slices.DeleteFunc(seen.Tasks, func(task kargo.Task) bool { return task.Service != service.ID })
	if len(ending) != 1 || ending[0].NodeDown != "worker" || ending[0].Ended() {
		t.Fatalf("tasks of the removed service: %+v", ending)
	}
	i := slices.IndexFunc(seen.Networks, func(n kargo.LiveNetwork) bool { return n.Name == b.name("net") })
	same(t, "apply", b.apply(t, kargo.RemoveNetwork("s", seen.Networks[i], "no longer used")), "remove network net: ok")

	// What a proxy does not let through is waited for.
	b.engine.Fail(func(r *http.Request) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/nodes") {
			return http.StatusForbidden, "Request forbidden by administrative rules."
		}
		return 0, ""
	})
	tasks, err := b.client.Tasks(t.Context())
	if err != nil || len(tasks) == 0 || tasks[len(tasks)-1].NodeDown != "" {
		t.Errorf("behind a proxy that forbids /nodes: %+v, %v", tasks, err)
	}
}
