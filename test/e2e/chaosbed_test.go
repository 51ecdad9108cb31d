package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"
	dockerclient "github.com/docker/docker/client"

	"kargo"
	"kargo/swarm"
)

// What the faults of chaos_test.go need: nodes, a git host and a disk that can fail, and
// the page with the table.

// push commits another round of the site, which the controllers find by themselves.
func (c *chaos) push(options ...func(*compose)) {
	c.t.Helper()
	c.round++
	options = append(options, replicas(2), environment(fmt.Sprint("ROUND=", c.round)))
	c.repo.commit(c.w.service("site", options...))
}

// pause lets so many seconds pass: this is about real machines.
func (c *chaos) pause(seconds int) { time.Sleep(time.Duration(seconds) * time.Second) }

// lab runs a command of the lab: see test/bed/lab.
func (c *chaos) lab(args ...string) {
	c.t.Helper()
	if out, err := exec.Command("../bed/lab", args...).CombinedOutput(); err != nil {
		c.t.Fatalf("test/bed/lab %v: %v\n%s", args, err, out)
	}
}

// drift removes the site by hand.
func (c *chaos) drift() {
	c.t.Helper()
	if err := c.api.ServiceRemove(c.t.Context(), c.service("web", "site")); err != nil {
		c.t.Fatal(err)
	}
}

// meddle has Docker misbehave towards all controllers for a while, with a push.
func (c *chaos) meddle(seconds int, interfere interference) {
	for _, member := range c.members {
		member.docker.meddle(interfere)
	}
	c.push()
	c.pause(seconds)
	for _, member := range c.members {
		member.docker.meddle(nil)
	}
}

func (c *chaos) freeze(m *member) { m.signal(syscall.SIGSTOP); m.paused = true }
func (c *chaos) thaw(m *member)   { m.signal(syscall.SIGCONT); m.paused = false }

// cutAnswer is an answer that breaks off.
type cutAnswer struct {
	http.ResponseWriter
	left int
}

func (a *cutAnswer) Write(data []byte) (int, error) {
	if len(data) > a.left {
		_, _ = a.ResponseWriter.Write(data[:a.left])
		panic(http.ErrAbortHandler)
	}
	a.left -= len(data)
	return a.ResponseWriter.Write(data)
}

// shakyGit is a git host that can misbehave.
type shakyGit struct {
	git http.Handler

	mu        sync.Mutex
	interfere interference
}

// serveGit serves a repository at an IP address of this machine, and returns its address.
func serveGit(t *testing.T, repo *repository, at string) (*shakyGit, string) {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	g := &shakyGit{git: &cgi.Handler{
		Path: strings.TrimSpace(string(path)) + "/git-http-backend",
		Env:  []string{"GIT_PROJECT_ROOT=" + repo.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}}
	listener, err := net.Listen("tcp", at+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(g)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return g, server.URL + "/.git"
}

// shake puts an interference in force; nil ends it.
func (g *shakyGit) shake(interfere interference) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.interfere = interfere
}

func (g *shakyGit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	interfere := g.interfere
	g.mu.Unlock()
	if interfere != nil {
		interfere(w, r, g.git)
		return
	}
	g.git.ServeHTTP(w, r)
}

// fillDisk fills the disk of the first controller, until the returned function is
// called.
func (c *chaos) fillDisk() (end func()) {
	c.t.Helper()
	path := filepath.Join(c.members[0].data, "filler")
	file, err := os.Create(path)
	if err != nil {
		c.t.Fatal(err)
	}
	for block := make([]byte, 64<<10); err == nil; {
		_, err = file.Write(block)
	}
	file.Close()
	return func() { must(c.t, os.Remove(path)) }
}

// mount mounts the small disk of the first controller, or mounts it anew.
func (c *chaos) mount(options string) {
	c.t.Helper()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", c.members[0].data).CombinedOutput(); err != nil {
		c.t.Fatalf("mount: %v\n%s", err, out)
	}
}

// reachable calls use with a client of each node, until one succeeds.
func (c *chaos) reachable(use func(context.Context, *dockerclient.Client) error) (node string) {
	for _, node := range c.nodes {
		ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
		api, err := dockerclient.NewClientWithOpts(dockerclient.WithHost("unix://"+c.socket(node)), dockerclient.WithAPIVersionNegotiation())
		if err == nil {
			err = use(ctx, api)
			_ = api.Close()
		}
		cancel()
		if err == nil {
			return node
		}
	}
	return ""
}

func (c *chaos) socket(node string) string {
	return filepath.Join(testBed(c.t, "KARGO_TEST_LAB"), "nodes", node, "docker.sock")
}

// leadingNode is the node that leads the managers.
func (c *chaos) leadingNode() string {
	c.t.Helper()
	leader := ""
	until(c.t, "the managers have a leader", func() bool {
		c.reachable(func(ctx context.Context, api *dockerclient.Client) error {
			nodes, err := api.NodeList(ctx, dockerswarm.NodeListOptions{})
			for _, node := range nodes {
				if node.ManagerStatus != nil && node.ManagerStatus.Leader {
					leader = node.Description.Hostname
				}
			}
			return err
		})
		return leader != ""
	})
	return leader
}

// leading is the controller that leads.
func (c *chaos) leading() *member {
	c.t.Helper()
	var leader *member
	until(c.t, "a controller leads", func() bool {
		for _, member := range c.members {
			if status, answers := member.statusNow(); answers && status.Leader == "" && status.Rounds > 0 {
				leader = member
			}
		}
		return leader != nil
	})
	return leader
}

// statusNow is what a controller says now, if it answers.
func (m *member) statusNow() (status kargo.Status, answers bool) {
	if m.paused {
		return status, false
	}
	body, err := m.get("/api/v1/status")
	return status, err == nil && json.Unmarshal(body, &status) == nil
}

// siteRuns reports whether the site runs as a round wants it.
func (c *chaos) siteRuns(round int) (runs bool) {
	c.reachable(func(ctx context.Context, api *dockerclient.Client) error {
		services, err := swarm.New(api).Services(ctx)
		for _, live := range services {
			if live.Name == c.service("web", "site") && live.Running == live.Desired && live.Desired == 2 {
				runs = slices.Contains(live.Spec.TaskTemplate.ContainerSpec.Env, fmt.Sprint("ROUND=", round))
			}
		}
		return err
	})
	return runs
}

// equalToGit reports whether what was pushed last runs, and a controller leads that says
// so and has no trouble.
func (c *chaos) equalToGit() bool {
	return c.siteRuns(c.round) && slices.ContainsFunc(c.statuses(), c.saysSo)
}

// statuses are what the controllers say now that answer.
func (c *chaos) statuses() (statuses []kargo.Status) {
	if c.own != nil {
		return c.own.statuses()
	}
	for _, member := range c.members {
		if status, answers := member.statusNow(); answers {
			statuses = append(statuses, status)
		}
	}
	return statuses
}

// later has something done at the end of the fault, when the Swarm is equal to git again.
func (c *chaos) later(do func()) { c.ends = append(c.ends, do) }

// tidyUp does that, the last first.
func (c *chaos) tidyUp() {
	for _, end := range slices.Backward(c.ends) {
		end()
	}
	c.ends = nil
}

// saysSo reports whether a status is that of a leader that has carried out what was
// pushed last.
func (c *chaos) saysSo(status kargo.Status) bool {
	return status.Leader == "" && status.Fault == "" && status.Applied.Commit == c.repo.hashes[len(c.repo.hashes)-1] &&
		len(status.Stacks) == len(c.w.stacks) && !slices.ContainsFunc(status.Stacks, func(s kargo.StackStatus) bool {
		return !s.InSync || s.Health != kargo.HealthHealthy || s.Failure != nil
	})
}

// untouched is the version of the service that nobody changes.
func (c *chaos) untouched() (version uint64) {
	c.t.Helper()
	until(c.t, "the untouched service is seen", func() bool {
		c.reachable(func(ctx context.Context, api *dockerclient.Client) error {
			service, _, err := api.ServiceInspectWithRaw(ctx, c.service("base", "db"), dockerswarm.ServiceInspectOptions{})
			version = service.Version.Index
			return err
		})
		return version > 0
	})
	return version
}

// settings are those of each controller that reads the repository there.
func (c *chaos) settings(address string) []string {
	return []string{"--instance", c.prefix, "--repo", address, "--interval", "2s", "--verify", "10s"}
}

// newChaos starts a controller on each manager of the lab.
func newChaos(t *testing.T) *chaos {
	t.Helper()
	c := &chaos{scene: onDocker(t), nodes: strings.Fields(testBed(t, "KARGO_TEST_NODES")), audit: &audit{}}
	c.git, c.address = serveGit(t, c.repo, testBed(t, "KARGO_TEST_HOST"))
	c.w = c.workspace().stack("web", "site").stack("base", "db").service("db", replicas(1))
	c.w.set(c.w.variable("web", "DEADLINE"), "40s")
	c.push()
	for i, node := range c.nodes {
		name := fmt.Sprint("controller ", i+1)
		docker := newDaemon(t, c.audit.of(name, toSocket(c.socket(node))))
		member := &member{name: name, node: node, docker: docker, controller: newController(t, []string{"DOCKER_HOST=unix://" + docker.socket},
			c.settings(c.address)...)}
		member.client.Timeout = 5 * time.Second
		c.members = append(c.members, member)
		if i == 0 {
			c.mount("size=24m")
			t.Cleanup(func() { // before the directory is removed
				member.kill()
				_ = exec.Command("umount", "-l", member.data).Run()
			})
		}
		member.start()
	}
	within(t, patience, "all runs", c.equalToGit)
	return c
}

const (
	reliabilityPage = "../../docs/reliability.md"
	chaosHead       = "| fault | managers | what must hold | at most | took |\n| --- | --- | --- | --- | --- |\n"
)

// start is what the row of a fault begins with; the last column is what was measured.
func (r chaosRow) start() string {
	return fmt.Sprintf("| %s | %d | %s | %d |", r.fault, r.managers, r.holds, r.within)
}

// chaosTable cuts the page around the table.
func chaosTable(t *testing.T) (before string, rows []string, after string) {
	t.Helper()
	page, err := os.ReadFile(reliabilityPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), chaosHead)
	table, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatalf("%s has no table that begins with %s", reliabilityPage, chaosHead)
	}
	return before, strings.Split(table, "\n"), after
}

// The page has a row for each fault. KARGO_WRITE_CHAOS has it written, with the figures
// that it has.
func TestThePageHasTheFaults(t *testing.T) {
	if os.Getenv("KARGO_WRITE_CHAOS") != "" {
		writeChaos(t, nil)
	}
	_, rows, _ := chaosTable(t)
	for i, row := range chaosRows {
		if i >= len(rows) || !strings.HasPrefix(rows[i], row.start()) {
			t.Fatalf("row %d of %s is not %s: make chaos", i+1, reliabilityPage, row.start())
		}
	}
}

// writeChaos writes the table, with what was measured now. Other rows keep what they
// have.
func writeChaos(t *testing.T, took map[string]int) {
	t.Helper()
	before, rows, after := chaosTable(t)
	var table []string
	for _, row := range chaosRows {
		line := row.start() + " – |"
		for _, old := range rows {
			if strings.HasPrefix(old, row.start()) {
				line = old
			}
		}
		if seconds, measured := took[row.fault]; measured {
			line = fmt.Sprintf("%s %d |", row.start(), seconds)
		}
		table = append(table, line)
	}
	must(t, os.WriteFile(reliabilityPage, []byte(before+chaosHead+strings.Join(table, "\n")+"\n\n"+after), 0o644)) //nolint:gosec // a page for all
}
