package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kargo"
)

// withTools lets scripts of a workspace find bash and its friends.
func (p *person) withTools(args ...string) result {
	p.t.Helper()
	return run(p.t, p.root, []string{"DOCKER_HOST=unix://" + p.docker.socket, "KARGO_INSTANCE=" + p.prefix, "PATH=/usr/bin:/bin"}, args...)
}

// openDir returns a directory that hooks can write to: they run as another user.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kargo-hooks-") // others cannot enter the directories of tests
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestHooksRunAroundADeployment(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		mark := filepath.Join(openDir(t), "mark")
		w := s.workspace().set("SITE_PASSWORD", "hunter22").stack("web", "site").
			service("site", replicas(1), environment("GREETING=${GREETING}")).
			file("deploy/site_before.sh", "echo before $1 with $SITE_PASSWORD\nexport GREETING=hello\n").
			file("deploy/site_after.sh", "echo after >> "+mark+"\necho deployed $1\n")
		p := s.person(w)
		p.want(2, "hooks are not allowed to run", "deploy", "all")
		if got := p.withTools("deploy", "all", "--allow-hooks"); got.code != 0 {
			t.Fatal(got)
		}
		env := s.services()[s.service("web", "site")].Spec.TaskTemplate.ContainerSpec.Env
		if strings.Join(env, " ") != "GREETING=hello" {
			t.Errorf("the service has %v", env)
		}
		// Nothing changed: the after hook has run for this rendering.
		if got := p.withTools("deploy", "all", "--allow-hooks"); got.code != 0 {
			t.Fatal(got)
		}
		ran, err := os.ReadFile(mark)
		if err != nil || string(ran) != "after\n" {
			t.Errorf("after hooks left %q, %v", ran, err)
		}
		got := p.withTools("history", "2") // after the refusal
		web := p.stackName("web")
		if !strings.Contains(got.stdout, "hook deploy/site_before.sh of stack "+web+" took ") || !strings.Contains(got.stdout, "  before "+web+" with ***") ||
			!strings.Contains(got.stdout, "  deployed "+web+"\n") || strings.Contains(got.stdout, "hunter22") {
			t.Errorf("the history says %s", got)
		}

		// One that fails leaves a stack that runs, and a deployment that failed.
		w.file("deploy/site_after.sh", "echo no such luck with $SITE_PASSWORD; exit 9\n").set("OTHER", "1").
			service("site", replicas(1), environment("GREETING=${GREETING}2")).write(t, p.workspace)
		got = p.withTools("deploy", "all", "--allow-hooks")
		if got.code != 3 || !strings.Contains(got.stderr, "deploy/site_after.sh: hook ended with exit code 9: no such luck with ***") {
			t.Errorf("a failing after hook: %s", got)
		}
	})
}

func TestServeRunsHooksOnceARevision(t *testing.T) {
	t.Parallel()
	s := inMemory(t, "--allow-hooks")
	s.env = append(s.env, "PATH=/usr/bin:/bin")
	mark := filepath.Join(openDir(t), "mark")
	w := s.workspace().stack("web", "site").service("site").
		file("deploy/site_before.sh", "echo before >> "+mark+"\n").file("deploy/site_after.sh", "echo after >> "+mark+"\n")
	d := s.begin(w)
	if d.Outcome != kargo.OutcomeSucceeded || len(d.Hooks) != 2 {
		t.Errorf("deployment %s: %s, hooks %+v", d.Outcome, d.Err, d.Hooks)
	}
	s.awaitRound(s.sync)
	s.deploy(w.set("OTHER", "1")) // another revision that moves nothing
	ran, err := os.ReadFile(mark)
	if err != nil || string(ran) != "before\nafter\nbefore\n" {
		t.Errorf("hooks left %q, %v", ran, err)
	}
}
