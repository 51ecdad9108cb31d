package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kargo"
)

// TestImage builds the Dockerfile and runs the image as docs/running.md
// describes: with the stack file docs/kargo.yml, without root, on a read-only
// root file system. The controller must work there.
func TestImage(t *testing.T) {
	t.Parallel()
	b := newImageBed(t)
	b.deployController()
	container := b.container()
	b.checkConfinement(container)

	w := newWorkspace(b.prefix).stack("web", "app").
		service("app", replicas(1), environment("GREETING=${GREETING}"), config("/page.txt", "configs/page.txt")).
		file("configs/page.txt", "one\n").set("GREETING", "hello")
	b.awaitInForce(container, b.push(w))
	if got := b.environmentOf("app"); got != "[GREETING=hello]" {
		t.Errorf("the service has %s", got)
	}
	b.awaitInForce(container, b.push(w.set("GREETING", "ciao")))
	if got := b.environmentOf("app"); got != "[GREETING=ciao]" {
		t.Errorf("after the second commit the service has %s", got)
	}

	until(t, "the image's own health check is content", func() bool {
		return b.docker("inspect", "-f", "{{.State.Health.Status}}", container) == "healthy"
	})
	b.checkEnd(container)
}

// imageBed is the test bed with an image of Kargo on its engine.
type imageBed struct {
	t       *testing.T
	engine  string // DOCKER_HOST
	prefix  string // the name of the controller's stack
	gitHost *gitHost
	repo    *repository
	path    string // of the repository on the git host
}

const imageWebhookSecret = "image-webhook"

func newImageBed(t *testing.T) *imageBed {
	t.Helper()
	b := &imageBed{t: t, engine: testBed(t, "KARGO_TEST_DOCKER"), gitHost: newGitHost(t), repo: newRepository(t)}
	b.prefix = "image" + filepath.Base(b.repo.dir)
	b.path = b.gitHost.host(b.repo)
	b.gitHost.run("hook", b.gitHost.dir, b.path, "http://"+b.nodeAddress()+":8080/hooks/gitea", imageWebhookSecret, "gitea")
	b.run(nil, "../bed/builder", b.socket())
	return b
}

// command is a command on the engine.
func (b *imageBed) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+b.engine)
	return cmd
}

// run runs a command and returns its output.
func (b *imageBed) run(env []string, name string, args ...string) string {
	b.t.Helper()
	cmd := b.command(name, args...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (b *imageBed) docker(args ...string) string {
	b.t.Helper()
	return b.run(nil, "docker", args...)
}

// tell logs what a command of Docker says, be it that there is nothing to say.
func (b *imageBed) tell(args ...string) {
	out, err := b.command("docker", args...).CombinedOutput()
	b.t.Logf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
}

func (b *imageBed) socket() string { return strings.TrimPrefix(b.engine, "unix://") }

func (b *imageBed) nodeAddress() string {
	b.t.Helper()
	return b.run(nil, "../bed/lab", "ip", strings.Fields(testBed(b.t, "KARGO_TEST_NODES"))[0])
}

// deployController deploys the stack file.
func (b *imageBed) deployController() {
	b.t.Helper()
	for name, value := range map[string]string{"kargo-git-password": gitReaderPassword, "kargo-webhook-secret": imageWebhookSecret} {
		file := filepath.Join(shortTempDir(b.t), "secret")
		writeFile(b.t, file, value)
		b.docker("secret", "create", name, file)
		b.t.Cleanup(func() { b.docker("secret", "rm", name) })
	}
	b.t.Cleanup(b.removeAll)
	address := strings.Replace(b.gitHost.url("HTTPS", ""), "127.0.0.1", testBed(b.t, "KARGO_TEST_HOST"), 1)
	b.run([]string{
		"IMAGE=kargo:test", "REPO=" + address + "/" + b.path, "GIT_USERNAME=" + gitReader,
		"DOCKER_SOCKET=" + b.socket(), "DOCKER_GROUP=" + b.socketGroup(),
	}, "docker", "stack", "deploy", "--resolve-image", "never", "-c", "../../docs/kargo.yml", "-c", b.trust(), b.prefix)
}

// trust writes what the test bed needs beside the stack file: trust in the
// certificate of its git host.
func (b *imageBed) trust() string {
	b.t.Helper()
	file := filepath.Join(shortTempDir(b.t), "trust.yml")
	writeFile(b.t, file, `version: "3.8"
services:
  kargo:
    environment:
      KARGO_GIT_CA_FILE: /git-ca.pem
    configs:
      - source: git-ca
        target: /git-ca.pem
configs:
  git-ca:
    file: `+testBed(b.t, "KARGO_TEST_GIT_CA")+"\n")
	return file
}

// socketGroup is the group that may open the engine's socket. Where the machine
// has no group docker the socket belongs to root's, and gets one of its own.
func (b *imageBed) socketGroup() string {
	b.t.Helper()
	if group := b.run(nil, "stat", "-c", "%g", b.socket()); group != "0" {
		return group
	}
	const group = "65533"
	b.run(nil, "chgrp", group, b.socket())
	return group
}

// container waits until the controller in its container responds, and returns
// the ID of the container.
func (b *imageBed) container() string {
	b.t.Helper()
	var id string
	until(b.t, "the controller's container answers", func() bool {
		id = b.docker("ps", "-q", "--no-trunc", "--filter", "label=com.docker.swarm.service.name="+b.prefix+"_kargo")
		return id != "" && b.command("docker", "exec", id, "/kargo", "healthcheck").Run() == nil
	})
	return id
}

// checkConfinement wants of the container what the stack file promises.
func (b *imageBed) checkConfinement(container string) {
	b.t.Helper()
	const format = "{{.Config.User}} read-only={{.HostConfig.ReadonlyRootfs}} without={{.HostConfig.CapDrop}}"
	want := "65532:" + b.socketGroup() + " read-only=true without=[ALL]"
	if got := b.docker("inspect", "-f", format, container); got != want {
		b.t.Errorf("the container is %s, want %s", got, want)
	}
}

// push commits a workspace and pushes it. The git host sends a webhook.
func (b *imageBed) push(w *workspace) string {
	b.t.Helper()
	commit := b.repo.commit(w)
	if said := b.repo.git("push", "origin", "main"); !strings.Contains(said, "webhook: 202") {
		b.t.Errorf("the controller does not take the webhook:\n%s", said)
	}
	return commit
}

// awaitInForce waits until a commit is in force and its stack runs.
func (b *imageBed) awaitInForce(container, commit string) {
	b.t.Helper()
	until(b.t, commit+" is in force and healthy", func() bool {
		var status kargo.Status
		// The exit code is 4 until everything is well.
		printed, err := b.command("docker", "exec", container, "/kargo", "status", "-o", "json").Output()
		if json.Unmarshal(printed, &status) != nil {
			b.t.Fatalf("kargo status: %v\n%s", err, printed)
		}
		return status.Applied.Commit == commit && len(status.Stacks) == 1 &&
			status.Stacks[0].InSync && status.Stacks[0].Health == kargo.HealthHealthy
	})
}

func (b *imageBed) environmentOf(service string) string {
	b.t.Helper()
	return b.docker("service", "inspect", "-f", "{{.Spec.TaskTemplate.ContainerSpec.Env}}", "kargo-"+b.prefix+"-web_"+service)
}

// checkEnd removes the service, and wants the program to take SIGTERM for an
// answer: exit code 0, and not the 137 of a kill.
func (b *imageBed) checkEnd(container string) {
	b.t.Helper()
	wait := b.command("docker", "wait", container)
	var code strings.Builder
	wait.Stdout = &code
	if err := wait.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.docker("service", "rm", b.prefix+"_kargo")
	if err := wait.Wait(); err != nil || strings.TrimSpace(code.String()) != "0" {
		b.t.Errorf("the container ended with %q (%v), want 0", strings.TrimSpace(code.String()), err)
	}
}

// removeAll removes both stacks and what is beside them.
func (b *imageBed) removeAll() {
	if b.t.Failed() {
		b.tell("service", "ps", "--no-trunc", b.prefix+"_kargo")
		b.tell("service", "logs", b.prefix+"_kargo")
	}
	b.docker("stack", "rm", b.prefix)
	b.docker("stack", "rm", "kargo-"+b.prefix+"-web")
	until(b.t, "the containers are gone", func() bool {
		return b.docker("ps", "-aq", "--filter", "name="+b.prefix) == ""
	})
	b.docker("volume", "rm", b.prefix+"_data")
	for _, network := range []string{"front", "back", "socket"} {
		b.docker("network", "rm", b.prefix+"-"+network)
	}
}
