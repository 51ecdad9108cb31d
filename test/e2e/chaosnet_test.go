package e2e_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/docker/docker/api/types/registry"
	"golang.org/x/sys/unix"

	"kargo"
)

// A registry that can be killed, and a network that loses packets, for chaos_test.go.

// testRegistry is the open registry of the test bed.
type testRegistry struct {
	c            *chaos
	dir, address string
}

func (c *chaos) registry() testRegistry {
	c.t.Helper()
	return testRegistry{c, filepath.Join(testBed(c.t, "KARGO_TEST_LAB"), "registry", "open"), testBed(c.t, "KARGO_TEST_REGISTRY")}
}

func (r testRegistry) signal(s syscall.Signal) {
	data, err := os.ReadFile(filepath.Join(r.dir, "pid"))
	var pid int
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
	}
	if err == nil {
		err = syscall.Kill(pid, s)
	}
	if err != nil {
		r.c.t.Errorf("signal to the registry: %v", err)
	}
}

// freeze has the registry accept connections, and answer nothing.
func (r testRegistry) freeze() { r.signal(syscall.SIGSTOP) }
func (r testRegistry) kill()   { r.signal(syscall.SIGKILL) }

func (r testRegistry) start() {
	r.c.t.Helper()
	if out, err := exec.Command("../bed/registry", "start", r.dir, r.address).CombinedOutput(); err != nil {
		r.c.t.Fatalf("start the registry: %v\n%s", err, out)
	}
}

// pushImage puts an image into the registry that no node has. It returns the option of a
// service that runs it.
func (c *chaos) pushImage(name string) func(*compose) {
	c.t.Helper()
	full := c.registry().address + "/" + c.prefix + "/" + name + ":1"
	c.scene.push(full, registry.AuthConfig{})
	return image(full)
}

// duringUpdate calls happens, once, when the first controller sends the next update of a
// service: Docker gets it afterwards.
func (c *chaos) duringUpdate(happens func()) {
	var once sync.Once
	docker := c.members[0].docker
	docker.meddle(func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
		if strings.HasSuffix(describe(r), "/update") && !isOfLease(r) {
			once.Do(happens)
		}
		swarm.ServeHTTP(w, r)
	})
	c.later(func() { docker.meddle(nil) })
}

// siteHas reports whether a task of the site has that state.
func (c *chaos) siteHas(state string) bool {
	c.t.Helper()
	tasks, err := c.observer.Tasks(c.t.Context(), c.service("web", "site"))
	if err != nil {
		c.t.Fatal(err)
	}
	return slices.ContainsFunc(tasks, func(task kargo.Task) bool { return task.State == state })
}

// softwareIsNotBlamed wants no controller to say that the software of a stack failed.
func (c *chaos) softwareIsNotBlamed() {
	c.t.Helper()
	for _, status := range c.statuses() {
		for _, stack := range status.Stacks {
			if stack.Failure != nil && stack.Failure.Cause == kargo.CauseSoftware {
				c.t.Errorf("of stack %s is said: %s", stack.Name, stack.Failure.Reason)
			}
		}
	}
}

// overTheNetwork has the first controller reach Docker and the git host at the address of
// a node, over the lab's network, until the end of the fault.
func (c *chaos) overTheNetwork(node string) {
	c.t.Helper()
	first := c.members[0]
	env, args := first.env, first.args
	docker := c.relay(node, "unix", first.docker.socket)
	host := strings.TrimSuffix(strings.TrimPrefix(c.address, "http://"), "/.git")
	git := c.relay(node, "tcp", host)
	moved := slices.Clone(args)
	for i := range moved {
		moved[i] = strings.ReplaceAll(moved[i], host, git)
	}
	first.moveTo([]string{"DOCKER_HOST=tcp://" + docker}, moved)
	c.later(func() { first.moveTo(env, args) })
}

// moveTo starts a controller again with other settings.
func (m *member) moveTo(env, args []string) {
	m.t.Helper()
	m.end()
	m.env, m.args = env, args
	m.start()
}

// end ends the controller as Docker does, and waits for its end.
func (m *member) end() {
	m.t.Helper()
	m.signal(syscall.SIGTERM)
	m.dead()
}

// relay passes connections to an address in the network of a node on to a server of this
// machine, and returns the address. It ends with the test.
func (c *chaos) relay(node, network, server string) string {
	c.t.Helper()
	listener := c.listenIn(node)
	c.later(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(network, server)
			if err != nil {
				_ = near.Close()
				continue
			}
			go pass(near, far)
			go pass(far, near)
		}
	}()
	return listener.Addr().String()
}

// pass copies until the end of one of two connections, and closes both.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
}

// listenIn listens in the network of a node, whose programs need not run.
func (c *chaos) listenIn(node string) net.Listener {
	c.t.Helper()
	dir := filepath.Join(testBed(c.t, "KARGO_TEST_LAB"), "nodes", node)
	address, err := os.ReadFile(filepath.Join(dir, "ip"))
	if err != nil {
		c.t.Fatal(err)
	}
	var listener net.Listener
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread ends with this function
		var network int
		if network, err = unix.Open(filepath.Join(dir, "network"), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		if err = errors.Join(unix.Setns(network, unix.CLONE_NEWNET), unix.Close(network)); err == nil {
			listener, err = net.Listen("tcp", strings.TrimSpace(string(address))+":0")
		}
	}()
	<-done
	if err != nil {
		c.t.Fatalf("listen in the network of %s: %v", node, err)
	}
	return listener
}
