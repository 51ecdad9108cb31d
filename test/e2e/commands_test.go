package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// person works on a Swarm without a controller: a workspace in a directory, and
// commands in the directory of the merged configuration, as with the historic
// tool.
type person struct {
	*scene
	root      string // where commands are given
	workspace string
}

func (s *scene) person(w *workspace) *person {
	s.t.Helper()
	p := &person{scene: s, root: shortTempDir(s.t), workspace: s.t.TempDir()}
	w.write(s.t, p.workspace)
	p.want(0, "workspace: ", "use", p.workspace)
	return p
}

func (p *person) run(args ...string) result {
	p.t.Helper()
	return run(p.t, p.root, []string{"DOCKER_HOST=unix://" + p.docker.socket, "KARGO_INSTANCE=" + p.prefix}, args...)
}

// want runs a command that must end with a code and say something, as a
// pattern; prefixes of the scene are not in it.
func (p *person) want(code int, pattern string, args ...string) string {
	p.t.Helper()
	got := p.run(args...)
	plain := strings.ReplaceAll(got.stdout+got.stderr, p.prefix+"-", "")
	if got.code != code || !regexp.MustCompile(pattern).MatchString(plain) {
		p.t.Fatalf("kargo %s: %s\nwant exit %d and %q", strings.Join(args, " "), got, code, pattern)
	}
	return plain
}

// name is a stack's name, for the command line.
func (p *person) stackName(stack string) string { return p.prefix + "-" + stack }

func TestDeployTouchesTheNamedStackOnly(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		w := s.workspace().file("configs/page.txt", "page\n").stack("dbs", "redis").stack("web", "site").
			service("redis", replicas(1)).service("site", replicas(1), config("/page.txt", "configs/page.txt"))
		p := s.person(w)
		p.want(0, `(?s)create service kargo-dbs_redis: new\n.*stack dbs is up\n$`, "deploy", p.stackName("dbs"))
		same(t, "what there is", s.objects(), "network kargo-t-dbs_own\nnetwork t-back\nnetwork t-front\nnetwork t-socket\nservice kargo-t-dbs_redis\n")
		if got := s.services()[s.service("dbs", "redis")]; got.Running != 1 {
			t.Errorf("deploy ended with %d of %d tasks running", got.Running, got.Desired)
		}

		// A stack that is not sound keeps itself out, and no other.
		writeFile(t, filepath.Join(p.workspace, "deploy/site.yml"), "services: {site: {image: [1]}}\n")
		p.want(2, `deploy/site.yml:1: .*`, "deploy", p.stackName("web"))
		mark := s.docker.mark()
		p.want(0, `^(configured: .*\n)?new revision .*\nstack dbs is up to date: nothing to do\n$`, "deploy", p.stackName("dbs"))
		if writes := s.docker.writesSince(mark); len(writes) > 0 {
			t.Errorf("nothing was to be done, and these calls were made: %s", writes)
		}
		p.want(2, `STACKS has no stack "web2" \(did you mean web\?\)`, "deploy", p.stackName("web2"))

		w.write(t, p.workspace)
		out := p.want(0, `(?s)stack dbs is up to date: nothing to do\n.*stack web is up\n$`, "deploy", "all", "1")
		if strings.Contains(out, "dbs_redis:") {
			t.Errorf("redis was touched:\n%s", out)
		}
		p.want(0, "(?s)deploy web .*deploy dbs", "history", "-o", "wide")
	})
}

func TestRemoveTakesAllOfAStackAndNothingElse(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		w := s.workspace().file("configs/page.txt", "page\n").stack("dbs", "redis").stack("web", "site").
			service("redis", replicas(1)).service("site", replicas(1), config("/page.txt", "configs/page.txt"))
		p := s.person(w)
		p.want(0, "stack web is up\n$", "deploy", "all")
		before := s.services()
		p.want(2, `there is no stack "db"\nhint: did you mean dbs\?`, "remove", p.stackName("db"))

		// What is wrong with the workspace does not matter here.
		writeFile(t, filepath.Join(p.workspace, "deploy/site.yml"), "services: [\n")
		p.want(0, `(?s)remove service kargo-web_site: stack web is to be removed, as asked\n.*`+
			`remove network kargo-web_own: no longer used\n.*remove config kargo-web_page-\w+: no longer used\n.*removed: web\n$`, "remove", p.stackName("web"))
		same(t, "what is left", s.objects(), "network kargo-t-dbs_own\nnetwork t-back\nnetwork t-front\nnetwork t-socket\nservice kargo-t-dbs_redis\n")
		if got := moved(before, s.services()); !slices.Equal(got, []string{s.service("web", "site")}) {
			t.Errorf("moved are %v", got)
		}
		p.want(2, `there is no stack "web"`, "remove", p.stackName("web"))

		w.write(t, p.workspace)
		p.want(0, "not there, nothing to do: web\n$", "remove", p.stackName("web"))
		p.want(0, "stack web is up\n$", "deploy", "all")
		out := p.want(0, "removed: ", "remove", "all")
		if strings.Index(out, "remove service kargo-web_site") > strings.Index(out, "remove service kargo-dbs_redis") {
			t.Errorf("the last stack does not go first:\n%s", out)
		}
		same(t, "what is left", s.objects(), "network t-back\nnetwork t-front\nnetwork t-socket\n")
		for _, task := range s.runningTasks() {
			t.Errorf("task %s of %s still runs", task.ID, task.Namespace)
		}
	})
}

// runningTasks are those of this instance.
func (s *scene) runningTasks() []kargo.Task {
	s.t.Helper()
	tasks, err := s.observer.Tasks(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(tasks, func(task kargo.Task) bool {
		return !strings.HasPrefix(task.Namespace, kargo.StackPrefix+s.prefix+"-") || task.State != "running"
	})
}

func TestRedeployMakesAStackAnew(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		p := s.person(s.workspace().stack("web", "site").service("site", replicas(1)))
		p.want(0, "stack web is up\n$", "deploy", p.stackName("web"))
		before := s.services()[s.service("web", "site")]
		writeFile(t, filepath.Join(p.workspace, "deploy/broken.yml"), "services: [\n")
		p.want(0, `(?s)removed: web\n.*stack web is up\n$`, "redeploy", p.stackName("web"))
		after := s.services()[s.service("web", "site")]
		if after.ID == before.ID || after.Running != 1 {
			t.Errorf("the service is %s with %d tasks, was %s", after.ID, after.Running, before.ID)
		}
		// Nothing is removed that could not be deployed again.
		writeFile(t, filepath.Join(p.workspace, "deploy/site.yml"), "services: [\n")
		p.want(2, "deploy/site.yml:", "redeploy", p.stackName("web"))
		if s.services()[s.service("web", "site")].ID != after.ID {
			t.Error("a workspace that is not sound cost a service")
		}
	})
}

func TestADeployThatFailsSaysSoAndEndsTheRun(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	w := s.workspace().stack("dbs", "redis").stack("web", "site").
		service("redis", replicas(1), command("serve -crash-after 100ms -crash-code 7")).service("site", replicas(1))
	p := s.person(w)
	p.want(4, `(?s)stack dbs failed: .*non-zero exit \(7\).*not deployed: web`, "deploy", "all")
	if _, exists := s.services()[s.service("web", "site")]; exists {
		t.Error("the stack after the failed one was deployed all the same")
	}
	p.want(4, `(?s)stack web is up\n.*stack dbs failed`, "deploy", "all", "--keep-going")

	// What a person asks for is tried again.
	w.service("redis", replicas(1)).write(t, p.workspace)
	p.want(0, `stack dbs is up`, "deploy", p.stackName("dbs"))
}

func TestLabelsOfNodes(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		nodes, err := s.observer.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		name, key := nodes[0].Hostname, "k"+s.prefix
		variable := kargo.EnvName(name) + "_LABELS"
		w := s.workspace().stack("web", "site").service("site", replicas(1)).
			set(variable, key+"=a").set("SITE_CONSTRAINTS", "node.labels."+key+"==a").set("NOSUCH_LABELS", "x=1")
		p := s.person(w)
		p.want(0, `NODE +LABELS\n(?s:.*)~ node `+name+`  label `+key+`: new, "a"\nhold node NOSUCH: NOSUCH_LABELS \(\.env:\d+\) is for a node of that name, and no node has it\n$`, "labels")
		if got := s.label(name, key); got != "" {
			t.Errorf("a look changed the label to %q", got)
		}
		p.want(0, "stack web is up\n$", "deploy", "all") // the service needs the label
		same(t, "the label", s.label(name, key), "a")

		delete(w.env, "SITE_CONSTRAINTS")
		w.set(variable, "").write(t, p.workspace)
		if err := os.RemoveAll(filepath.Join(p.root, ".kargo-state", "history.journal")); err != nil {
			t.Fatal(err)
		}
		p.want(0, `update node `+name+`: label `+key+`: removed, was "a"`, "labels", "--apply")
		same(t, "the label", s.label(name, key), "")
		p.want(0, "nothing to do", "labels", "--apply")
	})
}

func (s *scene) label(node, key string) string {
	s.t.Helper()
	found, _, err := s.api.NodeInspectWithRaw(s.t.Context(), s.nodeID(node))
	if err != nil {
		s.t.Fatal(err)
	}
	return found.Spec.Labels[key]
}

func (s *scene) nodeID(name string) string {
	s.t.Helper()
	nodes, err := s.api.NodeList(s.t.Context(), dockerswarm.NodeListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.IndexFunc(nodes, func(n dockerswarm.Node) bool { return n.Description.Hostname == name })
	return nodes[i].ID
}

// While a controller has the data directory, it is the one to do it.
func TestCommandsMakeWayForAController(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	s.begin(s.workspace().stack("web", "site").service("site"))
	for _, args := range [][]string{{"deploy", "all"}, {"remove", "all"}} {
		got := run(t, s.data, []string{"DOCKER_HOST=unix://" + s.docker.socket},
			append(args, "--data", s.data, "--repo", s.repo.dir, "--instance", s.prefix)...)
		if got.code != 3 || !strings.Contains(got.stderr, "is `kargo serve` running") {
			t.Errorf("%v: %s", args, got)
		}
	}
	// One with another data directory, on the same Swarm, is only to be guessed.
	p := s.person(s.workspace().stack("web", "site").service("site"))
	p.want(0, `warning: kargo-web_site was deployed from a repository \(\w+\); a controller of instance t that still follows it puts back what is done here`,
		"deploy", "all")
}

func TestUseKeepsTheStateOfEachWorkspaceApart(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	p := s.person(s.workspace().stack("web", "site").service("site"))
	p.want(0, "stack web is up", "deploy", "all")
	first := filepath.Join(p.root, ".kargo")
	other := t.TempDir()
	s.workspace().stack("apps", "kano").service("kano").write(t, other)
	p.want(0, `merged configuration: \S+/.kargo-state/workspaces/\S+/.kargo\n$`, "use", other)
	p.want(0, "stack apps is up", "deploy", "all")
	if out := p.want(0, "deploy apps", "history", "-o", "wide"); strings.Contains(out, "deploy web") {
		t.Errorf("one workspace has the other's history:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(first, "deploy/site.yml")); err != nil {
		t.Errorf("the merged configuration of the first is gone: %v", err)
	}
	if len(s.services()) != 2 {
		t.Errorf("%d services run, want those of both workspaces", len(s.services()))
	}
	p.want(0, "merged configuration: "+regexp.QuoteMeta(first)+"\n$", "use", p.workspace)
	p.want(0, "(?s) web +site\n$", "info")
	p.want(2, "there is no directory ", "use", "nosuch")
}
