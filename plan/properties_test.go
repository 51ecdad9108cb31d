package plan_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"
	dockerclient "github.com/docker/docker/client"
	"pgregory.net/rapid"

	"kargo"
	"kargo/plan"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// The properties below hold for any stacks on any Swarm. The Swarm is one in
// memory, and it is looked at and written to through package swarm, as in the
// program.

// world is a Swarm with a controller's memory.
type world struct {
	*rapid.T
	engine *swarmtest.Engine
	api    *dockerclient.Client
	client *swarm.Client
	sent   kargo.Sent
	// compared are the comparisons of earlier plans.
	compared plan.Comparisons
}

func newWorld(t *rapid.T) *world {
	engine := swarmtest.New(swarmtest.AutoSettle)
	api := engine.Client()
	client, err := swarm.Open(swarm.Options{Transport: engine.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	return &world{T: t, engine: engine, api: api, client: client, sent: kargo.Sent{}}
}

func (w *world) observe() kargo.Cluster {
	w.Helper()
	cluster, err := w.client.Observe(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	fresh, err := swarm.New(w.api).Observe(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if known, now := w.text(cluster.Services), w.text(fresh.Services); known != now {
		w.Errorf("a client that knows services sees\n%s\nand another one\n%s", known, now)
	}
	return cluster
}

// text returns services that were seen as text, without the times of updates: each client has a clock
// of its own.
func (w *world) text(services []kargo.LiveService) string {
	w.Helper()
	services = slices.Clone(services)
	for i, service := range services {
		if service.Update != nil {
			update := *service.Update
			update.StartedAt = nil
			services[i].Update = &update
		}
	}
	text, err := json.Marshal(services)
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

// make is the plan for what is seen now.
func (w *world) make(desired []kargo.Stack, approved string) kargo.Plan {
	w.Helper()
	return w.makeFor(desired, w.observe(), approved)
}

func (w *world) makeFor(desired []kargo.Stack, cluster kargo.Cluster, approved string) kargo.Plan {
	opts := options()
	opts.Memory.Approved = approved
	return w.makeWith(desired, cluster, opts)
}

// makeWith makes a plan with what was sent, with earlier comparisons and without.
func (w *world) makeWith(desired []kargo.Stack, cluster kargo.Cluster, opts plan.Options) kargo.Plan {
	w.Helper()
	opts.Memory.Sent = w.sent
	p := plan.Make(desired, cluster, opts)
	opts.Comparisons = &w.compared
	if known := plan.Make(desired, cluster, opts); !reflect.DeepEqual(known, p) {
		w.Fatalf("with earlier comparisons the plan is\n%s%v\nand without\n%s%v", known, known.Unchanged, p, p.Unchanged)
	}
	return p
}

// carryOut applies a plan and remembers what was sent, as the loop does.
func (w *world) carryOut(p kargo.Plan) {
	w.Helper()
	err := w.client.Apply(w.Context(), p, nil, func(change kargo.Change, err error) {
		switch {
		case err != nil || change.Kind != kargo.KindService:
		case change.Action == kargo.Remove:
			delete(w.sent, change.Name)
		default:
			w.sent[change.Name] = kargo.SentSpec{Digest: change.Digest, Reason: change.Reason}
		}
	})
	if err != nil {
		w.Fatalf("carry out\n%s%v", p, err)
	}
}

// converge plans and applies until there is nothing to do, and lets a person
// approve whatever waits for one. The Swarm settles at once, so a few rounds
// are enough: one for services, one for what they leave behind.
func (w *world) converge(desired []kargo.Stack) {
	w.Helper()
	for range 8 { // five services that exchange their ports in a circle take five rounds, and one more finds nothing
		p := w.make(desired, "")
		if slices.ContainsFunc(p.Held, func(h kargo.Hold) bool { return h.Until == kargo.UntilApproved }) {
			p = w.make(desired, p.ID())
		}
		if p.Empty() && len(p.Held) == 0 {
			for name, sent := range w.sent {
				sent.Seen = true
				w.sent[name] = sent
			}
			return
		}
		w.carryOut(p)
	}
	w.Fatalf("does not converge; the plan is still\n%s", w.make(desired, ""))
}

// someStacks are up to five stacks of up to three services, in any order. Few
// names and values, so that one draw often meets another's.
func someStacks(t *rapid.T, label string) []kargo.Stack {
	names := rapid.Permutation([]string{"a", "b", "c", "d", "e"}).Draw(t, label)
	var stacks []kargo.Stack
	for _, name := range names[:rapid.IntRange(1, 5).Draw(t, label+": stacks")] {
		s := kargo.Stack{Name: name}
		for _, service := range []string{"x", "y", "z"}[:rapid.IntRange(1, 3).Draw(t, label+": services of "+name)] {
			addService(t, &s, service, label+": "+name+"_"+service)
		}
		stacks = append(stacks, s)
	}
	return stacks
}

func addService(t *rapid.T, stack *kargo.Stack, name, label string) {
	draw := func(what string, most int) int { return rapid.IntRange(0, most).Draw(t, label+" "+what) }
	full := stack.Namespace() + "_" + name
	changes := []func(*dockerswarm.ServiceSpec){
		env(fmt.Sprintf("A=%d", draw("A", 2)), fmt.Sprintf("B_PASSWORD=secret-%d", draw("B", 2))),
		func(s *dockerswarm.ServiceSpec) {
			replicas := uint64(draw("replicas", 2))
			s.Mode.Replicated.Replicas = &replicas
			s.EndpointSpec = &dockerswarm.EndpointSpec{Mode: dockerswarm.ResolutionModeDNSRR}
		},
	}
	if draw("network", 1) == 1 {
		net := stack.Namespace() + "_net"
		changes = append(changes, on(net))
		if !slices.ContainsFunc(stack.Networks, func(n kargo.Network) bool { return n.Name == net }) {
			stack.Networks = append(stack.Networks, kargo.Network{Name: net, Driver: "overlay"})
		}
	}
	if content := draw("content", 3); content > 0 {
		config := contentNamed(stack.Namespace()+"_conf", fmt.Sprint("content ", content))
		changes = append(changes, uses(config.Name))
		if !slices.ContainsFunc(stack.Configs, func(c kargo.Config) bool { return c.Name == config.Name }) {
			stack.Configs = append(stack.Configs, config)
		}
	}
	stack.Services = append(stack.Services, service(full, fmt.Sprintf("app:%d", draw("image", 1)+1), changes...))
}

// contentNamed is a config whose name ends in a digest of its content.
func contentNamed(base, content string) kargo.Config {
	sum := sha256.Sum256([]byte(content))
	return kargo.Config{Name: base + "-" + hex.EncodeToString(sum[:])[:12], Data: []byte(content)}
}

func TestApplyThenPlanIsEmptyAndWhatRunsIsWhatWasWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for i := range rapid.IntRange(1, 3).Draw(t, "revisions") {
			desired := someStacks(t, fmt.Sprint("revision ", i))
			w.converge(desired)
			if got := w.make(desired, "").String(); got != "nothing to do\n" {
				t.Fatalf("after apply the plan is\n%s", got)
			}
			w.checkRuns(desired)
		}
	})
}

// checkRuns compares what Docker returns with what was wanted, without the planner's
// own comparison.
func (w *world) checkRuns(desired []kargo.Stack) {
	w.Helper()
	services, err := w.api.ServiceList(w.Context(), dockerswarm.ServiceListOptions{Status: true})
	if err != nil {
		w.Fatal(err)
	}
	running, wanted := map[string]string{}, map[string]string{}
	for _, service := range services {
		running[service.Spec.Name] = w.describe(service)
	}
	for _, stack := range desired {
		for _, service := range stack.Services {
			wanted[service.Name] = describeWanted(stack, service)
		}
	}
	if !maps.Equal(running, wanted) {
		w.Fatalf("what runs is\n%v\nwant\n%v", running, wanted)
	}
}

// describe is what a live service does: image, environment, tasks, networks by
// name, and the content of its files.
func (w *world) describe(service dockerswarm.Service) string {
	w.Helper()
	container := service.Spec.TaskTemplate.ContainerSpec
	var networks, files []string
	for _, attachment := range service.Spec.TaskTemplate.Networks {
		found, err := w.api.NetworkInspect(w.Context(), attachment.Target, network.InspectOptions{})
		if err != nil {
			w.Fatal(err)
		}
		networks = append(networks, found.Name)
	}
	for _, reference := range container.Configs {
		found, _, err := w.api.ConfigInspectWithRaw(w.Context(), reference.ConfigID)
		if err != nil {
			w.Fatal(err)
		}
		files = append(files, string(found.Spec.Data))
	}
	image, _, _ := strings.Cut(container.Image, "@")
	return fmt.Sprint(image, container.Env, service.ServiceStatus.RunningTasks, networks, files)
}

func describeWanted(stack kargo.Stack, service kargo.Service) string {
	container := service.Spec.TaskTemplate.ContainerSpec
	var networks, files []string
	for _, attachment := range service.Spec.TaskTemplate.Networks {
		networks = append(networks, attachment.Target)
	}
	for _, reference := range container.Configs {
		for _, config := range stack.Configs {
			if config.Name == reference.ConfigName {
				files = append(files, string(config.Data))
			}
		}
	}
	return fmt.Sprint(container.Image, container.Env, *service.Spec.Mode.Replicated.Replicas, networks, files)
}

func TestOrderOfListsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.converge(someStacks(t, "before"))
		desired := someStacks(t, "after")
		cluster := w.observe()
		want := w.makeFor(desired, cluster, "")

		seed := rapid.Uint64().Draw(t, "order")
		random := rand.New(rand.NewPCG(seed, seed))
		shuffle(random, cluster.Services)
		shuffle(random, cluster.Networks)
		shuffle(random, cluster.Configs)
		shuffle(random, cluster.Tasks)
		if got := w.makeFor(desired, cluster, ""); got.String() != want.String() || got.ID() != want.ID() {
			t.Fatalf("in another order the plan is\n%swant\n%s", got, want)
		}
	})
}

func shuffle[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// Others have services, networks and configs in the same Swarm, some under names that
// Kargo would use, some of another instance. Such an object may hold a stack, and is
// never written.
func TestNothingUnownedIsTouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.addStrangers()
		before := w.strangers()
		for i := range rapid.IntRange(1, 3).Draw(t, "revisions") {
			desired := someStacks(t, fmt.Sprint("revision ", i))
			for range 3 {
				p := w.make(desired, "")
				if slices.ContainsFunc(p.Held, func(h kargo.Hold) bool { return h.Until == kargo.UntilApproved }) {
					p = w.make(desired, p.ID())
				}
				w.carryOut(p)
			}
			if got := w.strangers(); !maps.Equal(got, before) {
				t.Fatalf("what is not ours was %v and is %v", before, got)
			}
		}
	})
}

func (w *world) addStrangers() {
	w.Helper()
	owners := []map[string]string{{}, {kargo.LabelInstance: "another", kargo.LabelStack: "a"}}
	draw := func(what string, names ...string) (name string, labels map[string]string, wanted bool) {
		return rapid.SampledFrom(names).Draw(w.T, what), rapid.SampledFrom(owners).Draw(w.T, "owner of "+what), rapid.Bool().Draw(w.T, what+" exists")
	}
	check := func(err error) {
		if err != nil {
			w.Fatal(err)
		}
	}
	if name, labels, wanted := draw("service", "kargo-a_x", "kargo-b_y", "kargo-q_x", "portainer"); wanted {
		s := spec(name, "app:9")
		s.Labels = labels
		_, err := w.api.ServiceCreate(w.Context(), s, dockerswarm.ServiceCreateOptions{})
		check(err)
	}
	if name, labels, wanted := draw("network", "kargo-a_net", "kargo-c_net", "portainer"); wanted {
		_, err := w.api.NetworkCreate(w.Context(), name, network.CreateOptions{Driver: "overlay", Labels: labels})
		check(err)
	}
	if name, labels, wanted := draw("config", contentNamed("kargo-a_conf", "content 1").Name, "portainer"); wanted {
		_, err := w.api.ConfigCreate(w.Context(), dockerswarm.ConfigSpec{Annotations: dockerswarm.Annotations{Name: name, Labels: labels}, Data: []byte("theirs")})
		check(err)
	}
}

// strangers are the versions of everything that is not this instance's.
func (w *world) strangers() map[string]string {
	w.Helper()
	versions := map[string]string{}
	cluster := w.observe()
	for _, service := range cluster.Services {
		if service.Spec.Labels[kargo.LabelInstance] != "test" {
			versions["service "+service.Name] = fmt.Sprint(service.ID, service.Version)
		}
	}
	for _, network := range cluster.Networks {
		if network.Labels[kargo.LabelInstance] != "test" {
			versions["network "+network.Name] = network.ID
		}
	}
	for _, config := range cluster.Configs {
		if config.Labels[kargo.LabelInstance] != "test" {
			versions["config "+config.Name] = fmt.Sprint(config.ID, config.Version)
		}
	}
	return versions
}

// A plan that nobody approved removes two stacks at most, or a fifth of them,
// and never the last one.
func TestNeverMoreRemovalsThanTheGovernorAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		before := someStacks(t, "before")
		w.converge(before)
		after := someStacks(t, "after")
		staying := map[string]bool{}
		for _, stack := range after {
			staying[stack.Name] = true
		}
		removed := map[string]bool{}
		for _, change := range w.make(after, "").Changes {
			if change.Action == kargo.Remove && !staying[change.Stack] {
				removed[change.Stack] = true
			}
		}
		if len(removed) > 2 && len(removed)*5 > len(before) || len(removed) == len(before) {
			t.Fatalf("%d of %d stacks are removed unasked", len(removed), len(before))
		}
	})
}

// Swarm keeps the spec before an update as the rollback target, so an update that
// changes nothing loses the target.
func TestPreviousSpecIsNeverTheSpec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for i := range rapid.IntRange(1, 4).Draw(t, "revisions") {
			desired := someStacks(t, fmt.Sprint("revision ", i))
			w.converge(desired)
			writes := len(w.engine.Writes())
			w.converge(desired)
			if again := w.engine.Writes()[writes:]; len(again) > 0 {
				t.Fatalf("once more writes %q", again)
			}
			for _, service := range w.observe().Services {
				if service.Previous != nil && len(plan.Diff(*service.Previous, service.Spec, kargo.Mask{})) == 0 {
					t.Fatalf("%s would be rolled back to itself", service.Name)
				}
			}
		}
	})
}

// Whatever people do to services by hand, and whichever options and keys the stacks have
// then, a plan is the same with what earlier ones compared: makeWith compares them.
func TestComparisonsDoNotMatter(t *testing.T) {
	same := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		opts := options()
		desired := someStacks(t, "at first")
		w.converge(desired)
		ignored := [][]string{nil, {"/Spec/Mode/Replicated/Replicas"}, {"/Spec/TaskTemplate/ContainerSpec/Env", "/Spec/Labels"}, {"/Spec/TaskTemplate/ContainerSpec"}, {"/Spec/TaskTemplate/ContainerSpec/Configs"}}
		for i := range rapid.IntRange(2, 8).Draw(t, "steps") {
			at := func(what string) string { return fmt.Sprint("step ", i, ": ", what) }
			stack := &desired[rapid.IntRange(0, len(desired)-1).Draw(t, at("stack"))]
			service := stack.Services[rapid.IntRange(0, len(stack.Services)-1).Draw(t, at("service"))].Name
			switch rapid.SampledFrom([]string{"options", "options", "commit", "key", "credential", "instance", "edit", "edit", "edit", "remove", "carry out", "carry out"}).Draw(t, at("what")) {
			case "options":
				stack.Options.Protect = rapid.Bool().Draw(t, at("protected"))
				stack.Options.Ignore = rapid.SampledFrom(ignored).Draw(t, at("ignored"))
				stack.Options.Drift = rapid.SampledFrom([]kargo.DriftMode{kargo.DriftEnforce, kargo.DriftWarn, kargo.DriftOff}).Draw(t, at("drift"))
			case "commit":
				desired = someStacks(t, at("commit"))
			case "key":
				for j := range desired {
					desired[j].Key = []byte(rapid.SampledFrom([]string{"one", "two"}).Draw(t, at("key")))
				}
			case "credential":
				digest := rapid.SampledFrom([]string{"one", "two"}).Draw(t, at("credential"))
				opts.Credentials = map[string]kargo.Credential{service: {Digest: digest, Registry: "example.org"}}
				if sent, known := w.sent[service]; known {
					sent.Credential = "one"
					w.sent[service] = sent
				}
			case "instance":
				opts.Instance = rapid.SampledFrom([]string{"test", "test", "another"}).Draw(t, at("instance"))
			case "edit":
				w.edit(service, at("by hand"))
			case "remove":
				if err := w.api.ServiceRemove(w.Context(), service); err != nil && !strings.Contains(err.Error(), "not found") {
					t.Fatal(err)
				}
				if rapid.Bool().Draw(t, at("made again")) {
					if _, err := w.api.ServiceCreate(w.Context(), spec(service, "app:1"), dockerswarm.ServiceCreateOptions{}); err != nil && !strings.Contains(err.Error(), "conflict") {
						t.Fatal(err)
					}
				}
			case "carry out":
				if opts.Instance == "test" {
					_ = w.client.Apply(w.Context(), w.makeWith(desired, w.observe(), opts), nil, func(change kargo.Change, err error) {
						if err == nil && change.Kind == kargo.KindService {
							w.sent[change.Name] = kargo.SentSpec{Digest: change.Digest, Reason: change.Reason, Seen: rapid.Bool().Draw(t, at("seen"))}
						}
					})
				}
			}
			same += len(w.makeWith(desired, w.observe(), opts).Unchanged)
		}
	})
	if same == 0 {
		t.Error("nothing was ever as it should be: this tests nothing")
	}
}

// edit changes a service by hand, if it exists.
func (w *world) edit(name, label string) {
	w.Helper()
	live, _, err := w.api.ServiceInspectWithRaw(w.Context(), name, dockerswarm.ServiceInspectOptions{})
	if err != nil {
		return
	}
	container := live.Spec.TaskTemplate.ContainerSpec
	switch rapid.SampledFrom([]string{"scale", "label", "env", "image", "force", "config", "owner"}).Draw(w.T, label) {
	case "scale":
		replicas := uint64(rapid.IntRange(0, 2).Draw(w.T, label+": replicas"))
		live.Spec.Mode = dockerswarm.ServiceMode{Replicated: &dockerswarm.ReplicatedService{Replicas: &replicas}}
	case "label":
		live.Spec.Labels = maps.Clone(live.Spec.Labels)
		live.Spec.Labels[rapid.SampledFrom([]string{"by.hand", kargo.LabelProtect, kargo.LabelKept, kargo.LabelRevision}).Draw(w.T, label+": label")] = "true"
	case "env":
		container.Env = append(slices.Clone(container.Env), "BY=hand")
	case "image":
		container.Image += "@sha256:" + strings.Repeat("a", 64)
	case "force":
		live.Spec.TaskTemplate.ForceUpdate++
	case "config":
		container.Configs = nil
	case "owner":
		live.Spec.Labels = map[string]string{}
	}
	if _, err := w.api.ServiceUpdate(w.Context(), live.ID, live.Version, live.Spec, dockerswarm.ServiceUpdateOptions{}); err != nil {
		w.Logf("%s: %v", label, err)
	}
}
