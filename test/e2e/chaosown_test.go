package e2e_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kargo"
)

// Kargo as a service of the workspace that it deploys, for chaos_test.go.

// ownService is the service of two replicas of Kargo. While it runs, the first
// controller of the chaos does not.
type ownService struct {
	*chaos
	docker *daemon // records what the replicas write
}

// deployItself has the first controller deploy Kargo as a service, and ends the
// controller, so that a replica leads.
func (c *chaos) deployItself() *ownService {
	c.t.Helper()
	c.makeOwnImages()
	own := &ownService{chaos: c, docker: newDaemon(c.t, c.audit.of("a replica", toSocket(c.socket("n1"))))}
	c.w.stack("own", "controller").set(c.w.variable("own", "DEADLINE"), "60s")
	own.update("1")
	until(c.t, "Kargo has deployed itself", c.equalToGit)
	c.members[0].end()
	c.own = own
	c.later(own.end)
	until(c.t, "a replica leads", c.equalToGit)
	return own
}

// update commits another version of Kargo itself.
func (o *ownService) update(version string) {
	o.t.Helper()
	command, err := json.Marshal(append([]string{"serve", "--listen", "127.0.0.1:0"}, o.settings(o.address)...))
	if err != nil {
		o.t.Fatal(err)
	}
	o.w.file("deploy/controller.yml", fmt.Sprintf(`services:
  controller:
    image: kargo/controller:%s
    command: %s
    environment:
      KARGO_DATA: /data
      DOCKER_HOST: unix:///docker.sock
    volumes:
      - %s:/docker.sock
    stop_grace_period: 5s
    deploy:
      endpoint_mode: dnsrr
      replicas: 2
      update_config: {failure_action: rollback, monitor: 3s}
      rollback_config: {monitor: 1s}
      restart_policy: {delay: 500ms}
`, version, command, o.docker.socket))
	o.push()
}

// statuses are what the replicas say now that answer.
func (o *ownService) statuses() (statuses []kargo.Status) {
	containers, err := o.engine("ps", "-q", "--filter", "label=com.docker.swarm.service.name="+o.service("own", "controller")).Output()
	if err != nil {
		return nil
	}
	for _, id := range strings.Fields(string(containers)) {
		// The exit code is not 0 until everything is well.
		printed, _ := o.engine("exec", id, "/kargo", "status", "-o", "json").Output()
		var status kargo.Status
		if json.Unmarshal(printed, &status) == nil {
			statuses = append(statuses, status)
		}
	}
	time.Sleep(300 * time.Millisecond) // each of these calls starts a process
	return statuses
}

// awaitFailure waits until a leading replica says that Kargo's own stack failed.
func (o *ownService) awaitFailure() {
	o.t.Helper()
	until(o.t, "a replica says that the new version does not start", func() bool {
		for _, status := range o.statuses() {
			for _, stack := range status.Stacks {
				if status.Leader == "" && stack.Failure != nil && strings.Contains(stack.Failure.Reason, o.service("own", "controller")) {
					return true
				}
			}
		}
		return false
	})
}

// end takes Docker away from the replicas. So the first controller takes over, and
// removes their stack: a replica would wait for an approval.
func (o *ownService) end() {
	o.t.Helper()
	o.docker.down()
	o.own = nil
	delete(o.w.files, "deploy/controller.yml")
	o.w.drop("own")
	o.push()
	o.members[0].start()
	within(o.t, patience, "the first controller has taken over", o.equalToGit)
}

// engine is a command of Docker on the first node.
func (c *chaos) engine(args ...string) *exec.Cmd {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(cmd.Environ(), "DOCKER_HOST=unix://"+c.socket("n1"))
	return cmd
}

// makeOwnImages makes images of the program that is tested: two that differ in a
// label, and one that does not start.
func (c *chaos) makeOwnImages() {
	c.t.Helper()
	if c.engine("image", "inspect", "kargo/controller:broken").Run() == nil {
		return
	}
	for version, entry := range map[string]string{"1": `["/kargo"]`, "2": `["/kargo"]`, "broken": `["/kargo", "no-such-command"]`} {
		files := exec.Command("tar", "-C", filepath.Dir(kargoBinary), "-c", "kargo", "kargo-secrets")
		load := c.engine("import", "-c", "ENTRYPOINT "+entry, "-c", "LABEL version="+version, "-", "kargo/controller:"+version)
		var err error
		if load.Stdin, err = files.StdoutPipe(); err != nil {
			c.t.Fatal(err)
		}
		if err := files.Start(); err != nil {
			c.t.Fatal(err)
		}
		if out, err := load.CombinedOutput(); err != nil {
			c.t.Fatalf("make the image of Kargo: %v\n%s", err, out)
		}
		if err := files.Wait(); err != nil {
			c.t.Fatal(err)
		}
	}
}
