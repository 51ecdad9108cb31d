package swarm_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"
	dockerclient "github.com/docker/docker/client"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// A contract is a fact about Swarm, or a promise of this package that rests on
// one. Each is checked against swarmtest and, unless -short, against a real
// engine: that is what makes swarmtest worth testing with.
type contract struct {
	name  string
	check func(t *testing.T, b *bed)
}

func contracts() []contract {
	return slices.Concat(specContracts, objectContracts, rolloutContracts, clientContracts, nodeContracts)
}

func TestContractInMemory(t *testing.T) {
	for _, c := range slices.Concat(contracts(), directContracts) {
		t.Run(c.name, func(t *testing.T) { c.check(t, memoryBed()) })
	}
}

// Engine 29 keeps the contracts as well.
func TestContractInMemoryOfTheNewestEngine(t *testing.T) {
	for _, c := range slices.Concat(contracts(), directContracts) {
		t.Run(c.name, func(t *testing.T) { c.check(t, memoryBed(swarmtest.Newest)) })
	}
}

func TestContractOnDocker(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real engine")
	}
	host, image := os.Getenv("KARGO_TEST_DOCKER"), os.Getenv("KARGO_TEST_IMAGE")
	if host == "" || image == "" {
		t.Fatal("KARGO_TEST_DOCKER and KARGO_TEST_IMAGE are not set: run `make test`, or `test/bed/run -- go test ./swarm`, or add -short")
	}
	for i, c := range slices.Concat(contracts(), directContracts) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			swarmtest.ShareEngine(t, host)
			c.check(t, dockerBed(t, host, image, fmt.Sprintf("case%d-", i)))
		})
	}
}

// bed is a Swarm to check a contract on. Real ones are shared by all cases:
// whatever a case makes has the case's prefix in its name.
type bed struct {
	api    *dockerclient.Client
	client *swarm.Client
	prefix string
	image  string            // a server that turns healthy within a second
	engine *swarmtest.Engine // nil on a real engine
}

func memoryBed(options ...swarmtest.Option) *bed {
	engine := swarmtest.New(options...)
	engine.Image("kargo/missing:1", swarmtest.Behaviour{Missing: true})
	// On a real engine there is no registry at all.
	engine.Image("kargo/testserver:1", swarmtest.Behaviour{Unlisted: true})
	engine.Image("kargo/exits:3", swarmtest.Behaviour{Exits: true, ExitCode: 3})
	client, err := swarm.Open(swarm.Options{Transport: engine.Transport()})
	if err != nil {
		panic(err)
	}
	return &bed{api: engine.Client(), client: client, prefix: "case-", image: "kargo/testserver:1", engine: engine}
}

func dockerBed(t *testing.T, host, image, prefix string) *bed {
	t.Helper()
	api, err := dockerclient.NewClientWithOpts(dockerclient.WithHost(host), dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	client, err := swarm.Open(swarm.Options{Hosts: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{api: api, client: client, prefix: prefix, image: image}
	t.Cleanup(func() {
		b.removeAll(t)
		_ = client.Close()
		_ = api.Close()
	})
	return b
}

// removeAll removes whatever has the case's prefix.
func (b *bed) removeAll(t *testing.T) {
	ctx := context.Background() // the test's own has ended
	mine := filters.NewArgs(filters.Arg("name", b.prefix))
	check := func(err error) {
		if err != nil {
			t.Errorf("clean up: %v", err)
		}
	}
	services, err := b.api.ServiceList(ctx, dockerswarm.ServiceListOptions{Filters: mine})
	check(err)
	for _, service := range services {
		check(b.api.ServiceRemove(ctx, service.ID))
	}
	configs, err := b.api.ConfigList(ctx, dockerswarm.ConfigListOptions{Filters: mine})
	check(err)
	for _, config := range configs {
		check(b.api.ConfigRemove(ctx, config.ID))
	}
	secrets, err := b.api.SecretList(ctx, dockerswarm.SecretListOptions{Filters: mine})
	check(err)
	for _, secret := range secrets {
		check(b.api.SecretRemove(ctx, secret.ID))
	}
	networks, err := b.api.NetworkList(ctx, network.ListOptions{})
	check(err)
	for _, found := range networks {
		// Of networks some engines find whole names only.
		if strings.HasPrefix(found.Name, b.prefix) {
			b.until(t, "network "+found.Name+" can be removed", func() bool {
				err := b.api.NetworkRemove(ctx, found.ID)
				return err == nil || errdefs.IsNotFound(err)
			})
		}
	}
}

// name is a name of this case.
func (b *bed) name(rest string) string { return b.prefix + rest }

// until waits for something that Swarm does by itself: in memory by letting
// time pass, on a real engine by waiting for it.
func (b *bed) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if b.engine != nil {
		for range 100 {
			if holds() {
				return
			}
			b.engine.Step()
		}
		t.Fatalf("it never happened that %s", what)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("it did not happen within a minute that %s", what)
}

// spec is a small service that rolls out and gives up quickly.
func (b *bed) spec(name string) dockerswarm.ServiceSpec {
	replicas, soon := uint64(1), 100*time.Millisecond
	return dockerswarm.ServiceSpec{
		Annotations: dockerswarm.Annotations{Name: b.name(name)},
		TaskTemplate: dockerswarm.TaskSpec{
			ContainerSpec: &dockerswarm.ContainerSpec{Image: b.image},
			RestartPolicy: &dockerswarm.RestartPolicy{Delay: &soon},
		},
		Mode:         dockerswarm.ServiceMode{Replicated: &dockerswarm.ReplicatedService{Replicas: &replicas}},
		UpdateConfig: &dockerswarm.UpdateConfig{Parallelism: 1, Monitor: 500 * time.Millisecond},
		EndpointSpec: &dockerswarm.EndpointSpec{Mode: dockerswarm.ResolutionModeDNSRR},
	}
}

// job is a service that ends at once, with that exit code.
func (b *bed) job(name string, exitCode int) dockerswarm.ServiceSpec {
	spec := b.spec(name)
	spec.Mode = dockerswarm.ServiceMode{ReplicatedJob: &dockerswarm.ReplicatedJob{}}
	spec.UpdateConfig = nil
	b.exiting(&spec, exitCode)
	return spec
}

// exiting makes the container of a service end with an exit code: 0 (in memory
// for jobs only) or 3.
func (b *bed) exiting(spec *dockerswarm.ServiceSpec, exitCode int) {
	if b.engine == nil {
		spec.TaskTemplate.ContainerSpec.Args = []string{"exit", fmt.Sprint(exitCode)}
	} else if exitCode != 0 {
		spec.TaskTemplate.ContainerSpec.Image = fmt.Sprintf("kargo/exits:%d", exitCode)
	}
}

// whatRuns is what the containers of a spec run.
func (b *bed) whatRuns(spec dockerswarm.ServiceSpec) string {
	return fmt.Sprint(spec.TaskTemplate.ContainerSpec.Image, spec.TaskTemplate.ContainerSpec.Args)
}

func (b *bed) create(t *testing.T, spec dockerswarm.ServiceSpec) string {
	t.Helper()
	created, err := b.api.ServiceCreate(t.Context(), spec, dockerswarm.ServiceCreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created.ID
}

func (b *bed) inspect(t *testing.T, name string) dockerswarm.Service {
	t.Helper()
	service, _, err := b.api.ServiceInspectWithRaw(t.Context(), b.name(name), dockerswarm.ServiceInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// update changes a service as it is now, again if Swarm itself was faster: it
// changes services too, as when it gives them their addresses.
func (b *bed) update(t *testing.T, name string, edit func(*dockerswarm.ServiceSpec)) {
	t.Helper()
	for {
		service := b.inspect(t, name)
		edit(&service.Spec)
		_, err := b.api.ServiceUpdate(t.Context(), service.ID, service.Version, service.Spec, dockerswarm.ServiceUpdateOptions{})
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "out of sequence") {
			t.Fatal(err)
		}
	}
}

// updateError is the error of an update of a service as it is now.
func (b *bed) updateError(t *testing.T, name string, edit func(*dockerswarm.ServiceSpec)) string {
	t.Helper()
	service := b.inspect(t, name)
	edit(&service.Spec)
	_, err := b.api.ServiceUpdate(t.Context(), service.ID, service.Version, service.Spec, dockerswarm.ServiceUpdateOptions{})
	return message(err)
}

// tasks are the tasks of a service, by name or id, as Swarm lists them.
func (b *bed) tasks(t *testing.T, service string) []dockerswarm.Task {
	t.Helper()
	all, err := b.api.TaskList(t.Context(), dockerswarm.TaskListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id := service
	if found, _, err := b.api.ServiceInspectWithRaw(t.Context(), service, dockerswarm.ServiceInspectOptions{}); err == nil {
		id = found.ID
	}
	return slices.DeleteFunc(all, func(task dockerswarm.Task) bool { return task.ServiceID != id })
}

func (b *bed) running(t *testing.T, name string, count uint64) {
	t.Helper()
	b.until(t, fmt.Sprintf("%d tasks of %s run", count, name), func() bool {
		return b.status(t, name).RunningTasks == count
	})
}

func (b *bed) status(t *testing.T, name string) dockerswarm.ServiceStatus {
	t.Helper()
	services, err := b.api.ServiceList(t.Context(), dockerswarm.ServiceListOptions{
		Status: true, Filters: filters.NewArgs(filters.Arg("name", b.name(name))),
	})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(services, func(service dockerswarm.Service) bool { return service.Spec.Name == b.name(name) })
	if i < 0 {
		t.Fatalf("there is no service %s", name)
	}
	return *services[i].ServiceStatus
}

// updated waits until the update of a service is in one of the states.
func (b *bed) updated(t *testing.T, name string, states ...dockerswarm.UpdateState) dockerswarm.Service {
	t.Helper()
	var service dockerswarm.Service
	b.until(t, fmt.Sprintf("the update of %s is one of %s", name, states), func() bool {
		service = b.inspect(t, name)
		return service.UpdateStatus != nil && slices.Contains(states, service.UpdateStatus.State)
	})
	return service
}

func (b *bed) createNetwork(t *testing.T, name string) string {
	t.Helper()
	made, err := b.api.NetworkCreate(t.Context(), b.name(name), network.CreateOptions{Driver: "overlay", Attachable: true})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// attach runs a person's container on a network.
func (b *bed) attach(t *testing.T, networkName, name string) {
	t.Helper()
	if b.engine != nil {
		b.engine.Attach(b.name(networkName), b.name(name))
		return
	}
	made, err := b.api.ContainerCreate(t.Context(), &container.Config{Image: b.image},
		&container.HostConfig{NetworkMode: container.NetworkMode(b.name(networkName))}, nil, nil, b.name(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.api.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) detach(t *testing.T, networkName, name string) {
	t.Helper()
	if b.engine != nil {
		b.engine.Detach(b.name(networkName), b.name(name))
		return
	}
	if err := b.api.ContainerRemove(t.Context(), b.name(name), container.RemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) createConfig(t *testing.T, name, data string) string {
	t.Helper()
	made, err := b.api.ConfigCreate(t.Context(), dockerswarm.ConfigSpec{
		Annotations: dockerswarm.Annotations{Name: b.name(name)}, Data: []byte(data),
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func (b *bed) createSecret(t *testing.T, name, data string) string {
	t.Helper()
	made, err := b.api.SecretCreate(t.Context(), dockerswarm.SecretSpec{
		Annotations: dockerswarm.Annotations{Name: b.name(name)}, Data: []byte(data),
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func configFile(id, name, path string) *dockerswarm.ConfigReference {
	return &dockerswarm.ConfigReference{
		ConfigID: id, ConfigName: name,
		File: &dockerswarm.ConfigReferenceFileTarget{Name: path, UID: "0", GID: "0", Mode: 0o444},
	}
}

func secretFile(id, name, path string) *dockerswarm.SecretReference {
	return &dockerswarm.SecretReference{
		SecretID: id, SecretName: name,
		File: &dockerswarm.SecretReferenceFileTarget{Name: path, UID: "0", GID: "0", Mode: 0o400},
	}
}

// message is an error's text, or "no error".
func message(err error) string {
	if err == nil {
		return "no error"
	}
	return kargo.Explain(err)
}

// same compares texts that a person can read.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got: %s\nwant: %s", what, got, want)
	}
}
