package controller_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/compile"
	"kargo/controller"
	"kargo/swarm"
)

// link is a controller's way to Swarm, which may be cut, and which counts plans.
type link struct {
	*swarm.Client
	cut      atomic.Bool
	plans    atomic.Int64
	instance string
	name     string // of the controller
	// late: the way to the lease is open only after the first look has begun, so that the
	// controller takes over in the middle of a round.
	late bool
	// delay is how long the first answer about the lease takes.
	delay time.Duration

	mu      sync.Mutex
	without []string // what was written while another one had the lease
}

// holder is the name of the controller that has the lease in Swarm, or "".
func (l *link) holder() string {
	lease, err := l.Client.Lease(context.Background(), l.instance)
	if err != nil || lease.Released {
		return ""
	}
	return lease.Name
}

// audit is what the controller wrote while another one had the lease.
func (l *link) audit() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.without)
}

var errCut = kargo.Errorf(kargo.Unavailable, "the network is cut")

func (l *link) Lease(ctx context.Context, instance string) (kargo.Lease, error) {
	if l.cut.Load() {
		return kargo.Lease{}, errCut
	}
	time.Sleep(l.delay)
	l.delay = 0
	return l.Client.Lease(ctx, instance)
}

func (l *link) WriteLease(ctx context.Context, instance string, lease kargo.Lease) (kargo.Lease, error) {
	if l.cut.Load() {
		return kargo.Lease{}, errCut
	}
	return l.Client.WriteLease(ctx, instance, lease)
}

func (l *link) Observe(ctx context.Context) (kargo.Cluster, error) {
	if l.late && l.cut.Swap(false) {
		time.Sleep(5 * time.Second)
	}
	return l.Client.Observe(ctx)
}

func (l *link) Apply(ctx context.Context, plan kargo.Plan, sending func([]kargo.Change), done func(kargo.Change, error)) error {
	l.plans.Add(1)
	return l.Client.Apply(ctx, plan, sending, func(change kargo.Change, err error) {
		if holder := l.holder(); err == nil && holder != "" && holder != l.name {
			l.mu.Lock()
			l.without = append(l.without, fmt.Sprintf("%s wrote %s while %s had the lease", l.name, change, holder))
			l.mu.Unlock()
		}
		done(change, err)
	})
}

// replica is one of several controllers of the instance of a matrix.
type replica struct {
	link    *link
	source  *repository
	records *records
	loop    *controller.Loop
	stop    func()
	service func(context.Context) (string, error) // as in Leadership
	name    string
}

// replica starts another controller, with a data directory of its own.
func (m *matrix) replica(name string) *replica { return m.replicaIn(name, nil) }

// replicaIn is a replica that says in which service it runs.
func (m *matrix) replicaIn(name string, service func(context.Context) (string, error)) *replica {
	return m.again(m.newReplica(name, service))
}

// newReplica is a replica that has not been started.
func (m *matrix) newReplica(name string, service func(context.Context) (string, error)) *replica {
	return &replica{
		name: name, service: service,
		link:    &link{Client: m.connect(), name: name, instance: m.parts.Behavior.Instance},
		source:  &repository{baton: m.repo.baton, commits: m.repo.commits, head: m.repo.head, signed: m.repo.signed},
		records: &records{attempts: map[string]int{}},
	}
}

// again starts a replica that has ended, over what it remembers.
func (m *matrix) again(r *replica) *replica {
	parts := m.parts
	parts.Memory = r.records.memory
	for _, d := range r.records.deployments {
		if d.Finished.IsZero() && !d.Kind.IsNote() {
			parts.Unfinished = &d
		}
	}
	parts.Source = compile.Layers{User: r.source}
	parts.Swarm, parts.Watcher, parts.Store = r.link, r.link, r.records
	parts.Effects.Write = nil
	parts.Leadership = controller.Leadership{Leases: r.link, ID: "id of " + r.name, Name: r.name, Service: r.service}
	r.loop = controller.New(parts)
	ctx, stop := context.WithCancel(m.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.loop.Run(ctx) }()
	r.stop = func() { stop(); <-ended; r.stop = func() {} }
	return r
}

// rogue is what somebody makes of a service by hand.
func rogue(spec *dockerswarm.ServiceSpec) { spec.TaskTemplate.ContainerSpec.Image = "rogue:1" }

// Two controllers of one instance: one works, the other stands by and says so, and
// takes over when the first is cut off, or ends.
func TestTwoControllersOfOneInstance(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.repo.commit("c0", fine.files()...)
		one := m.replica("one")
		m.live(5)
		two := m.replica("two")
		defer func() { one.stop(); two.stop() }()
		m.live(60)
		if got := two.loop.Status(); got.Leader != "one" || two.link.plans.Load() != 0 || !got.Ready() {
			t.Fatalf("the second says that %q leads, and carried out %d plans", got.Leader, two.link.plans.Load())
		}
		if got, want := m.runningImages(), fine.want(); got != want || one.loop.Status().Leader != "" {
			t.Fatalf("%s run, want %s", got, want)
		}

		// An operator holds a stack, whoever leads.
		if err := one.loop.Hold(m.t.Context(), "dbs", kargo.Stop{Why: "a release"}); err != nil {
			t.Fatal(err)
		}
		if err := two.loop.Hold(m.t.Context(), "web", kargo.Stop{}); kargo.FaultOf(err) != kargo.Conflict || !strings.Contains(err.Error(), "one leads") {
			t.Errorf("the standby held a stack: %v", err)
		}
		m.live(2)

		// The first is cut off, and does not know that a service was changed by hand.
		one.link.cut.Store(true)
		m.live(13)
		before := one.link.plans.Load()
		m.byHand("kargo-web_two", rogue)
		m.live(7)
		if leader := two.loop.Status().Leader; leader != "" {
			t.Errorf("20 seconds after the first was cut off the second says that %q leads", leader)
		}
		m.live(40)
		if got, want := m.runningImages(), fine.want(); got != want {
			t.Errorf("after the take-over %s run, want %s", got, want)
		}
		m.byHand("kargo-dbs_db", rogue)
		m.live(40)
		if held, _ := m.service("kargo-dbs_db"); held.Spec.TaskTemplate.ContainerSpec.Image != "rogue:1" {
			t.Error("the new leader changed what is held")
		}
		if err := two.loop.Release(m.t.Context(), "dbs", kargo.Person{}, ""); err != nil {
			t.Errorf("release what the former leader held: %v", err)
		}
		m.live(40)
		if plans := one.link.plans.Load() - before; plans != 0 {
			t.Errorf("the first carried out %d plans without the lease", plans)
		}

		// It is back, and stands by.
		one.link.cut.Store(false)
		m.live(10)
		if leader := one.loop.Status().Leader; leader != "two" {
			t.Errorf("the first says that %q leads", leader)
		}

		// The second ends cleanly.
		two.stop()
		m.live(3)
		if leader := one.loop.Status().Leader; leader != "" {
			t.Errorf("3 seconds after a clean end the first says that %q leads", leader)
		}
		writes := len(m.engine.Writes())
		m.live(60)
		if more := m.engine.Writes()[writes:]; len(more) > 0 {
			t.Errorf("the take-over of what is as it should be wrote %q", more)
		}
		m.byHand("kargo-web_two", rogue)
		m.live(40)
		if got, want := m.runningImages(), fine.want(); got != want {
			t.Errorf("under the first again %s run, want %s", got, want)
		}
	})
}

// What a standby is asked for reaches the one that leads.
func TestAStandbyPassesWebhooksOn(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.parts.Behavior.Poll = controller.Every(24 * time.Hour)
		m.repo.commit("c0", fine.files()...)
		one := m.replica("one")
		m.live(5)
		two := m.replica("two")
		defer func() { one.stop(); two.stop() }()
		m.live(60)
		before := one.loop.Status().Rounds
		two.loop.Nudge("webhook test")
		m.live(12)
		if after := one.loop.Status().Rounds; after == before {
			t.Errorf("the leader has run %d rounds, as before", after)
		}
	})
}

// A controller that takes over while its first round is under way begins anew with what the
// other one has left. That is no failure, and nothing of it is in the history.
func TestATakeOverInTheMiddleOfARoundIsNoFailure(t *testing.T) {
	for name, set := range map[string]func(*link){
		"a slow answer":            func(l *link) { l.delay = 3 * time.Second },
		"no answer until the look": func(l *link) { l.late = true; l.cut.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			inMatrix(t, func(m *matrix) {
				m.repo.commit("c0", fine.files()...)
				one := m.replica("one")
				m.live(60)
				one.stop()
				m.byHand("kargo-web_two", rogue)
				two := m.newReplica("two", nil)
				set(two.link)
				m.again(two)
				m.live(60)
				two.stop()
				for _, d := range two.records.deployments {
					if d.Outcome != kargo.OutcomeSucceeded {
						t.Errorf("deployment %d, begun by %s, %s: %s", d.Number, d.Trigger, d.Outcome, d.Err)
					}
				}
				if got, want := m.runningImages(), fine.want(); got != want {
					t.Errorf("%s run, want %s", got, want)
				}
			})
		})
	}
}
