package controller_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"
	"pgregory.net/rapid"

	"kargo"
	"kargo/compile"
	"kargo/permit"
	"kargo/plan"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// tenant is the author of a workspace under the policy restricted, with a
// controller of its own.
type tenant struct {
	name     string
	compiler compile.Compiler
	client   *swarm.Client
	// lax are renderings that an earlier, open policy permitted.
	lax map[string]kargo.Stack
}

func newTenant(t *rapid.T, name string, client *swarm.Client) *tenant {
	policy, err := permit.New(permit.Restricted)
	if err == nil {
		// Each tenant has names of its own, which the operator gives.
		policy, err = policy.Set("stack-names", fmt.Sprintf("kargo-%[1]s kargo-%[1]s_* kargo-%[1]s-* %[1]s %[1]s-own", name))
	}
	if err == nil {
		// And networks for its stacks.
		policy, err = policy.Set("shared-networks", fmt.Sprintf("front:%[1]s-front back:%[1]s-back socket:%[1]s-socket", name))
	}
	if err != nil {
		t.Fatal(err)
	}
	return &tenant{name: name, client: client, lax: map[string]kargo.Stack{}, compiler: compile.Compiler{
		Defaults: fstest.MapFS{".env.default": {}}, Catalogue: "test", Root: "/data/" + name + "/.kargo", Workspace: "/data/workspace",
		Secrets: func(_ context.Context, files kargo.Files) kargo.Files { return files },
		Hooks: func(_ context.Context, ws kargo.Workspace, _ ...string) (kargo.Workspace, kargo.Problems, error) {
			return ws, nil, nil
		},
		Keys: func(context.Context) (kargo.Keys, error) {
			return kargo.Keys{Objects: []byte(name), Texts: []byte(name), Specs: []byte(name)}, nil
		},
		Policy: policy,
	}}
}

// round reads a workspace and carries out what is planned. It reports how many
// changes were made.
func (n *tenant) round(t *rapid.T, ctx context.Context, files fstest.MapFS) int {
	tree := kargo.Tree{Revision: kargo.Revision{Commit: "c"}, User: kargo.Files{FS: files}}
	desired, err := n.compiler.Compile(ctx, tree)
	if err != nil {
		t.Fatal(err)
	}
	open := n.compiler
	open.Policy = permit.Policy{}
	lax, err := open.Compile(ctx, tree)
	if err != nil {
		t.Fatal(err)
	}
	if lax.Problems.Err() == nil {
		for _, stack := range lax.Stacks {
			n.lax[stack.Name] = stack
		}
	}
	if desired.Problems.Err() != nil {
		return 0 // refused before anything is sent
	}
	live, err := n.client.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if live.Nodes, err = n.client.Nodes(ctx); err != nil {
		t.Fatal(err)
	}
	next := plan.Make(desired.Stacks, live, plan.Options{
		Instance: n.name, Revision: desired.Workspace.Revision, Now: time.Unix(0, 0), Labels: desired.Labels,
		Governor: &plan.Governor{Stacks: 100, Percent: 100}, Refuses: n.compiler.Refuses(n.name, desired, live),
		Keys: desired.Keys, Memory: n.memory(t, desired.Stacks),
	})
	done := 0
	_ = n.client.Apply(ctx, next, nil, func(_ kargo.Change, err error) { // what Swarm refuses harms nobody
		if err == nil {
			done++
		}
	})
	return done
}

// memory draws what happened to stacks before: nothing, or one is held, or went back
// or back by itself to a rendering of a more open time. That the policy was another one
// then is not said: what is sent must be judged all the same.
func (n *tenant) memory(t *rapid.T, stacks []kargo.Stack) plan.Memory {
	memory := plan.Memory{
		Memory: kargo.Memory{Rollouts: map[string]kargo.Rollout{}, Stopped: kargo.Stopped{Stops: map[string]kargo.Stop{}}},
		Good:   map[string]kargo.Stack{}, Kept: map[string]kargo.Stack{}, Session: plan.NewSession(),
	}
	for _, stack := range stacks {
		earlier, exists := n.lax[stack.Name]
		earlier.Permitted, earlier.Key = stack.Permitted, stack.Key
		switch what := rapid.SampledFrom([]string{"nothing", "nothing", "held", "sent back", "failed"}).Draw(t, n.name+" before"); {
		case what == "held":
			memory.Stops[stack.Name] = kargo.Stop{Why: "a test"}
		case what == "sent back" && exists:
			memory.Stops[stack.Name] = kargo.Stop{Digest: earlier.Digest(), Revision: "c0"}
			memory.Kept[stack.Name] = earlier
		case what == "failed" && exists:
			memory.Rollouts[stack.Name] = kargo.Rollout{
				Digest: stack.Digest(), Good: earlier.Digest(), GoodRevision: "c0", Failed: &kargo.Failure{Revision: "c", Reason: "it crashes"},
			}
			memory.Good[stack.Name] = earlier
		}
	}
	return memory
}

// workspace draws a workspace that tries what a hostile author may try.
func (n *tenant) workspace(t *rapid.T, other string) fstest.MapFS {
	// Mostly the harmless word, which is the first: else nothing would ever be sent.
	draw := func(label, harmless string, hostile ...string) string {
		if rapid.IntRange(0, 9).Draw(t, n.name+" tries "+label) > 0 {
			return harmless
		}
		return rapid.SampledFrom(hostile).Draw(t, n.name+" "+label)
	}
	stack := n.name + rapid.SampledFrom([]string{"", "_b", "_b_c"}).Draw(t, n.name+" stack")
	theirs := "kargo-" + other
	service := strings.Join([]string{
		"    image: app:1",
		draw("mount", "    volumes: ['data:/data']", "    volumes: ['theirs:/data']", "    volumes: ['/etc:/etc']", "    volumes: ['tricky:/data']"),
		draw("networks", "    networks: [back]", "    networks: [own]", "    networks: [taken]", "    networks: {back: {aliases: ["+theirs+"_app]}}"),
		draw("objects", "    configs: [mine]", "    configs: [theirs]", "    secrets: [theirs]"),
		draw("host", "", "    hostname: '{{.Node.Hostname}}'", `    hostname: '{{index .Service.Labels "x"}}'`),
		draw("route", route(n.name), route(other), "    deploy: {labels: {traefik.http.routers."+n.name+".rule: PathPrefix(`/`)}}"),
		draw("log", "", "    logging: {driver: syslog, options: {syslog-address: 'unix:///run/docker.sock'}}"),
	}, "\n")
	compose := "version: '3.8'\nservices:\n  " + rapid.SampledFrom([]string{"app", "b_app", "b_c_app"}).Draw(t, n.name+" service") + ":\n" + service + "\n" +
		"volumes:\n  data: {}\n  theirs: {name: " + theirs + "_data}\n  tricky: {driver_opts: {type: tmpfs, device: /, o: '{{print \"bi\" \"nd\"}}'}}\n" +
		"networks:\n  back: {external: true, name: " + draw("back", n.name+"-back", other+"-back", theirs+"_default") + "}\n" +
		"  taken: {name: " + draw("taken", theirs+"_default", theirs+"_own", other+"-back") + "}\n  own: {}\n" +
		"configs:\n  mine: {file: ../configs/c}\n  theirs: {external: true, name: " + theirs + "_c}\n" +
		"secrets:\n  theirs: {external: true, name: " + theirs + "_s}\n"
	env := "STACKS=" + stack + "\n" + kargo.SuffixStack.Of(stack) + "=app\n" +
		"DOCKER_FRONT_NETWORK=" + n.name + "-front\nDOCKER_BACK_NETWORK=" + draw("variable", n.name+"-back", other+"-back", theirs+"_default") +
		"\nDOCKER_SOCKET_NETWORK=" + n.name + "-socket\n" + kargo.SuffixResolve.Of(stack) + "=never\n" +
		draw("option", "", kargo.SuffixAdopt.Of(stack)+"=true\n", kargo.SuffixIgnore.Of(stack)+"=/Spec/TaskTemplate/ContainerSpec/Mounts\n", "NODE_1_LABELS=rack=9\n",
			kargo.SuffixIgnore.Of(stack)+"=/Spec/Labels/kargo.instance\n")
	env += draw("name", "", kargo.SuffixName.Of(stack)+"="+theirs+"\n", kargo.SuffixName.Of(stack)+"="+theirs+"_b\n",
		kargo.SuffixName.Of(stack)+"="+n.name+"\n", "KARGO_STACK_PREFIX="+theirs+"_\n", "KARGO_STACK_PREFIX=\n")
	files := fstest.MapFS{".env": {Data: []byte(env)}, "deploy/app.yml": {Data: []byte(compose)}, "configs/c": {Data: []byte("content")}}
	if directory := draw("directory", "", n.name+"-own", theirs, theirs+"_b", other, "kargo-"+n.name); directory != "" {
		files["stacks/"+directory+"/compose.yml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(compose, "../configs/", "./"))}
		files["stacks/"+directory+"/c"] = &fstest.MapFile{Data: []byte("content")}
		files["stacks/"+directory+"/.env"] = &fstest.MapFile{Data: []byte("DOCKER_BACK_NETWORK=" + draw("own variable", n.name+"-back", other+"-back") + "\n")}
	}
	return files
}

// route is a router of a tenant, with its host.
func route(name string) string {
	return "    deploy: {labels: {traefik.http.routers." + name + ".rule: Host(`" + name + ".example.com`)}}"
}

// belongings are the objects of an instance, as they are.
func belongings(t *rapid.T, ctx context.Context, client *swarm.Client, instance string) (kargo.Cluster, map[string]any) {
	live, err := client.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]any{}
	for _, service := range live.Services {
		if service.Spec.Labels[kargo.LabelInstance] == instance {
			own["service "+service.Name] = service.Spec
		}
	}
	for _, network := range live.Networks {
		if network.Labels[kargo.LabelInstance] == instance {
			own["network "+network.Name] = network.ID
		}
	}
	for _, config := range live.Configs {
		if config.Labels[kargo.LabelInstance] == instance {
			own[config.Key().String()] = config.ID
		}
	}
	return live, own
}

// Two tenants try what they can: neither ever reads, changes, joins or shadows the
// other's objects, or reaches the node.
func TestS41_S42_TwoTenants(t *testing.T) {
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		engine := swarmtest.New()
		client := swarm.New(engine.Client())
		tenants := []*tenant{newTenant(t, "a", client), newTenant(t, "b", client)}
		for range rapid.IntRange(2, 6).Draw(t, "rounds") {
			who := rapid.IntRange(0, 1).Draw(t, "who")
			me, other := tenants[who], tenants[1-who]
			_, before := belongings(t, ctx, client, other.name)
			made += me.round(t, ctx, me.workspace(t, other.name))
			live, after := belongings(t, ctx, client, other.name)
			if !reflect.DeepEqual(before, after) {
				t.Fatalf("%s changed what is %s's:\n%v\n%v", me.name, other.name, before, after)
			}
			routesDiffer(t, live)
			for _, service := range live.Services {
				if service.Spec.Labels[kargo.LabelInstance] == me.name {
					keepsToItself(t, me.name, other.name, service.Spec, live)
				}
			}
		}
	})
	if made == 0 {
		t.Error("nothing was ever made, so nothing was shown")
	}
}

// routesDiffer checks that no two tenants have one router, or one host, in Traefik.
func routesDiffer(t *rapid.T, live kargo.Cluster) {
	owners := map[string]string{}
	for _, service := range live.Services {
		for label, rule := range service.Spec.Labels {
			if !strings.HasPrefix(label, "traefik.") {
				continue
			}
			if !strings.HasPrefix(rule, "Host(") {
				t.Fatalf("%s claims %s", service.Name, rule)
			}
			owner := service.Spec.Labels[kargo.LabelInstance]
			for _, claimed := range []string{label, rule} {
				if other, taken := owners[claimed]; taken && other != owner {
					t.Fatalf("%s and %s claim %s", owner, other, claimed)
				}
				owners[claimed] = owner
			}
		}
	}
}

// keepsToItself checks one service of a tenant against what the other has.
func keepsToItself(t *rapid.T, me, other string, spec dockerswarm.ServiceSpec, live kargo.Cluster) {
	owners := map[string]string{}
	for _, network := range live.Networks {
		owners["network "+network.Name] = network.Labels[kargo.LabelInstance]
	}
	for _, config := range live.Configs {
		owners[config.Key().String()] = config.Labels[kargo.LabelInstance]
	}
	container := spec.TaskTemplate.ContainerSpec
	for _, mount := range container.Mounts {
		if mount.Type == "bind" || strings.HasPrefix(mount.Source, "kargo-"+other+"_") {
			t.Fatalf("%s mounts %s", spec.Name, mount.Source)
		}
		if mount.VolumeOptions != nil && mount.VolumeOptions.DriverConfig != nil && len(mount.VolumeOptions.DriverConfig.Options) > 0 {
			t.Fatalf("%s has the volume options %v", spec.Name, mount.VolumeOptions.DriverConfig.Options)
		}
	}
	for _, config := range container.Configs {
		if owners["config "+config.ConfigName] != me {
			t.Fatalf("%s reads the config %s", spec.Name, config.ConfigName)
		}
	}
	for _, secret := range container.Secrets {
		if owners["secret "+secret.SecretName] != me {
			t.Fatalf("%s reads the secret %s", spec.Name, secret.SecretName)
		}
	}
	for _, attached := range spec.TaskTemplate.Networks {
		if owners["network "+attached.Target] != me {
			t.Fatalf("%s joins the network %s", spec.Name, attached.Target)
		}
		if slices.ContainsFunc(attached.Aliases, func(alias string) bool { return strings.HasPrefix(alias, "kargo-") }) {
			t.Fatalf("%s answers to %v", spec.Name, attached.Aliases)
		}
	}
}
