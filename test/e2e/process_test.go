package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kargo"
	"kargo/server"
)

// patience is how long anything may take before a test gives up. Machines may be busy:
// it says nothing of how long things take.
const patience = 3 * time.Minute

// until polls until something holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	within(t, patience, what, holds)
}

// within is until, for what may take another time.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("it did not happen within %s that %s", limit, what)
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s", r.code, r.stdout, r.stderr)
}

// run runs the binary to its end, with nothing in its environment but these.
func run(t testing.TB, dir string, env []string, args ...string) result {
	t.Helper()
	return runWithin(t, patience, dir, env, args...)
}

// runWithin is run for what may take another time.
func runWithin(t testing.TB, limit time.Duration, dir string, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, kargoBinary, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=/nowhere", "HOME=/nowhere"}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run kargo %s: %v", strings.Join(args, " "), err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// controller is `kargo serve`, which can be started and ended again and again
// on one data directory.
type controller struct {
	t    testing.TB
	data string
	logs string // the directory of its log
	args []string
	env  []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	client *http.Client
}

// newController makes one that is not started yet. Its log is printed if the
// test fails.
func newController(t testing.TB, env []string, args ...string) *controller {
	t.Helper()
	c := &controller{t: t, data: shortTempDir(t), logs: shortTempDir(t), env: env}
	c.args = append([]string{"serve", "--data", c.data, "--listen", "127.0.0.1:0", "--log-level", "debug"}, args...)
	c.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(c.data, ".kargo-state", "kargo.sock"))
		},
		DisableKeepAlives: true, // the process at the other end changes
	}}
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("log of the controller:\n%s", c.log())
		}
	})
	return c
}

func (c *controller) logPath() string { return filepath.Join(c.logs, "log") }

// log is what the processes said so far.
func (c *controller) log() string {
	data, err := os.ReadFile(c.logPath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Errorf("read log: %v", err)
	}
	return string(data)
}

// start starts a process and waits until it responds.
func (c *controller) start() {
	c.t.Helper()
	c.launch()
	until(c.t, "the controller responds", func() bool {
		select {
		case <-c.exited:
			c.t.Fatalf("the controller ended at once:\n%s", c.log())
		default:
		}
		_, err := c.get("/healthz")
		return err == nil
	})
}

// launch starts a process without waiting for anything.
func (c *controller) launch() {
	c.t.Helper()
	log, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(kargoBinary, c.args...)
	cmd.Env = append([]string{"PATH=/nowhere", "HOME=/nowhere"}, c.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // tests that run out of time clean nothing up
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the exit code is in cmd.ProcessState
		close(exited)
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cmd, c.exited = cmd, exited
}

func (c *controller) process() (*exec.Cmd, chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cmd, c.exited
}

// kill is kill -9. It returns when the process is gone.
func (c *controller) kill() {
	cmd, exited := c.process()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // it may have ended by itself
	<-exited
}

// dead waits until the process was killed from elsewhere.
func (c *controller) dead() {
	c.t.Helper()
	_, exited := c.process()
	select {
	case <-exited:
	case <-time.After(patience):
		c.t.Fatal("the controller was to be killed and still runs")
	}
}

func (c *controller) signal(s syscall.Signal) {
	c.t.Helper()
	cmd, _ := c.process()
	if err := cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// stop ends the process with SIGTERM, which has to take two seconds at most
// (and one more, for a busy machine), with exit code 0.
func (c *controller) stop() {
	c.t.Helper()
	cmd, exited := c.process()
	c.signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(3 * time.Second):
		c.t.Fatal("the controller still runs three seconds after SIGTERM")
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		c.t.Fatalf("the controller ended with exit code %d", code)
	}
}

// get asks the API through the socket in the data directory.
func (c *controller) get(path string) ([]byte, error) {
	response, err := c.client.Get("http://kargo" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return body, err
}

func (c *controller) ask(path string, into any) {
	c.t.Helper()
	body, err := c.get(path)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *controller) status() kargo.Status {
	c.t.Helper()
	var status kargo.Status
	c.ask("/api/v1/status", &status)
	return status
}

// history is all deployments, newest first.
func (c *controller) history() []kargo.Deployment {
	c.t.Helper()
	var page server.Deployments
	c.ask("/api/v1/deployments?limit=500", &page)
	return page.Deployments
}

// cli runs a command that talks to this controller.
func (c *controller) cli(args ...string) result {
	c.t.Helper()
	return run(c.t, c.data, nil, append(args, "--data", c.data)...)
}

// sync asks for a round as people do.
func (c *controller) sync() {
	c.t.Helper()
	if got := c.cli("sync"); got.code != 0 {
		c.t.Fatalf("kargo sync: %s", got)
	}
}

// status holds eventually.
func (c *controller) awaitStatus(what string, holds func(kargo.Status) bool) kargo.Status {
	c.t.Helper()
	var status kargo.Status
	until(c.t, what, func() bool {
		status = c.status()
		return holds(status)
	})
	return status
}

// awaitDeployment waits until the newest deployment is of the commit and has
// come to its end, and nothing is on its way any more.
func (c *controller) awaitDeployment(commit string) kargo.Deployment {
	c.t.Helper()
	var newest kargo.Deployment
	until(c.t, "the deployment of "+commit+" ends", func() bool {
		deployments := c.history()
		if len(deployments) == 0 {
			return false
		}
		newest = deployments[0]
		return newest.Revision.Commit == commit && !newest.Finished.IsZero()
	})
	return newest
}

// awaitRound waits for the end of a round that begins from now on.
func (c *controller) awaitRound(begin func()) kargo.Status {
	c.t.Helper()
	before := c.status().Rounds
	begin()
	return c.awaitStatus("a round ends", func(s kargo.Status) bool { return s.Rounds > before })
}

var listening = regexp.MustCompile(`msg="kargo serves".* listen=(\S+)`)

// address is where the newest process listens.
func (c *controller) address() string {
	c.t.Helper()
	found := listening.FindAllStringSubmatch(c.log(), -1)
	if len(found) == 0 {
		c.t.Fatal("the log does not say where the controller listens")
	}
	return "http://" + found[len(found)-1][1]
}
