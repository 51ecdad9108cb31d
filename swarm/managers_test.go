package swarm_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// twoManagers are managers of one Swarm, each behind an address of its own.
type twoManagers struct {
	client  *swarm.Client
	engine  *swarmtest.Engine
	servers [2]*httptest.Server

	mu   sync.Mutex
	fail [2]http.HandlerFunc // nil where the manager serves
	got  []string            // "0 POST /networks/create", …
}

func newTwoManagers(t *testing.T) *twoManagers {
	t.Helper()
	m := &twoManagers{engine: swarmtest.New(swarmtest.AutoSettle)}
	var hosts []string
	for i := range m.servers {
		m.servers[i] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(i, w, r) }))
		t.Cleanup(m.servers[i].Close)
		hosts = append(hosts, "tcp://"+m.servers[i].Listener.Addr().String())
	}
	client, err := swarm.Open(swarm.Options{Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	m.client = client
	return m
}

func (m *twoManagers) serve(i int, w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	handler := m.fail[i]
	if !strings.HasSuffix(r.URL.Path, "/_ping") {
		_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
		m.got = append(m.got, string(rune('0'+i))+" "+r.Method+" /"+path)
	}
	m.mu.Unlock()
	if handler == nil {
		handler = m.engine.ServeHTTP
	}
	handler(w, r)
}

// fails lets a manager fail from now on; nil lets it serve again.
func (m *twoManagers) fails(i int, how http.HandlerFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail[i] = how
}

// want makes a network and checks which manager got what, and what became of it.
func (m *twoManagers) want(t *testing.T, what, network, want string) {
	t.Helper()
	m.mu.Lock()
	m.got = nil
	m.mu.Unlock()
	change := kargo.Change{Kind: kargo.KindNetwork, Action: kargo.Create, Name: network, Stack: "web", Network: &kargo.Network{Name: network}}
	err := m.client.Apply(t.Context(), kargo.Plan{Changes: []kargo.Change{change}}, nil, func(kargo.Change, error) {})
	m.mu.Lock()
	defer m.mu.Unlock()
	said := "ok"
	if err != nil {
		said = kargo.FaultOf(err).String()
	}
	same(t, what, strings.Join(m.got, "; ")+": "+said, want)
}

func answers(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"message": "` + text + `"}`))
	}
}

// cuts ends the connection in place of an answer.
func cuts(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestTheNextManagerIsAsked(t *testing.T) {
	m := newTwoManagers(t)
	m.want(t, "both serve", "one", "0 POST /networks/create: ok")

	m.fails(0, answers(500, "rpc error: code = Unknown desc = The swarm does not have a leader."))
	m.want(t, "no leader: nothing was done", "two", "0 POST /networks/create; 1 POST /networks/create: ok")
	m.want(t, "the second stays", "three", "1 POST /networks/create: ok")

	m.fails(0, nil)
	m.fails(1, answers(503, "This node is not a swarm manager."))
	m.want(t, "demoted", "four", "1 POST /networks/create; 0 POST /networks/create: ok")

	m.fails(0, cuts)
	m.fails(1, nil)
	m.want(t, "cut off: perhaps it was done", "five", "0 POST /networks/create: unavailable")
	m.want(t, "but the second is asked from then on", "five", "1 POST /networks/create: ok")

	m.fails(1, answers(500, "something odd"))
	m.want(t, "a failure of its own", "six", "1 POST /networks/create: unavailable")
}

func TestAManagerThatIsDownIsPassedOver(t *testing.T) {
	m := newTwoManagers(t)
	m.servers[0].Close()
	m.want(t, "the first is down", "one", "1 POST /networks/create: ok")
	m.servers[1].Close()
	m.want(t, "all are down", "two", ": unavailable")
}

// What a manager says tells more than that the other cannot be reached.
func TestAManagerWithoutQuorumIsHeard(t *testing.T) {
	m := newTwoManagers(t)
	m.servers[1].Close()
	m.fails(0, answers(500, "rpc error: code = Unknown desc = The swarm does not have a leader."))
	_, err := m.client.Services(t.Context())
	same(t, "error", message(err), "list services: The swarm does not have a leader. (the managers have no leader for the moment, or too few of them are up; they are asked again)")
	_, err = m.client.Services(t.Context()) // begins with the other one
	same(t, "error", message(err), "list services: The swarm does not have a leader. (the managers have no leader for the moment, or too few of them are up; they are asked again)")
}

func TestALookGoesToTheNextManager(t *testing.T) {
	for name, how := range map[string]http.HandlerFunc{
		"cut off": cuts, "no leader": answers(500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded"), "gateway": answers(502, ""),
	} {
		m := newTwoManagers(t)
		m.fails(0, how)
		if _, err := m.client.Observe(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
