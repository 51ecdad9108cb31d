package controller_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm/swarmtest"
)

// Each row of the table is a fault on a Swarm of three nodes in memory, in virtual
// time, with one to three controllers. Afterwards the Swarm must be equal to git again,
// within a limit, and the audit must find nothing. docs/reliability.md has the same
// table, and the test compares both; `make chaos` writes it.

// chaos is a Swarm with controllers while something goes wrong.
type chaos struct {
	*matrix
	replicas []*replica
	commits  int
}

// push makes a commit that all controllers can read, and sends the webhook to the last.
func (c *chaos) push(r rendering) {
	c.commits++
	name := fmt.Sprint("push", c.commits)
	for _, replica := range c.replicas {
		replica.source.commit(name, r.files()...)
	}
	c.last = r
	c.replicas[len(c.replicas)-1].loop.Nudge("webhook test")
}

// leader is the controller that has the lease, or the first one.
func (c *chaos) leader() *replica {
	holder := c.replicas[0].link.holder()
	for _, r := range c.replicas {
		if r.name == holder {
			return r
		}
	}
	return c.replicas[0]
}

// refuse lets Docker answer so for a while.
func (c *chaos) refuse(seconds int, fault swarmtest.Fault) {
	c.engine.Fail(fault)
	c.live(seconds)
	c.engine.Fail(nil)
}

// isWrite reports whether a request changes something, but for the lease.
func isWrite(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.Contains(r.URL.Path, kargo.LeaseConfig)
}

// Renderings beside fine.
var (
	newer = rendering{one: "app:2", two: "app:2", job: "job:1", replicas: 3}
	sick  = rendering{one: "app:2", two: "sick:1", job: "job:1", replicas: 2}
)

// quiet is what must hold where nothing is to be done.
const quiet = "nothing is written"

// chaosTable has the faults. After a row the rendering pushed last runs, or the one in
// runs, within so many seconds after the fault has ended.
var chaosTable = []struct {
	fault, holds string
	controllers  int
	within       int // seconds
	happens      func(*chaos)
	runs         rendering
}{
	{"the controller ends and begins again during a rollout", "it goes on", 1, 60,
		func(c *chaos) { c.push(newer); c.live(3); c.restart(c.replicas[0]) }, newer},
	{"the data directory is lost", "what runs stays; " + quiet, 1, 40,
		func(c *chaos) { c.loseData(c.replicas[0]) }, fine},
	{"Docker is away for a minute, with a push", "the push is carried out afterwards", 1, 120,
		func(c *chaos) { c.push(newer); c.outage(60) }, newer},
	{"Docker is away for longer than a deadline", "the rollout is judged by what was seen", 1, 60,
		func(c *chaos) { c.push(newer); c.live(1); c.outage(200) }, newer},
	{"the managers have no leader for 40 seconds", "the push is carried out afterwards", 1, 120, func(c *chaos) {
		c.push(newer)
		c.refuse(40, func(*http.Request) (int, string) {
			return http.StatusInternalServerError, "rpc error: code = Unknown desc = The swarm does not have a leader."
		})
	}, newer},
	{"each connection to Docker is cut for half a minute", "the push is carried out afterwards", 1, 120, func(c *chaos) {
		c.push(newer)
		c.refuse(30, func(*http.Request) (int, string) { return swarmtest.Cut, "" })
	}, newer},
	{"the answers of all writes are lost for half a minute", "what was written is recognised", 1, 120, func(c *chaos) {
		c.push(newer)
		c.refuse(30, func(r *http.Request) (int, string) {
			if isWrite(r) {
				return swarmtest.CutAfter, ""
			}
			return 0, ""
		})
	}, newer},
	{"every tenth call to Docker fails, for two minutes", "the push is carried out", 1, 120, func(c *chaos) {
		random := rand.New(rand.NewPCG(1, 2))
		c.push(newer)
		c.refuse(120, func(*http.Request) (int, string) {
			if random.IntN(10) == 0 {
				return http.StatusInternalServerError, "rpc error: code = Unknown desc = something odd"
			}
			return 0, ""
		})
	}, newer},
	{"another tool is quicker, five times", "Kargo looks and plans again", 1, 120,
		func(c *chaos) { c.meddle(5); c.push(newer) }, newer},
	{"the stream of events breaks, and a service is changed by hand", "the drift is corrected", 1, 60, func(c *chaos) {
		c.engine.Disconnect()
		c.byHand("kargo-web_two", rogue)
	}, fine},
	{"git is away for two minutes, with drift", "the drift is corrected meanwhile", 1, 60, func(c *chaos) {
		c.replicas[0].source.fail(kargo.Errorf(kargo.Unavailable, "git is away"))
		c.replicas[0].loop.Nudge("webhook test")
		c.byHand("kargo-web_two", rogue)
		c.live(120)
		if c.runningImages() != fine.want() {
			c.t.Error("without git the drift was not corrected")
		}
		c.replicas[0].source.fail(nil)
	}, fine},
	{"a service is scaled by hand", "the drift is corrected", 1, 60, func(c *chaos) {
		six := uint64(6)
		c.byHand("kargo-web_one", func(s *dockerswarm.ServiceSpec) { s.Mode.Replicated.Replicas = &six })
	}, fine},
	{"a service is removed by hand", "it is created again", 1, 60, func(c *chaos) {
		if service, exists := c.service("kargo-web_one"); exists {
			_ = c.api.ServiceRemove(c.t.Context(), service.ID)
		}
	}, fine},
	{"a service is rolled back by hand", "that is drift, and is corrected", 1, 60, func(c *chaos) {
		c.push(newer)
		c.live(150)
		c.rollBack("kargo-web_two")
	}, newer},
	{"`docker stack deploy` of the same name strips the labels", "the stack is Kargo's, and is put back", 1, 60, func(c *chaos) {
		for _, name := range []string{"kargo-web_one", "kargo-web_two"} {
			c.byHand(name, func(s *dockerswarm.ServiceSpec) {
				s.Labels = map[string]string{kargo.LabelNamespace: "kargo-web", kargo.LabelImage: "rogue:1"}
				rogue(s)
			})
		}
	}, fine},
	{"a node dies, and comes back after five minutes", "its tasks run elsewhere; " + quiet, 1, 60, func(c *chaos) {
		c.engine.NodeDown("two", true)
		c.live(300)
		c.engine.NodeDown("two", false)
	}, fine},
	{"the only node dies that may run a service", "the service is not called healthy", 1, 60, func(c *chaos) {
		only := fine
		only.constraint = "node.hostname == two"
		c.push(only)
		c.live(60)
		c.engine.NodeDown("two", true)
		c.live(30)
		if health := c.leader().loop.Status().Stacks[0].Health; health == kargo.HealthHealthy {
			c.t.Error("a service without a node is called healthy")
		}
		c.engine.NodeDown("two", false)
	}, fine},
	{"a node dies during a rollout, and comes back", "no failed rendering", 1, 180, func(c *chaos) {
		c.push(newer)
		c.live(4)
		c.engine.NodeDown("two", true)
		c.live(60)
		c.engine.NodeDown("two", false)
	}, newer},
	{"all clocks are set forward by 10 hours during a rollout", "no deadline fires", 1, 120,
		func(c *chaos) { c.push(newer); c.live(4); c.setClocks(10) }, newer},
	{"all clocks are set back by 10 hours during a rollout", "the rollout is judged", 1, 120,
		func(c *chaos) { c.push(newer); c.live(4); c.setClocks(-10) }, newer},
	{"a push of a version that is unhealthy", "the stack goes back as a whole", 1, 180, func(c *chaos) { c.push(sick); c.live(20) }, fine},
	{"a push of a version that is unhealthy, with the clocks set", "the stack goes back as a whole", 1, 180,
		func(c *chaos) { c.push(sick); c.live(5); c.setClocks(-7); c.live(15) }, fine},

	{"the leader ends", "another one leads; " + quiet, 2, 5, func(c *chaos) { c.end(c.leader()) }, fine},
	{"the leader ends during a rollout", "the next one finishes it", 2, 90,
		func(c *chaos) { c.push(newer); c.live(3); c.end(c.leader()) }, newer},
	{"the leader is cut off from the lease", "it stops writing before another one begins", 2, 60, func(c *chaos) {
		c.leader().link.cut.Store(true)
		c.live(20)
		c.byHand("kargo-web_two", rogue)
	}, fine},
	{"the leader is cut off during a rollout, and comes back", "one of the two finishes it", 2, 120, func(c *chaos) {
		former := c.leader()
		c.push(newer)
		c.live(3)
		former.link.cut.Store(true)
		c.live(40)
		former.link.cut.Store(false)
	}, newer},
	{"a standby ends", quiet, 2, 5, func(c *chaos) { c.end(c.replicas[1]) }, fine},
	{"the webhook reaches a standby", "the leader carries the push out", 3, 90, func(c *chaos) { c.push(newer) }, newer},
	{"two of three controllers are cut off", "the third leads", 3, 90, func(c *chaos) {
		c.replicas[0].link.cut.Store(true)
		c.replicas[1].link.cut.Store(true)
		c.live(20)
		c.byHand("kargo-web_two", rogue)
	}, fine},
	{"the lease is removed by hand", "one of them takes it again", 3, 60, func(c *chaos) {
		_ = c.api.ConfigRemove(c.t.Context(), kargo.LeaseConfig+c.parts.Behavior.Instance)
		c.live(10)
		c.byHand("kargo-web_two", rogue)
	}, fine},
	{"Docker is away for a minute, for all three", "one of them carries the push out", 3, 150,
		func(c *chaos) { c.push(newer); c.outage(60) }, newer},
	{"all clocks are set back by 10 hours, with three controllers", "one leads; the rollout is judged", 3, 120,
		func(c *chaos) { c.push(newer); c.live(4); c.setClocks(-10) }, newer},
}

// restart ends a controller and begins it again over its data directory.
func (c *chaos) restart(r *replica) {
	r.stop()
	c.again(r)
}

// loseData is restart without what the controller remembers.
func (c *chaos) loseData(r *replica) {
	r.stop()
	r.records = &records{attempts: map[string]int{}}
	c.again(r)
}

// end ends a controller for good.
func (c *chaos) end(r *replica) {
	r.stop()
	c.replicas = slices.DeleteFunc(c.replicas, func(other *replica) bool { return other == r })
}

// equalToGit reports whether the rendering runs, and one of the controllers leads and
// has no trouble.
func (c *chaos) equalToGit(want rendering) bool {
	leader := c.leader()
	status := leader.loop.Status()
	return c.runningImages() == want.want() && leader.name == leader.link.holder() && status.Leader == "" && status.Fault == ""
}

// audit is what must not have happened.
func (c *chaos) audit(version uint64) []string {
	found := c.harm()
	for _, r := range c.replicas {
		found = append(found, r.link.audit()...)
	}
	if db, exists := c.service("kargo-dbs_db"); !exists || db.Version.Index != version {
		found = append(found, "a service that nobody touched was written")
	}
	return found
}

func TestChaos(t *testing.T) {
	var rows []string
	for _, row := range chaosTable {
		rows = append(rows, fmt.Sprintf("| %s | %d | %s | %d |", row.fault, row.controllers, row.holds, row.within))
		t.Run(row.fault, func(t *testing.T) {
			inMatrix(t, func(m *matrix) {
				c := &chaos{matrix: m}
				m.repo.commit("c0", fine.files()...)
				for i := range row.controllers {
					c.replicas = append(c.replicas, m.replica(fmt.Sprint("controller ", i+1)))
					m.live(5)
				}
				defer func() {
					for _, r := range c.replicas {
						r.stop()
					}
				}()
				m.live(90)
				if !c.equalToGit(fine) {
					t.Fatalf("at first %s run", m.runningImages())
				}
				db, _ := m.service("kargo-dbs_db")
				before := len(m.engine.Writes())
				row.happens(c)
				took := 0
				for ; !c.equalToGit(row.runs) && took < row.within; took++ {
					m.live(1)
				}
				if !c.equalToGit(row.runs) {
					t.Errorf("%d seconds later %s run, want %s; the leader says %+v", took, m.runningImages(), row.runs.want(), c.leader().loop.Status().Message)
				}
				m.live(120)
				if !c.equalToGit(row.runs) {
					t.Errorf("it did not stay so: %s", m.runningImages())
				}
				if writes := m.engine.Writes()[before:]; strings.HasSuffix(row.holds, quiet) && len(writes) > 0 {
					t.Errorf("Kargo wrote %q", writes)
				}
				for _, found := range c.audit(db.Version.Index) {
					t.Error(found)
				}
				t.Logf("%d seconds", took)
			}, swarmtest.Nodes("one", "two", "three"))
		})
	}
	compareTable(t, "../docs/reliability.md", rows)
}

// compareTable compares the rows of the table in a page with those of the test, and
// writes them if KARGO_WRITE_CHAOS is set.
func compareTable(t *testing.T, path string, rows []string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const head = "| --- | --- | --- | --- |\n"
	before, after, _ := strings.Cut(string(page), head)
	_, rest, _ := strings.Cut(after, "\n\n")
	want := before + head + strings.Join(rows, "\n") + "\n\n" + rest
	if want == string(page) {
		return
	}
	if os.Getenv("KARGO_WRITE_CHAOS") == "" {
		t.Errorf("%s has another table: make chaos", path)
		return
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil { //nolint:gosec // a page for all
		t.Fatal(err)
	}
}
