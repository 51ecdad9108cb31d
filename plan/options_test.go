package plan_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

func withOptions(s kargo.Stack, options kargo.StackOptions) kargo.Stack {
	s.Options = options
	return s
}

func dependingOn(s kargo.Service, condition kargo.NeedCondition, names ...string) kargo.Service {
	for _, name := range names {
		s.Needs = append(s.Needs, kargo.Need{Service: name, Condition: condition})
	}
	return s
}

func scaled(s kargo.LiveService, replicas uint64) kargo.LiveService {
	s.Spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &replicas}
	s.Running, s.Desired = replicas, replicas
	return s
}

// arrived is what Sent remembers of services of stack web that were sent and
// seen.
func arrived(name, image string) kargo.Sent {
	return kargo.Sent{name: {Digest: digestOf(name, image), Reason: "new", Seen: true}}
}

// answered is what registries said, for the revision of options.
func answered(images map[string]kargo.Image) kargo.Resolved {
	return kargo.Resolved{Revision: options().Revision.ID(), Images: images}
}

func TestStackOptions(t *testing.T) {
	app := func() kargo.Stack { return stack("web", service("kargo-web_a", "app:1")) }
	tests := []struct {
		name    string
		desired []kargo.Stack
		live    kargo.Cluster
		options func(*plan.Options)
		want    string
	}{
		{
			name:    "drift is corrected",
			desired: []kargo.Stack{app()},
			live:    cluster(scaled(live("web", "kargo-web_a", "app:1"), 5)),
			options: func(o *plan.Options) { o.Memory.Sent = arrived("kargo-web_a", "app:1") },
			want:    "update service kargo-web_a: Mode.Replicated.Replicas: 5 -> 1\n",
		},
		{
			name:    "the plan has the time of the drift, where Swarm has it",
			desired: []kargo.Stack{app()},
			live:    cluster(updatedAt(scaled(live("web", "kargo-web_a", "app:1"), 5), "2026-03-01T10:04:05Z")),
			options: func(o *plan.Options) { o.Memory.Sent = arrived("kargo-web_a", "app:1") },
			want:    "update service kargo-web_a: drift since 2026-03-01T10:04:05Z: Mode.Replicated.Replicas: 5 -> 1\n",
		},
		{
			name:    "the fields to ignore are named so that they can be pasted",
			desired: []kargo.Stack{withOptions(app(), kargo.StackOptions{Drift: kargo.DriftWarn})},
			live: cluster(changed(live("web", "kargo-web_a", "app:1"), func(s *swarm.ServiceSpec) {
				s.Labels["team.of/web"] = "blue"
				s.TaskTemplate.ContainerSpec.Env = append(s.TaskTemplate.ContainerSpec.Env, "B=2")
				s.Mode = swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: new(uint64)}}
			})),
			options: func(o *plan.Options) { o.Memory.Sent = arrived("kargo-web_a", "app:1") },
			want: "hold service kargo-web_a: drift, left as it is (WEB_DRIFT=warn): " +
				`Labels.team.of/web: "blue" -> (none); Mode.Replicated.Replicas: 0 -> 1; ` +
				`TaskTemplate.ContainerSpec.Env[B]: "2" -> (none); ` +
				"to let others manage it, set WEB_IGNORE=\"/Spec/Labels/team.of~1web /Spec/Mode/Replicated/Replicas /Spec/TaskTemplate/ContainerSpec/Env\"\n",
		},
		{
			name:    "or only reported",
			desired: []kargo.Stack{withOptions(app(), kargo.StackOptions{Drift: kargo.DriftWarn})},
			live:    cluster(scaled(live("web", "kargo-web_a", "app:1"), 5)),
			options: func(o *plan.Options) { o.Memory.Sent = arrived("kargo-web_a", "app:1") },
			want: "hold service kargo-web_a: drift, left as it is (WEB_DRIFT=warn): Mode.Replicated.Replicas: 5 -> 1; " +
				"to let others manage it, set WEB_IGNORE=\"/Spec/Mode/Replicated/Replicas\"\n",
		},
		{
			name:    "or left without a word",
			desired: []kargo.Stack{withOptions(app(), kargo.StackOptions{Drift: kargo.DriftOff})},
			live:    cluster(scaled(live("web", "kargo-web_a", "app:1"), 5)),
			options: func(o *plan.Options) { o.Memory.Sent = arrived("kargo-web_a", "app:1") },
			want:    "nothing to do\n",
		},
		{
			name:    "a service that somebody removed comes back",
			desired: []kargo.Stack{app()},
			options: func(o *plan.Options) { o.Memory.Sent = arrived("kargo-web_a", "app:1") },
			want:    "create service kargo-web_a: somebody else removed it\n",
		},
		{
			name:    "unless drift is only reported",
			desired: []kargo.Stack{withOptions(app(), kargo.StackOptions{Drift: kargo.DriftWarn})},
			options: func(o *plan.Options) { o.Memory.Sent = arrived("kargo-web_a", "app:1") },
			want:    "hold service kargo-web_a: somebody else removed it; nothing is done (WEB_DRIFT=warn)\n",
		},
		{
			name:    "but a change of the workspace is no drift",
			desired: []kargo.Stack{withOptions(stack("web", service("kargo-web_a", "app:2")), kargo.StackOptions{Drift: kargo.DriftOff})},
			live:    cluster(live("web", "kargo-web_a", "app:1")),
			options: func(o *plan.Options) { o.Memory.Sent = arrived("kargo-web_a", "app:1") },
			want:    "update service kargo-web_a: TaskTemplate.ContainerSpec.Image: \"app:1\" -> \"app:2\"\n",
		},
		{
			name:    "drift that comes back is not corrected each time",
			desired: []kargo.Stack{app()},
			live:    cluster(scaled(live("web", "kargo-web_a", "app:1"), 5)),
			options: func(o *plan.Options) {
				o.Memory.Sent = arrived("kargo-web_a", "app:1")
				o.Now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
				o.Memory.Drifts = map[string]plan.DriftBackoff{"kargo-web_a": {Corrections: 4, Until: o.Now.Add(time.Minute)}}
			},
			want: "hold service kargo-web_a: something undoes each correction (4 so far); the next one is made at 12:01:00; to let others manage it, set WEB_IGNORE=\"/Spec/Mode/Replicated/Replicas\"\n",
		},
		{
			name:    "an image that its registry does not have leaves the whole stack as it is",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:2"), service("kargo-web_b", "nosuch:1")), stack("b", service("kargo-b_b", "b:1"))},
			live:    cluster(live("web", "kargo-web_a", "app:1"), live("web", "kargo-web_b", "app:1")),
			options: func(o *plan.Options) {
				o.Memory.Resolved = answered(map[string]kargo.Image{"nosuch:1": {Missing: "manifest unknown"}})
			},
			want: "create service kargo-b_b: new\n" +
				"hold service kargo-web_b: there is no image nosuch:1 (manifest unknown), so the stack stays as it is; " +
				"the registry is asked again later; to send the image without asking, set WEB_RESOLVE=never\n",
		},
		{
			name:    "unless the workspace sends images without asking",
			desired: []kargo.Stack{withOptions(stack("web", service("kargo-web_b", "nosuch:1")), kargo.StackOptions{Resolve: kargo.ResolveNever})},
			live:    cluster(),
			options: func(o *plan.Options) {
				o.Memory.Resolved = answered(map[string]kargo.Image{"nosuch:1": {Missing: "manifest unknown"}})
			},
			want: "create service kargo-web_b: new\n",
		},
		{
			name:    "a field that someone else manages is no difference",
			desired: []kargo.Stack{withOptions(app(), kargo.StackOptions{Ignore: []string{"/Spec/Mode/Replicated/Replicas"}})},
			live:    cluster(scaled(live("web", "kargo-web_a", "app:1"), 5)),
			want:    "nothing to do\n",
		},
		{
			name:    "a service is recreated where the workspace allows it",
			desired: []kargo.Stack{withOptions(stack("web", service("kargo-web_a", "app:1", func(s *swarm.ServiceSpec) { s.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}} })), kargo.StackOptions{Recreate: true})},
			live:    cluster(live("web", "kargo-web_a", "app:1")),
			want:    "remove service kargo-web_a: recreated because its mode changes: replicated -> global\n",
		},
		{
			name:    "a volume keeps the options that it was made with",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:2", mounting("data", "nfs", "device=:/b")))},
			live:    cluster(changed(live("web", "kargo-web_a", "app:1"), mounting("data", "nfs", "device=:/a"))),
			want: "hold service kargo-web_a: volume data would have other options, and one that exists keeps its own on every node; " +
				"give it another name, or remove it by hand and set WEB_RECREATE=true\n",
		},
		{
			name:    "a default of Docker is no option",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1", mounting("data", "local")))},
			live:    cluster(changed(live("web", "kargo-web_a", "app:1"), mounting("data", ""))),
			want:    "update service kargo-web_a: TaskTemplate.ContainerSpec.Mounts[/data].VolumeOptions.DriverConfig.Name: (none) -> \"local\"\n",
		},
		{
			name:    "a person may have removed the volume",
			desired: []kargo.Stack{withOptions(stack("web", service("kargo-web_a", "app:1", mounting("data", "nfs", "device=:/b"))), kargo.StackOptions{Recreate: true})},
			live:    cluster(changed(live("web", "kargo-web_a", "app:1"), mounting("data", "nfs", "device=:/a"))),
			want:    "update service kargo-web_a: TaskTemplate.ContainerSpec.Mounts[/data].VolumeOptions.DriverConfig.Options.device: \":/a\" -> \":/b\"\n",
		},
		{
			name:    "a protected stack is not removed without approval",
			desired: []kargo.Stack{stack("dbs", service("kargo-dbs_r", "redis:7"))},
			live:    cluster(live("dbs", "kargo-dbs_r", "redis:7"), protected(live("web", "kargo-web_a", "app:1"))),
			want:    "hold stack web: its removal waits for approval: the stack is protected\n",
		},
		{
			name:    "the governor's limits are settings",
			desired: []kargo.Stack{app()},
			live:    cluster(live("web", "kargo-web_a", "app:1"), live("b", "kargo-b_b", "b:1")),
			options: func(o *plan.Options) { o.Governor = &plan.Governor{Stacks: 0, Percent: 10} },
			want:    "hold stack b: its removal waits for approval: 1 of 2 stacks would be removed\n",
		},
		{
			name:    "the last good rendering runs while the desired one is in quarantine",
			desired: []kargo.Stack{withOptions(app(), kargo.StackOptions{OnFailure: kargo.FailureRollback}), needing(stack("b", service("kargo-b_b", "b:1")), "web")},
			live:    cluster(live("web", "kargo-web_a", "app:1")),
			options: func(o *plan.Options) {
				good := app()
				o.Memory.Good = map[string]kargo.Stack{"web": good}
				o.Memory.Rollouts = map[string]kargo.Rollout{"web": {
					Digest: "another", Good: good.Digest(), GoodRevision: "c4", Failed: &kargo.Failure{Revision: "c5", Reason: "it crashes"},
				}}
			},
			want: "hold stack web: the rendering of c5 failed: it crashes; the one of c4 runs instead until the workspace changes, or `kargo retry web`\n" +
				"hold stack b: waits for stack web, whose rendering failed\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opts := options()
			if test.options != nil {
				test.options(&opts)
			}
			check(t, plan.Make(test.desired, test.live, opts), test.want)
		})
	}
}

// mounting mounts a volume at /data, with a driver and options "name=value".
func mounting(volume, driver string, options ...string) func(*swarm.ServiceSpec) {
	config := &mount.Driver{Name: driver, Options: map[string]string{}}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		config.Options[name] = value
	}
	return func(s *swarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{
			Type: mount.TypeVolume, Source: volume, Target: "/data", VolumeOptions: &mount.VolumeOptions{DriverConfig: config},
		}}
	}
}

func updatedAt(s kargo.LiveService, when string) kargo.LiveService {
	var err error
	if s.Updated, err = time.Parse(time.RFC3339, when); err != nil {
		panic(err)
	}
	return s
}

func changed(s kargo.LiveService, change func(*swarm.ServiceSpec)) kargo.LiveService {
	change(&s.Spec)
	return s
}

func protected(s kargo.LiveService) kargo.LiveService {
	s.Spec.Labels[kargo.LabelProtect] = "true"
	return s
}

func TestAnIgnoredFieldKeepsItsLiveValueInAnUpdateForAnotherReason(t *testing.T) {
	s := withOptions(stack("web", service("kargo-web_a", "app:1", env("A=2"))), kargo.StackOptions{Ignore: []string{"/Spec/Mode/Replicated/Replicas", "/Spec/No/Such/Field"}})
	p := plan.Make([]kargo.Stack{s}, cluster(scaled(live("web", "kargo-web_a", "app:1"), 5)), options())
	if got := *p.Changes[0].Service.Mode.Replicated.Replicas; got != 5 {
		t.Errorf("sent %d replicas, want the 5 that run", got)
	}
}

func TestAProtectedStackIsMarkedWhenItIsDeployed(t *testing.T) {
	s := withOptions(stack("web", service("kargo-web_a", "app:1")), kargo.StackOptions{Protect: true})
	p := plan.Make([]kargo.Stack{s}, cluster(), options())
	if p.Changes[0].Service.Labels[kargo.LabelProtect] != "true" {
		t.Error("the variable is gone when the stack is: the service must say it")
	}
}

func TestServicesWaitForWhatTheyDependOn(t *testing.T) {
	db := service("kargo-web_db", "db:1")
	migrate := dependingOn(service("kargo-web_migrate", "app:1", func(s *swarm.ServiceSpec) {
		one := uint64(1)
		s.Mode = swarm.ServiceMode{ReplicatedJob: &swarm.ReplicatedJob{TotalCompletions: &one, MaxConcurrent: &one}}
	}), kargo.NeedHealthy, db.Name)
	app := dependingOn(service("kargo-web_app", "app:1"), kargo.NeedCompleted, migrate.Name)
	log := dependingOn(service("kargo-web_aaa", "log:1"), kargo.NeedStarted, db.Name)
	s := []kargo.Stack{stack("web", log, app, db, migrate)}

	dbRuns := live("web", db.Name, "db:1")
	job := kargo.LiveService{Name: migrate.Name, Version: 3, Spec: live("web", migrate.Name, "app:1").Spec, Desired: 1, Running: 1}
	job.Spec.Mode = migrate.Spec.Mode
	done := job
	done.Running, done.Completed = 0, 1
	logRuns := live("web", log.Name, "log:1")

	steps := []struct {
		name string
		live kargo.Cluster
		want string
	}{
		{"nothing runs", cluster(), "create service kargo-web_db: new\n" +
			"create service kargo-web_aaa: new\n" +
			"hold service kargo-web_migrate: waits for kargo-web_db\n" +
			"hold service kargo-web_app: waits for kargo-web_migrate\n"},
		{"the database starts", cluster(starting(dbRuns), logRuns), "hold service kargo-web_migrate: waits for kargo-web_db, which is progressing (0 of 1 tasks run)\n" +
			"hold service kargo-web_app: waits for kargo-web_migrate\n"},
		{"it is healthy", cluster(dbRuns, logRuns), "create service kargo-web_migrate: new\n" +
			"hold service kargo-web_app: waits for kargo-web_migrate\n"},
		{"the job runs", cluster(dbRuns, logRuns, job), "hold service kargo-web_app: waits for kargo-web_migrate, which is progressing (0 of 1 completed)\n"},
		{"the job is done", cluster(dbRuns, logRuns, done), "create service kargo-web_app: new\n"},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) { check(t, plan.Make(s, step.live, options()), step.want) })
	}
}

func TestANetworkIsMadeAnewWhereTheWorkspaceAllowsIt(t *testing.T) {
	wanted := stack("web", service("kargo-web_a", "app:1", on("kargo-web_inner")), service("kargo-web_b", "app:1"))
	wanted.Options.Recreate = true
	wanted.Networks = []kargo.Network{{Name: "kargo-web_inner", Driver: "overlay", Internal: true}}
	network := kargo.LiveNetwork{ID: "n1", Name: "kargo-web_inner", Labels: map[string]string{kargo.LabelInstance: "test", kargo.LabelStack: "web", kargo.LabelDigest: "other"}}

	there := cluster(live("web", "kargo-web_a", "app:1", on("kargo-web_inner")), live("web", "kargo-web_b", "app:1"))
	there.Networks = []kargo.LiveNetwork{network}
	check(t, plan.Make([]kargo.Stack{wanted}, there, options()),
		"remove service kargo-web_a: recreated because its network kargo-web_inner is recreated\n"+
			"hold network kargo-web_inner: is recreated because its options differ\n")

	there.Services = there.Services[1:]
	check(t, plan.Make([]kargo.Stack{wanted}, there, options()),
		"remove network kargo-web_inner: no longer used\n"+
			"hold network kargo-web_inner: is recreated because its options differ\n")

	there.Networks = nil
	check(t, plan.Make([]kargo.Stack{wanted}, there, options()),
		"create network kargo-web_inner: new\n"+
			"create service kargo-web_a: new\n")
}

func TestStacksLeaveInReverseOrder(t *testing.T) {
	there := cluster(live("a", "kargo-a_x", "x:1"), live("b", "kargo-b_x", "x:1"), live("b", "kargo-b_y", "x:1"), live("stays", "kargo-stays_x", "x:1"))
	opts := options()
	opts.Memory.Applied.Stacks = map[string]kargo.AppliedStack{"b": {Position: 1}, "a": {Position: 2}}
	check(t, plan.Make([]kargo.Stack{stack("stays", service("kargo-stays_x", "x:1"))}, there, opts),
		"remove service kargo-a_x: no longer in the workspace\n"+
			"remove service kargo-b_y: no longer in the workspace\n"+
			"remove service kargo-b_x: no longer in the workspace\n")
}

func TestARollbackRunsTheImageThatRanWell(t *testing.T) {
	good := service("kargo-web_a", "app:1")
	good.Pinned = "app:1@sha256:good"
	p := plan.Make([]kargo.Stack{stack("web", good)}, cluster(live("web", "kargo-web_a", "app:2")), options())
	if change := p.Changes[0]; change.Service.TaskTemplate.ContainerSpec.Image != good.Pinned || change.Unresolved != "" {
		t.Errorf("sent image %s, to ask for %q", change.Service.TaskTemplate.ContainerSpec.Image, change.Unresolved)
	}
}

// A stack that needs approval is not changed, and its holds name the changes.
func TestApproval(t *testing.T) {
	pinned := stack("web", service("kargo-web_a", "app:2"), service("kargo-web_c", "new:1"))
	pinned.NeedsApproval = "this is catalogue 4"
	desired := []kargo.Stack{pinned, stack("own", service("kargo-own_b", "own:2"))}
	running := cluster(live("web", "kargo-web_a", "app:1"), live("web", "kargo-web_gone", "old:1"), live("own", "kargo-own_b", "own:1"))
	options := plan.Options{Instance: "test"}
	held := plan.Make(desired, running, options)
	const want = `update service kargo-own_b: TaskTemplate.ContainerSpec.Image: "own:1" -> "own:2"
hold service kargo-web_a: update (TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"), but this is catalogue 4
hold service kargo-web_c: create (new); it waits for the same approval
hold stack web: services would be removed, but this is catalogue 4
`
	if got := held.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	options.Memory.Approved = held.ID()
	const approved = `update service kargo-web_a: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"
create service kargo-web_c: new
update service kargo-own_b: TaskTemplate.ContainerSpec.Image: "own:1" -> "own:2"
remove service kargo-web_gone: no longer in the workspace
`
	if got := plan.Make(desired, running, options).String(); got != approved {
		t.Errorf("approved, it is\n%s\nand should be\n%s", got, approved)
	}
}

// A config with the wanted content under another name, such as one of `docker stack
// deploy`, is no difference. Another content is one.
func TestSameContentUnderAnotherName(t *testing.T) {
	page := kargo.Config{Name: "kargo-web_page-77aa01be", Data: []byte("page\n")}
	sum := sha256.Sum256(page.Data)
	wanted := stack("web", service("kargo-web_a", "app:1", uses(page.Name)))
	wanted.Configs = []kargo.Config{page}
	running := func(digest string) kargo.Cluster {
		c := cluster(changed(live("web", "kargo-web_a", "app:1"), uses("kargo-web_page")))
		c.Services[0].Spec.TaskTemplate.ContainerSpec.Configs[0].File = wanted.Services[0].Spec.TaskTemplate.ContainerSpec.Configs[0].File
		c.Configs = []kargo.LiveConfig{{ID: "1", Name: "kargo-web_page", Digest: digest}}
		return c
	}
	check(t, plan.Make([]kargo.Stack{wanted}, running(hex.EncodeToString(sum[:])), options()), "nothing to do\n")
	if p := plan.Make([]kargo.Stack{wanted}, running("another"), options()); p.Count(kargo.Update, kargo.KindService) != 1 {
		t.Errorf("another content makes no update:\n%s", p)
	}
}

// A config of an earlier version, whose name has a digest without a key, keeps its name
// until the tasks of its service are replaced for another reason. So does the label of
// bound files.
func TestNamesWithoutAKeyLastUntilTheTasksAreReplaced(t *testing.T) {
	page := kargo.Config{Name: "kargo-web_page-77aa01be7711", Data: []byte("page\n"), Driver: "golang"}
	bound := func(digest string) func(*swarm.ServiceSpec) {
		return func(spec *swarm.ServiceSpec) {
			spec.TaskTemplate.ContainerSpec.Labels = map[string]string{kargo.LabelFiles: digest}
		}
	}
	wanted := func(image string) []kargo.Stack {
		stack := stack("web", service("kargo-web_a", image, uses(page.Name), bound("keyed")))
		stack.Configs = []kargo.Config{page}
		stack.Services[0].Files = "0123456789abcdef"
		return []kargo.Stack{stack}
	}
	running := cluster(changed(changed(live("web", "kargo-web_a", "app:1"), uses("kargo-web_page-000011112222")), bound("0123456789ab")))
	running.Services[0].Spec.TaskTemplate.ContainerSpec.Configs[0].File = wanted("app:1")[0].Services[0].Spec.TaskTemplate.ContainerSpec.Configs[0].File
	running.Configs = []kargo.LiveConfig{{ID: "1", Name: "kargo-web_page-000011112222",
		Digest: kargo.ContentDigest("golang", page.Data), Labels: map[string]string{kargo.LabelInstance: "test", kargo.LabelStack: "web"}}}

	check(t, plan.Make(wanted("app:1"), running, options()), "nothing to do\n")
	p := plan.Make(wanted("app:2"), running, options())
	var sent swarm.ServiceSpec
	for _, change := range p.Changes {
		if change.Service != nil {
			sent = *change.Service
		}
	}
	if container := sent.TaskTemplate.ContainerSpec; container == nil || container.Configs[0].ConfigName != page.Name || container.Labels[kargo.LabelFiles] != "keyed" {
		t.Errorf("the plan is\n%s and sends %+v", p, container)
	}
	if p.Count(kargo.Create, kargo.KindConfig) != 1 {
		t.Errorf("the config is not created:\n%s", p)
	}

	// An earlier version wrote a digest of a network, too.
	network := kargo.Network{Name: "kargo-web_own", Driver: "overlay"}
	data, err := json.Marshal(network)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	stacks := wanted("app:1")
	stacks[0].Networks = []kargo.Network{network}
	running.Networks = []kargo.LiveNetwork{{ID: "n", Name: network.Name, Driver: "overlay", Labels: map[string]string{
		kargo.LabelInstance: "test", kargo.LabelStack: "web", kargo.LabelDigest: hex.EncodeToString(sum[:])[:12]}}}
	check(t, plan.Make(stacks, running, options()), "nothing to do\n")
}
