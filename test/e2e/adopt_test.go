package e2e_test

import (
	"context"
	"os"
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
	if d.Outcome != kargo.OutcomeSucceeded {
		t.Errorf("deployment %s: %v %s", d.Outcome, d.Changes, d.Err)
	}
	same(t, "what changed", s.changed(d), "create config kargo-web_page\nupdate service kargo-web_app")
}

// A stack with data in a volume, a config and a secret, as other tools left it:
// Kargo takes it over under the name it has, with the container that runs. The next
// commit updates it in place, on the same data, without asking again.
func TestAdoptingAStackKeepsItsData(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	stack := s.prefix + "-shop"
	file := "stacks/" + stack + "/compose.yml"
	adopt := kargo.SuffixAdopt.Of(stack) + "=true\n"
	w := s.workspace().file(file, `
services:
  db:
    image: kargo/testserver:1
    volumes: ["data:/data"]
    configs: [{source: page, target: /page.txt}]
    secrets: [password]
    networks: [own]
    deploy: {endpoint_mode: dnsrr, update_config: {monitor: 500ms}}
networks: {own: {}}
volumes: {data: {}}
configs: {page: {file: ./page.txt}}
secrets: {password: {file: ./password.txt}}
`).file("stacks/"+stack+"/page.txt", "page\n").file("stacks/"+stack+"/password.txt", "geheim\n")
	settings := kargo.SuffixStable.Of(stack) + "=0s\n"
	commit := s.repo.commit(w.file(".env", adopt+settings))
	s.onEngine("stack", "deploy", "--resolve-image", "never", "--compose-file", filepath.Join(s.repo.dir, file), stack)
	s.removeAtTheEnd(stack)
	before := s.containerOf(stack + "_db")
	data := filepath.Join(t.TempDir(), "rows")
	writeFile(t, data, "three rows\n")
	s.onEngine("cp", data, before+":/data/rows")

	s.start()
	s.awaitDeployment(commit)
	s.awaitStatus("the stack is Kargo's", func(k kargo.Status) bool { return k.Stacks[0].InSync && k.Stacks[0].Health == kargo.HealthHealthy })
	if after := s.containerOf(stack + "_db"); after != before {
		t.Errorf("container %s took the place of %s", after, before)
	}

	d := s.deploy(w.file(".env", settings).file("stacks/"+stack+"/password.txt", "another\n"))
	if d.Outcome != kargo.OutcomeSucceeded {
		t.Errorf("deployment %s: %v %s", d.Outcome, d.Changes, d.Err)
	}
	same(t, "what changed", s.changed(d), "create secret shop_password\nupdate service shop_db")
	until(t, "the new password is there", func() bool { return s.containerOf(stack+"_db") != before })
	back := filepath.Join(t.TempDir(), "rows")
	s.onEngine("cp", s.containerOf(stack+"_db")+":/data/rows", back)
	if rows, err := os.ReadFile(back); err != nil || string(rows) != "three rows\n" {
		t.Errorf("the data is %q, %v", rows, err)
	}
}

// A workspace that `kargo init --running` makes of a stack asks for what runs: taking
// the stack over replaces no task, whatever the stack has.
func TestAdoptingAWorkspaceMadeOfWhatRuns(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	stack := s.prefix + "-shop"
	source := filepath.Join(t.TempDir(), "compose.yml")
	writeFile(t, filepath.Join(filepath.Dir(source), "page.txt"), "costs 5$\n")
	writeFile(t, filepath.Join(filepath.Dir(source), "password.txt"), "geheim\n")
	writeFile(t, source, `
version: "3.8"
services:
  web:
    image: kargo/testserver:1
    environment: {PRICE: "5$$", EMPTY: "", "ON": "on"}
    hostname: "{{.Service.Name}}"
    labels: {inside: "yes"}
    networks: {own: {aliases: [www]}}
    volumes: ["data:/data", "/etc/hosts:/hosts:ro", {type: tmpfs, target: /run/x, tmpfs: {size: 1000000}}]
    configs: [page, {source: page, target: /etc/page, mode: 0440}]
    secrets: [password]
    extra_hosts: ["db:10.0.0.1"]
    dns: [10.0.0.2]
    cap_add: [NET_ADMIN]
    ulimits: {nofile: {soft: 100, hard: 200}}
    stop_grace_period: 2s
    logging: {driver: json-file, options: {max-size: 1m}}
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      labels: {"route": "Host(`+"`a`"+`)"}
      resources: {limits: {memory: 64M, cpus: "0.5"}}
      restart_policy: {condition: on-failure, delay: 1s, max_attempts: 100, window: 10s}
      update_config: {parallelism: 2, delay: 1s, monitor: 500ms, order: start-first}
  plain: {image: "kargo/testserver:1", deploy: {endpoint_mode: dnsrr, update_config: {monitor: 500ms}}}
networks: {own: {attachable: true, labels: {team: a}}}
volumes: {data: {labels: {keep: "yes"}}}
configs: {page: {file: ./page.txt}}
secrets: {password: {file: ./password.txt}}
`)
	s.onEngine("stack", "deploy", "--resolve-image", "never", "--compose-file", source, stack)
	s.removeAtTheEnd(stack)
	plain := s.containerOf(stack + "_plain")
	tasks := func() string {
		return s.onEngine("service", "ps", "--format", "{{.ID}} {{.DesiredState}}", stack+"_web")
	}
	// A busy engine may refuse the address pool of a new network for some seconds.
	until(t, "both tasks of web run", func() bool {
		return strings.Count(s.onEngine("service", "ps", "--filter", "desired-state=running", "--format", "{{.CurrentState}}", stack+"_web"), "Running") == 2
	})
	before := tasks()

	made := filepath.Join(t.TempDir(), "made")
	got := run(t, t.TempDir(), []string{"DOCKER_HOST=" + testBed(t, "KARGO_TEST_DOCKER")}, "init", made, "--running", stack)
	if got.code != 0 || !strings.Contains(got.stdout, "secret "+stack+"_password: Swarm does not show its content") {
		t.Fatalf("kargo init: %s", got)
	}
	w := s.workspace().file(".env", kargo.SuffixAdopt.Of(stack)+"=true\n"+kargo.SuffixStable.Of(stack)+"=0s\n")
	for _, name := range []string{"compose.yml", "configs/page"} {
		data, err := os.ReadFile(filepath.Join(made, "stacks", stack, name))
		if err != nil {
			t.Fatal(err)
		}
		w = w.file("stacks/"+stack+"/"+name, string(data))
	}
	commit := s.repo.commit(w)
	s.start()
	s.awaitDeployment(commit)
	s.awaitStatus("the stack is Kargo's", func(k kargo.Status) bool { return k.Stacks[0].InSync && k.Stacks[0].Health == kargo.HealthHealthy })
	if after := tasks(); after != before {
		t.Errorf("tasks of web are\n%s\nand were\n%s", after, before)
	}
	if after := s.containerOf(stack + "_plain"); after != plain {
		t.Errorf("container %s took the place of %s", after, plain)
	}
}

// removeAtTheEnd removes a stack that is not named after the scene, once the controller has
// ended: it would create it again.
func (s *scene) removeAtTheEnd(stack string) {
	s.t.Cleanup(func() {
		s.kill()
		s.onEngine("stack", "rm", stack)
	})
}

// containerOf is the running container of a service with one task.
func (s *scene) containerOf(service string) (container string) {
	s.t.Helper()
	until(s.t, service+" runs", func() bool {
		container = strings.TrimSpace(s.onEngine("ps", "--quiet", "--no-trunc", "--filter", "label=com.docker.swarm.service.name="+service))
		return container != "" && !strings.Contains(container, "\n")
	})
	return container
}

// onEngine calls Docker's own program.
func (s *scene) onEngine(args ...string) string {
	s.t.Helper()
	// Cleaning up outlives the test's context.
	command := exec.CommandContext(context.Background(), "docker", append([]string{"--host", testBed(s.t, "KARGO_TEST_DOCKER")}, args...)...)
	out, err := command.CombinedOutput()
	if err != nil {
		s.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// stackDeploy is what people did before: Docker's own command, on the files as
// they lie in the repository.
func (s *scene) stackDeploy(stack, file string) {
	s.t.Helper()
	s.onEngine("stack", "deploy", "--resolve-image", "never", "--compose-file", filepath.Join(s.repo.dir, file), "kargo-"+s.prefix+"-"+stack)
}
