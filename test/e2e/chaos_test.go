package e2e_test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// These faults are tried on real engines: on one manager with one controller, and on
// three managers with a controller on each. `make chaos` runs them in labs of their own,
// because they harm the engines, and writes the second table of docs/reliability.md;
// `make test` runs the quick ones on one manager. The faults that need no real engine
// are in controller/chaos_test.go.

// chaos is a Swarm of real engines with controllers while something goes wrong.
type chaos struct {
	*scene
	nodes   []string
	members []*member
	audit   *audit
	git     *shakyGit
	address string // of the git host
	w       *workspace
	round   int
	own     *ownService // nil unless Kargo runs as a service of its workspace
	ends    []func()    // of the fault
}

// member is a controller with its own way to the engine of one node.
type member struct {
	*controller
	name, node string
	docker     *daemon
	paused     bool
}

// chaosRow is a fault on real engines. push is called where the fault happens in the
// middle of a rollout.
type chaosRow struct {
	fault, holds string
	managers     int
	within       int  // seconds after the fault has ended
	quick        bool // also run by `make test`
	happens      func(*chaos)
}

var chaosRows = []chaosRow{
	{"Kargo is killed during a rollout (kill -9)", "it goes on", 1, 60, true, func(c *chaos) {
		c.push()
		c.pause(2)
		c.members[0].kill()
		c.members[0].start()
	}},
	{"Kargo is stopped for 20 seconds during a rollout (SIGSTOP)", "it goes on, and no deadline fires", 1, 60, false, func(c *chaos) {
		c.push()
		c.pause(1)
		c.freeze(c.members[0])
		c.pause(20)
		c.thaw(c.members[0])
	}},
	{"dockerd is killed during a rollout (kill -9)", "the rollout goes on", 1, 120, true, func(c *chaos) {
		c.push()
		c.pause(1)
		c.lab("crash", "n1")
		c.pause(5)
		c.lab("start", "n1")
	}},
	{"dockerd hangs for 20 seconds (SIGSTOP)", "the push is carried out afterwards", 1, 120, false, func(c *chaos) {
		c.lab("exec", "n1", "sh", "-c", "kill -STOP $(cat /run/docker.pid)")
		c.push()
		c.pause(20)
		c.lab("exec", "n1", "sh", "-c", "kill -CONT $(cat /run/docker.pid)")
	}},
	{"the machine of the only manager loses its power", "the push is carried out afterwards", 1, 120, false, func(c *chaos) {
		c.push()
		c.pause(1)
		c.lab("kill", "n1")
		c.pause(5)
		c.lab("boot", "n1")
	}},
	{"the machine hangs for 15 seconds", "the push is carried out afterwards", 1, 120, false, func(c *chaos) {
		c.lab("pause", "n1")
		c.push()
		c.pause(15)
		c.lab("resume", "n1")
	}},
	{"Docker answers each call a second late, for 20 seconds", "the push is carried out", 1, 60, false, func(c *chaos) {
		c.meddle(20, func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
			time.Sleep(time.Second)
			swarm.ServeHTTP(w, r)
		})
	}},
	{"every tenth call to Docker fails, for 20 seconds", "the push is carried out", 1, 60, true, func(c *chaos) {
		c.meddle(20, func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
			if rand.IntN(10) == 0 { //nolint:gosec // no secret
				http.Error(w, `{"message":"rpc error: code = Unknown desc = something odd"}`, http.StatusInternalServerError)
				return
			}
			swarm.ServeHTTP(w, r)
		})
	}},
	{"the answers of Docker are cut after 100 bytes, for 15 seconds", "the push is carried out afterwards", 1, 60, false, func(c *chaos) {
		c.meddle(15, func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
			swarm.ServeHTTP(&cutAnswer{ResponseWriter: w, left: 100}, r)
		})
	}},
	{"the git host is away for 15 seconds, with drift", "the drift is corrected meanwhile, the push afterwards", 1, 60, true, func(c *chaos) {
		c.git.shake(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		c.push()
		c.drift()
		c.pause(15)
		if !c.siteRuns(c.round - 1) {
			c.t.Error("without git the drift was not corrected")
		}
		c.git.shake(nil)
	}},
	{"the git host trickles for 20 seconds, with drift", "the drift is corrected meanwhile, the push afterwards", 1, 60, false, func(c *chaos) {
		c.git.shake(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("0"))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		})
		c.push()
		c.drift()
		c.pause(20)
		if !c.siteRuns(c.round - 1) {
			c.t.Error("without git the drift was not corrected")
		}
		c.git.shake(nil)
	}},
	{"the pack of each commit is cut, for 15 seconds", "nothing of it is read; the push is carried out afterwards", 1, 60, false, func(c *chaos) {
		c.git.shake(func(w http.ResponseWriter, r *http.Request, git http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
				w = &cutAnswer{ResponseWriter: w, left: 200}
			}
			git.ServeHTTP(w, r)
		})
		c.push()
		c.pause(15)
		c.git.shake(nil)
	}},
	{"the disk of the data directory is full, with a push", "drift is corrected meanwhile", 1, 60, true, func(c *chaos) {
		end := c.fillDisk()
		c.push()
		c.drift()
		c.pause(15)
		if !c.siteRuns(c.round-1) && !c.siteRuns(c.round) {
			c.t.Error("on a full disk the drift was not corrected")
		}
		end()
	}},
	{"the disk of the data directory is read-only, and Kargo begins again", "drift is corrected meanwhile", 1, 60, false, func(c *chaos) {
		c.members[0].kill()
		c.mount("remount,ro")
		c.drift()
		c.members[0].launch()
		until(c.t, "drift is corrected", func() bool { return c.siteRuns(c.round) })
		c.mount("remount,rw")
		c.push()
	}},
	{"the files of the data directory are damaged, and Kargo is killed", "the work goes on; it is said", 1, 60, false, func(c *chaos) {
		c.members[0].kill()
		state := filepath.Join(c.members[0].data, ".kargo-state")
		for _, pattern := range []string{"history.journal", "good/*/*", "git/*/objects/pack/*"} {
			files, err := filepath.Glob(filepath.Join(state, pattern))
			if err != nil {
				c.t.Fatal(err)
			}
			for _, file := range files {
				must(c.t, os.Chmod(file, 0o600))
				must(c.t, os.Truncate(file, 50))
			}
		}
		c.push()
		c.members[0].start()
	}},
	{"the registry is killed while a node pulls an image, for 10 seconds", "the software is not blamed; the rollout goes on by itself", 1, 120, false, func(c *chaos) {
		image, registry := c.pushImage("pulled"), c.registry()
		c.duringUpdate(registry.freeze)
		c.push(image)
		until(c.t, "a node pulls the image", func() bool { return c.siteHas("preparing") })
		registry.kill()
		c.pause(10)
		c.softwareIsNotBlamed()
		registry.start()
	}},
	{"no registry answers a push, for 10 seconds", "the software is not blamed; the rollout goes on by itself", 1, 120, false, func(c *chaos) {
		image, registry := c.pushImage("asked"), c.registry()
		registry.kill()
		c.push(image)
		c.pause(10)
		c.softwareIsNotBlamed()
		registry.start()
	}},
	{"every third packet from and to Docker and the git host is lost, for 20 seconds", "the push is carried out", 1, 60, false, func(c *chaos) {
		c.overTheNetwork("n1")
		c.lab("loss", "n1", "33")
		c.push()
		c.drift()
		c.pause(20)
		c.lab("loss", "n1", "0")
	}},
	{"a commit updates Kargo itself, of which two replicas run", "the new version goes on with the work", 1, 60, false, func(c *chaos) {
		own := c.deployItself()
		own.update("2")
	}},
	{"a commit updates Kargo itself to a version that does not start", "Swarm goes back to the one before, which says so", 1, 60, false, func(c *chaos) {
		own := c.deployItself()
		own.update("broken")
		own.awaitFailure()
		own.update("1")
	}},

	{"the machine of the managers' leader loses its power", "another manager and another controller go on", 3, 150, false, func(c *chaos) {
		c.push()
		c.pause(1)
		leader := c.leadingNode()
		c.lab("kill", leader)
		c.pause(30)
		c.lab("boot", leader)
	}},
	{"dockerd of the managers' leader is killed (kill -9)", "another controller goes on", 3, 150, false, func(c *chaos) {
		c.push()
		leader := c.leadingNode()
		c.lab("crash", leader)
		c.pause(15)
		c.lab("start", leader)
	}},
	{"the managers' leader is cut off from the others for 40 seconds", "nobody writes twice", 3, 150, false, func(c *chaos) {
		leader := c.leadingNode()
		c.lab("partition", leader)
		c.push()
		c.pause(40)
		c.lab("heal", leader)
	}},
	{"two of three managers lose their power: no quorum", "nobody writes; the push is carried out afterwards", 3, 150, false, func(c *chaos) {
		c.lab("kill", "n2")
		c.lab("kill", "n3")
		c.push()
		c.pause(30)
		c.lab("boot", "n2")
		c.lab("boot", "n3")
	}},
	{"the machine of the managers' leader hangs for 30 seconds", "another controller goes on", 3, 150, false, func(c *chaos) {
		leader := c.leadingNode()
		c.lab("pause", leader)
		c.push()
		c.pause(30)
		c.lab("resume", leader)
	}},
	{"every fifth packet from and to the managers' leader is lost, for 30 seconds", "nobody writes twice", 3, 150, false, func(c *chaos) {
		leader := c.leadingNode()
		c.lab("loss", leader, "20")
		c.push()
		c.pause(30)
		c.lab("loss", leader, "0")
	}},
	{"the controller that leads is stopped during a rollout, for 30 seconds (SIGSTOP)", "another one goes on; the first writes nothing more", 3, 60, false, func(c *chaos) {
		c.push()
		leader := c.leading()
		c.freeze(leader)
		c.pause(30)
		c.push()
		c.thaw(leader)
	}},
	{"the controller that leads is killed during a rollout (kill -9)", "another one goes on", 3, 60, false, func(c *chaos) {
		c.push()
		leader := c.leading()
		leader.kill()
		c.pause(1)
		leader.start()
	}},
	{"the controller that leads is cut off from Docker during a rollout", "another one goes on", 3, 60, false, func(c *chaos) {
		c.push()
		leader := c.leading()
		leader.docker.down()
		c.pause(25)
		leader.docker.up()
	}},
	{"all three controllers are killed (kill -9)", "one of them goes on", 3, 60, false, func(c *chaos) {
		c.push()
		c.pause(1)
		for _, member := range c.members {
			member.kill()
		}
		for _, member := range c.members {
			member.start()
		}
	}},
}

// TestChaosOnDocker needs a lab of its own: `make chaos`.
func TestChaosOnDocker(t *testing.T) {
	mode := os.Getenv("KARGO_TEST_CHAOS") // quick or all
	if mode == "" {
		t.Skip("harms the engines: make chaos, or make test, run it in a lab of its own")
	}
	c := newChaos(t)
	took := map[string]int{}
	for _, row := range chaosRows {
		if row.managers != len(c.nodes) || mode == "quick" && !row.quick {
			continue
		}
		t.Run(row.fault, func(t *testing.T) {
			outer := c.t
			c.t, c.scene.t = t, t
			defer func() { c.t, c.scene.t = outer, outer }()
			version, before := c.untouched(), len(c.audit.found())
			row.happens(c)
			ended := time.Now()
			within(t, time.Duration(row.within)*time.Second, "the Swarm is equal to git", c.equalToGit)
			took[row.fault] = int(time.Since(ended).Seconds() + 0.5)
			if now := c.untouched(); now != version {
				t.Errorf("a service that nobody changed has version %d, not %d", now, version)
			}
			for _, found := range c.audit.found()[before:] {
				t.Error(found)
			}
			t.Logf("%d seconds", took[row.fault])
			c.tidyUp()
		})
		if t.Failed() {
			break // the next fault needs a sound Swarm
		}
	}
	if os.Getenv("KARGO_WRITE_CHAOS") != "" {
		writeChaos(t, took)
	}
}
