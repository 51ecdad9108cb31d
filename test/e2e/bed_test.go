package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"
	dockerclient "github.com/docker/docker/client"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

var (
	testRoot    string // holds whatever tests write
	kargoBinary string
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if testRoot, err = os.MkdirTemp("", "kargo-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for the tests:", err)
		return 1
	}
	defer os.RemoveAll(testRoot)
	kargoBinary = filepath.Join(testRoot, "kargo")
	build := exec.Command("go", "build", "-tags", "disable_grpc_modules", "-o", testRoot, "kargo/cmd/kargo", "kargo/cmd/kargo-secrets")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build kargo: %v\n%s", err, out)
		return 1
	}
	// Tests mostly wait, so more of them than there are processors may run.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, "let tests run side by side:", err)
		return 1
	}
	return m.Run()
}

// scene is what most tests need: a repository, a Swarm, and a controller
// between the two that is not started yet.
type scene struct {
	*controller
	t        testing.TB
	prefix   string // of stacks and networks; also the instance's name
	repo     *repository
	docker   *daemon
	memory   *swarmtest.Engine    // nil on the real engine
	api      *dockerclient.Client // past the daemon, as somebody else has it
	observer *swarm.Client        // the same, in Kargo's words
}

var scenes atomic.Int64

// inMemory is a scene with a Swarm of its own, in which every write has run its
// course by the time it is answered.
func inMemory(t testing.TB, args ...string) *scene {
	t.Helper()
	engine := swarmtest.New(swarmtest.AutoSettle)
	api := engine.Client()
	s := &scene{t: t, prefix: "t", docker: newDaemon(t, engine), memory: engine, api: api, observer: swarm.New(api)}
	s.plantKey()
	return s.complete(args)
}

// plantKey gives the instance its key beforehand, so that digests
// are the same in every run.
func (s *scene) plantKey() {
	s.t.Helper()
	if err := s.observer.SealKey(s.t.Context(), s.prefix, bytes.Repeat([]byte{0x5a}, 32)); err != nil {
		s.t.Fatal(err)
	}
}

// onDocker is a scene on the real engine.
func onDocker(t testing.TB, args ...string) *scene {
	t.Helper()
	host := testBed(t, "KARGO_TEST_DOCKER")
	socket, isSocket := strings.CutPrefix(host, "unix://")
	if !isSocket {
		t.Fatalf("KARGO_TEST_DOCKER is %q, not a unix socket", host)
	}
	api, err := dockerclient.NewClientWithOpts(dockerclient.WithHost(host), dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	s := &scene{t: t, api: api, observer: swarm.New(api), docker: newDaemon(t, toSocket(socket))}
	s.prefix = fmt.Sprintf("e%x-%d", os.Getpid(), scenes.Add(1))
	t.Cleanup(s.removeAll) // after the controller has ended
	t.Cleanup(s.tellOfTasks)
	return s.complete(args)
}

// tellOfTasks prints, if a test failed, how the tasks ended that ended by
// themselves.
func (s *scene) tellOfTasks() {
	if !s.t.Failed() {
		return
	}
	ctx := context.Background() // the test's own has ended
	tasks, err := s.observer.Tasks(ctx)
	if err != nil {
		s.t.Log(err)
	}
	for _, task := range tasks {
		if strings.Contains(task.Namespace, s.prefix) && task.Err != "" {
			s.t.Logf("task %s of %s, made %s, %s %s: %s: %s (exit code %d)", task.ID, task.Service, task.Time.Format(time.TimeOnly),
				task.State, task.StateAt.Format(time.TimeOnly), task.Message, task.Err, task.ExitCode)
		}
	}
}

// testBed is a variable that test/bed/run sets.
func testBed(t testing.TB, variable string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the test bed")
	}
	value := os.Getenv(variable)
	if value == "" {
		t.Fatalf("%s is not set: run `test/bed/run --git -- go test ./test/e2e/`, or add -short", variable)
	}
	return value
}

func (s *scene) complete(args []string) *scene {
	s.t.Helper()
	s.repo = newRepository(s.t)
	// Nothing happens by the clock unless a test asks for it.
	args = append([]string{"--instance", s.prefix, "--repo", s.repo.dir, "--interval", "1h", "--verify", "1h"}, args...)
	s.controller = newController(s.t, []string{"DOCKER_HOST=unix://" + s.docker.socket}, args...)
	return s
}

// again is another scene on the same Swarm, with the same names.
func (s *scene) again() *scene {
	s.t.Helper()
	other := &scene{t: s.t, prefix: s.prefix, docker: s.docker, memory: s.memory, api: s.api, observer: s.observer}
	return other.complete(nil)
}

func (s *scene) workspace() *workspace { return newWorkspace(s.prefix) }

// deploy commits a workspace and waits until all of it has settled. The
// controller must be running.
func (s *scene) deploy(w *workspace) kargo.Deployment {
	s.t.Helper()
	commit := s.repo.commit(w)
	s.sync()
	return s.awaitDeployment(commit)
}

// contentDigest ends the name of a config or secret.
var contentDigest = regexp.MustCompile(`-[0-9a-f]{12}\b`)

// changed returns what a deployment changed, each object once, without the prefix of the
// scene and the digests of contents. A busy engine interrupts an update now and then, and
// Kargo sends it again.
func (s *scene) changed(d kargo.Deployment) string {
	var objects []string
	for _, change := range d.Changes {
		object := fmt.Sprintf("%s %s", change.Action, change.Key())
		if !slices.Contains(objects, object) {
			objects = append(objects, object)
		}
	}
	return contentDigest.ReplaceAllString(strings.ReplaceAll(strings.Join(objects, "\n"), s.prefix+"-", ""), "")
}

// begin starts the controller on a workspace and waits until it has settled.
func (s *scene) begin(w *workspace) kargo.Deployment {
	s.t.Helper()
	commit := s.repo.commit(w)
	s.start()
	return s.awaitDeployment(commit)
}

// service is a service's name in Swarm.
func (s *scene) service(stack, service string) string {
	return "kargo-" + s.prefix + "-" + stack + "_" + service
}

// live is what runs of this instance.
func (s *scene) live() kargo.Cluster {
	s.t.Helper()
	cluster, err := s.observer.Observe(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	mine := func(labels map[string]string) bool { return labels[kargo.LabelInstance] == s.prefix }
	cluster.Services = slices.DeleteFunc(cluster.Services, func(l kargo.LiveService) bool { return !mine(l.Spec.Labels) })
	cluster.Networks = slices.DeleteFunc(cluster.Networks, func(l kargo.LiveNetwork) bool { return !mine(l.Labels) })
	cluster.Configs = slices.DeleteFunc(cluster.Configs, func(l kargo.LiveConfig) bool { return !mine(l.Labels) })
	return cluster
}

// services are the live services by name.
func (s *scene) services() map[string]kargo.LiveService {
	s.t.Helper()
	byName := map[string]kargo.LiveService{}
	for _, service := range s.live().Services {
		byName[service.Name] = service
	}
	return byName
}

// objects are the names of all that this instance has, a line each, sorted.
func (s *scene) objects() string {
	s.t.Helper()
	var lines []string
	live := s.live()
	for _, service := range live.Services {
		lines = append(lines, "service "+service.Name)
	}
	for _, network := range live.Networks {
		lines = append(lines, "network "+network.Name)
	}
	for _, config := range live.Configs {
		lines = append(lines, string(config.Kind())+" "+config.Name)
	}
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], s.prefix, "t")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// epochs is what tells which controller wrote an object, and when it took over.
var epochs = regexp.MustCompile(`"kargo\.epoch":"\d+",?`)

// state is everything of this instance that two runs which end alike have in
// common: names, specs, and the specs that a rollback would return to.
func (s *scene) state() string {
	s.t.Helper()
	var text strings.Builder
	for _, service := range s.live().Services {
		fmt.Fprintf(&text, "service %s\n spec %s\n previous %s\n", service.Name, asJSON(s.t, service.Spec), asJSON(s.t, service.Previous))
	}
	text.WriteString(s.objects())
	plain := epochs.ReplaceAllString(strings.ReplaceAll(text.String(), s.prefix, "t"), "")
	for i, hash := range s.repo.hashes {
		plain = strings.ReplaceAll(plain, hash, fmt.Sprintf("<commit %d>", i+1))
	}
	return plain
}

func asJSON(t testing.TB, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// moved are the names of the services that are not as they were: changed,
// made, or gone. Swarm counts every update, needed or not.
func moved(before, after map[string]kargo.LiveService) []string {
	names := map[string]bool{}
	for name, was := range before {
		is, exists := after[name]
		if !exists || is.ID != was.ID || is.Version != was.Version {
			names[name] = true
		}
	}
	for name := range after {
		if _, existed := before[name]; !existed {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// change edits a live service by hand, as somebody else would.
func (s *scene) change(name string, edit func(*dockerswarm.ServiceSpec)) {
	s.t.Helper()
	until(s.t, "Swarm takes an update of "+name, func() bool {
		service, _, err := s.api.ServiceInspectWithRaw(s.t.Context(), name, dockerswarm.ServiceInspectOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		edit(&service.Spec)
		_, err = s.api.ServiceUpdate(s.t.Context(), service.ID, service.Version, service.Spec, dockerswarm.ServiceUpdateOptions{})
		if err != nil && !strings.Contains(err.Error(), "out of sequence") {
			s.t.Fatal(err)
		}
		return err == nil
	})
}

// removeAll removes what carries this instance's label.
func (s *scene) removeAll() {
	ctx := context.Background() // the test's own has ended
	mine := filters.NewArgs(filters.Arg("label", kargo.LabelInstance+"="+s.prefix))
	check := func(err error) {
		if err != nil {
			s.t.Errorf("clean up: %v", err)
		}
	}
	services, err := s.api.ServiceList(ctx, dockerswarm.ServiceListOptions{Filters: mine})
	check(err)
	for _, service := range services {
		check(s.api.ServiceRemove(ctx, service.ID))
	}
	configs, err := s.api.ConfigList(ctx, dockerswarm.ConfigListOptions{Filters: mine})
	check(err)
	for _, config := range configs {
		check(s.api.ConfigRemove(ctx, config.ID))
	}
	secrets, err := s.api.SecretList(ctx, dockerswarm.SecretListOptions{Filters: mine})
	check(err)
	for _, secret := range secrets {
		check(s.api.SecretRemove(ctx, secret.ID))
	}
	found, err := s.api.NetworkList(ctx, network.ListOptions{Filters: mine})
	check(err)
	for _, one := range found {
		until(s.t, "network "+one.Name+" can be removed", func() bool {
			err := s.api.NetworkRemove(ctx, one.ID)
			return err == nil || errdefs.IsNotFound(err)
		})
	}
}
