package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kargo"
)

// A stack that `docker stack deploy` made is held until a person, or the
// workspace, says that Kargo may have it. Then it is Kargo's, and no task was
// replaced: neither for the marks of ownership nor for the digest that Kargo
// puts into the names of configs.
func TestAdoptingAStackReplacesNoTask(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	w := s.workspace().stack("web", "app").file("configs/page.txt", "page\n").file("deploy/app.yml", `
version: "3.8"
services:
  app:
    image: kargo/testserver:1
    environment: [A=1]
    networks: [own]
    configs: [{source: page, target: /page.txt}]
    deploy: {replicas: 2, endpoint_mode: dnsrr, update_config: {monitor: 500ms}}
networks: {own: {}}
configs: {page: {file: ./../configs/page.txt}}
`)
	commit := s.repo.commit(w)
	s.stackDeploy("web", "deploy/app.yml")
	until(t, "the stack runs", func() bool { return len(s.tasks("web", "app", anyTask)) == 2 })

	s.start()
	s.awaitStatus("the stack is held", func(k kargo.Status) bool {
		return len(k.Pending.Held) > 0 && strings.Contains(k.Pending.Held[0].Reason, "is not Kargo's")
	})
	stack := s.prefix + "-web"
	if got := s.cli("adopt", stack); got.code != 0 {
		t.Fatalf("kargo adopt: %s", got)
	}
	s.awaitDeployment(commit)
	status := s.awaitStatus("the stack is Kargo's", func(k kargo.Status) bool { return k.Stacks[0].InSync && k.Stacks[0].Health == kargo.HealthHealthy })
	if got := s.takenDown("web", "app"); len(got) > 0 {
		t.Errorf("tasks were taken down: %v; status %+v", got, status.Stacks)
	}
	if labels := s.services()[s.service("web", "app")].Spec.Labels; labels[kargo.LabelInstance] != s.prefix {
		t.Errorf("labels are %v", labels)
	}

	// From now on it is a stack like any other.
	d := s.deploy(w.file("configs/page.txt", "another page\n"))
	if d.Outcome != kargo.OutcomeSucceeded || len(d.Changes) != 2 {
		t.Errorf("deployment %s: %v %s", d.Outcome, d.Changes, d.Err)
	}
}

// stackDeploy is what people did before: Docker's own command, on the files as
// they lie in the repository.
func (s *scene) stackDeploy(stack, file string) {
	s.t.Helper()
	deploy := exec.CommandContext(s.t.Context(), "docker", "--host", testBed(s.t, "KARGO_TEST_DOCKER"),
		"stack", "deploy", "--resolve-image", "never", "--compose-file", filepath.Join(s.repo.dir, file), "kargo-"+s.prefix+"-"+stack)
	if out, err := deploy.CombinedOutput(); err != nil {
		s.t.Fatalf("docker stack deploy: %v\n%s", err, out)
	}
}
