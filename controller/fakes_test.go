package controller_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/compile"
	"kargo/controller"
)

// baton orders what a test does before what the loop does later. For the race
// detector the passing of virtual time alone is no order.
type baton struct{ atomic.Int64 }

func (b *baton) hand() { b.Add(1) }

// repository is a Repository in memory: commits by name, and a head. The reader
// and the follower of tags use it at the same time.
type repository struct {
	*baton
	mu      sync.Mutex
	commits map[string]fstest.MapFS
	head    string
	err     error  // of Head
	refused error  // of Fetch
	only    string // Fetch refuses this commit alone, if it is set
	asked   int
	rewrote string
	steady  bool   // the files of all commits answer alike
	instead string // Fetch returns this commit, if it is set
	// signed repositories follow commits in the order of their names.
	signed bool
	// protected are the commits named last.
	protected []string
	// edits are the commits that were to be made; see Commit.
	edits       []kargo.Edit
	notWritable error
}

func (r *repository) Head(context.Context) (string, error) {
	r.hand()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return r.head, r.err
}

// Fetch knows every commit, as the real one does of those it fetched before.
func (r *repository) Fetch(_ context.Context, commit string) (kargo.Revision, kargo.Files, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused != nil && (r.only == "" || r.only == commit) {
		return kargo.Revision{}, kargo.Files{}, r.refused
	}
	commit = cmp.Or(r.instead, commit)
	files := kargo.Files{FS: r.commits[commit]}
	if r.steady {
		files.Unchanged = func(fs.FS) bool { return true }
	}
	return kargo.Revision{Commit: commit, Ref: "main", Rewrote: r.rewrote}, files, nil
}

// CheckAfter is that of a repository whose commits are signed.
func (r *repository) CheckAfter(_ context.Context, inForce, commit string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.signed && commit < inForce {
		return kargo.Errorf(kargo.Invalid, "commit %s does not come after %s", commit, inForce)
	}
	return nil
}

func (r *repository) Protect(commits ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.protected = commits
}

// fail lets every question for the head fail so; nil ends that.
func (r *repository) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// refuse lets one commit be fetched no more; nil ends that.
func (r *repository) refuse(commit string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.only, r.refused = commit, err
}

// commit makes a new head. Files are "name=content".
func (r *repository) commit(name string, files ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setHead(name, files...)
}

func (r *repository) setHead(name string, files ...string) {
	tree := fstest.MapFS{}
	for _, file := range files {
		path, content, _ := strings.Cut(file, "=")
		tree[path] = &fstest.MapFile{Data: []byte(content)}
	}
	r.commits[name], r.head = tree, name
}

// cluster is a Swarm in memory that does what a plan says, in its simplest
// form. What the real one does is swarmtest's business.
type cluster struct {
	*baton
	services map[string]kargo.LiveService
	networks []kargo.LiveNetwork
	nodes    []kargo.LiveNode
	tasks    []kargo.Task         // beside the running ones
	made     map[string]time.Time // when a service was changed last
	// observeTasks shows tasks in a full look, as it is where a service is
	// short of them.
	observeTasks bool
	calls        []string
	volumes      []kargo.LiveVolume     // of the node that is asked
	images       map[string]kargo.Image // what registries say
	asked        []string               // images that they were asked for
	version      uint64
	probes       []kargo.Probe            // of every container
	fail         func(kargo.Change) error // asked before each change
	err          error                    // of looks
	settling     bool                     // services made now do not run yet
	fate         func(*kargo.LiveService) // what becomes of a service made now
}

func (c *cluster) Observe(context.Context) (kargo.Cluster, error) {
	c.hand()
	c.calls = append(c.calls, "observe")
	seen := kargo.Cluster{Services: c.list(), Networks: c.networks, TasksKnown: true}
	if c.observeTasks {
		seen.Tasks = c.tasks
	}
	return seen, c.outage()
}

func (c *cluster) Services(_ context.Context, only ...string) ([]kargo.LiveService, error) {
	c.hand()
	c.calls = append(c.calls, strings.Join(append([]string{"services"}, only...), " "))
	return slices.DeleteFunc(c.list(), func(s kargo.LiveService) bool { return len(only) > 0 && !slices.Contains(only, s.Name) }), c.outage()
}

func (c *cluster) Complete(_ context.Context, services []kargo.LiveService) (kargo.Cluster, error) {
	c.hand()
	c.calls = append(c.calls, "complete")
	seen := kargo.Cluster{Services: services, Networks: c.networks, TasksKnown: true}
	if c.observeTasks {
		seen.Tasks = c.tasks
	}
	return seen, c.outage()
}

func (c *cluster) Nodes(context.Context) ([]kargo.LiveNode, error) {
	c.hand()
	c.calls = append(c.calls, "nodes")
	return c.nodes, c.outage()
}

// outage ends when it was asked for a thousand times: a loop that does not rest
// at all would never let virtual time pass.
func (c *cluster) outage() error {
	if len(c.calls) > 1000 {
		return nil
	}
	return c.err
}

func (c *cluster) list() []kargo.LiveService {
	var all []kargo.LiveService
	for _, service := range c.services {
		all = append(all, service)
	}
	return all
}

// Probes returns those of the test.
func (c *cluster) Probes(context.Context, string) ([]kargo.Probe, error) { return c.probes, nil }

func (c *cluster) Apply(_ context.Context, plan kargo.Plan, sending func([]kargo.Change), done func(kargo.Change, error)) error {
	creates := func(change kargo.Change) bool { return change.Action == kargo.Create }
	for i, change := range plan.Changes {
		switch {
		case !creates(change):
			sending(plan.Changes[i : i+1])
		case i == 0 || !creates(plan.Changes[i-1]): // all that follow each other
			group := plan.Changes[i:]
			if end := slices.IndexFunc(group, func(c kargo.Change) bool { return !creates(c) }); end >= 0 {
				group = group[:end]
			}
			sending(group)
		}
		if c.fail != nil {
			if err := c.fail(change); err != nil {
				done(change, err)
				return err
			}
		}
		c.carryOut(change)
		done(change, nil)
	}
	return nil
}

func (c *cluster) carryOut(change kargo.Change) {
	c.calls = append(c.calls, change.String())
	if change.Network != nil {
		c.networks = append(c.networks, kargo.LiveNetwork{Name: change.Name, Driver: change.Network.Driver, Labels: change.Network.Labels})
	}
	if change.Node != nil {
		i := slices.IndexFunc(c.nodes, func(n kargo.LiveNode) bool { return n.ID == change.ID })
		c.nodes[i].Spec = *change.Node
	}
	if change.Kind != kargo.KindService {
		return
	}
	if change.Action == kargo.Remove {
		delete(c.services, change.Name)
		return
	}
	// What is stored shares nothing with what was sent.
	var stored swarm.ServiceSpec
	data, err := json.Marshal(change.Service)
	if err == nil {
		err = json.Unmarshal(data, &stored)
	}
	if err != nil {
		panic(err)
	}
	c.version++
	c.made[change.Name] = time.Now()
	running := uint64(1)
	if c.settling {
		running = 0
	}
	service := kargo.LiveService{
		ID: change.Name, Name: change.Name, Version: c.version, Spec: stored, Running: running, Desired: 1,
		Image: stored.TaskTemplate.ContainerSpec.Image,
	}
	if written := stored.Labels[kargo.LabelImage]; strings.HasPrefix(service.Image, written+"@") {
		stored.TaskTemplate.ContainerSpec.Image = written // as the real one reads it back
	}
	if c.fate != nil {
		c.fate(&service)
	}
	c.services[change.Name] = service
}

func (c *cluster) Tasks(_ context.Context, services ...string) ([]kargo.Task, error) {
	c.calls = append(c.calls, "tasks")
	tasks := slices.Clone(c.tasks)
	for _, name := range services {
		service, exists := c.services[name]
		if exists && service.Update != nil && service.Update.State == swarm.UpdateStatePaused {
			tasks = append(tasks, kargo.Task{ID: "wordless", Service: name, State: "failed", Time: c.made[name], StateAt: c.made[name]})
		}
		if exists && service.Running > 0 {
			tasks = append(tasks, kargo.Task{Service: name, State: "running", Time: c.made[name], StateAt: c.made[name]})
		}
	}
	return tasks, c.err
}

// MarkOutdated marks nothing: what is sent is there at once.
func (c *cluster) MarkOutdated(context.Context, []kargo.Task, ...string) error { return c.err }

// Images returns what the test put there. Other registries cannot be asked.
func (c *cluster) Images(_ context.Context, names ...string) (map[string]kargo.Image, error) {
	answers := map[string]kargo.Image{}
	for _, name := range names {
		c.asked = append(c.asked, name)
		answers[name] = c.images[name]
	}
	return answers, nil
}

func (c *cluster) Volumes(context.Context) ([]kargo.LiveVolume, error) {
	c.calls = append(c.calls, "volumes")
	return c.volumes, c.outage()
}

func (c *cluster) LogTail(context.Context, string, int) ([]string, error) {
	return []string{"the end"}, nil
}

// writes are the calls that changed something.
func (c *cluster) writes() []string {
	return slices.DeleteFunc(slices.Clone(c.calls), func(call string) bool {
		return call == "observe" || call == "complete" || call == "services" || strings.HasPrefix(call, "services ") || call == "tasks" || call == "nodes"
	})
}

func (c *cluster) scaleByHand(name string, replicas uint64) {
	service := c.services[name]
	service.Spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &replicas}
	c.services[name] = service
}

// records are a Store in memory.
type records struct {
	deployments []kargo.Deployment
	memory      kargo.Memory
	kept        []kargo.KeptRendering
	attempts    map[string]int
	approved    string
	approvedAt  time.Time
}

func (r *records) Begin(d kargo.Deployment) (kargo.Deployment, error) {
	d.Number = uint64(len(r.deployments) + 1)
	r.deployments = append(r.deployments, d)
	return d, nil
}

func (r *records) Record(d kargo.Deployment, memory kargo.Memory) error {
	r.deployments[d.Number-1], r.memory = d, memory
	return nil
}

func (r *records) Deployment(number uint64) (*kargo.Deployment, error) {
	if number == 0 || number > uint64(len(r.deployments)) {
		return nil, nil
	}
	return &r.deployments[number-1], nil
}

func (r *records) Deployments(before uint64, limit int) (found []kargo.Deployment, _ error) {
	for _, d := range slices.Backward(r.deployments) {
		if (before == 0 || d.Number < before) && (limit == 0 || len(found) < limit) {
			found = append(found, d)
		}
	}
	return found, nil
}

func (r *records) RevisionNamed(start string) (kargo.RevisionID, error) {
	for _, d := range slices.Backward(r.deployments) {
		if id := d.Revision.ID(); strings.HasPrefix(string(id), start) {
			return id, nil
		}
	}
	return "", nil
}

// copy returns what a process that ends now leaves on the disk.
func (r *records) copy() *records {
	left := *r
	left.deployments = slices.Clone(r.deployments)
	left.memory.Sent, left.memory.Rollouts = maps.Clone(r.memory.Sent), maps.Clone(r.memory.Rollouts)
	return &left
}

func (r *records) Announce(number uint64, changes []kargo.Change) error {
	r.deployments[number-1].Announced = slices.Clone(changes)
	return nil
}

func (r *records) Sending(number uint64, next kargo.Change) error {
	r.deployments[number-1].UnderWay = &next
	return nil
}

func (r *records) Made(number uint64, change kargo.Change, sent *kargo.SentSpec, next *kargo.Change) error {
	d := &r.deployments[number-1]
	d.Changes, d.UnderWay = append(slices.Clone(d.Changes), change), next
	d.Announced = slices.DeleteFunc(slices.Clone(d.Announced), func(c kargo.Change) bool { return c.Key() == change.Key() })
	if r.memory.Sent == nil {
		r.memory.Sent = kargo.Sent{}
	}
	if sent != nil {
		r.memory.Sent[change.Name] = *sent
	}
	return nil
}

func (r *records) Keep(renderings ...kargo.KeptRendering) error {
	for _, kept := range renderings {
		kept.Digest, kept.Kept = kept.Stack.Digest(), time.Now()
		r.kept = append([]kargo.KeptRendering{kept}, r.kept...)
	}
	return nil
}

func (r *records) Kept(name string) (kept []kargo.KeptRendering, _ error) {
	for _, rendering := range r.kept {
		if rendering.Stack.Name == name {
			kept = append(kept, rendering)
		}
	}
	return kept, nil
}

func (r *records) Rendering(name, digest string) (*kargo.Stack, error) {
	for _, rendering := range r.kept {
		if rendering.Stack.Name == name && rendering.Digest == digest {
			return &rendering.Stack, nil
		}
	}
	return nil, nil
}

func (r *records) Attempt(reading string) (int, error) {
	r.attempts[reading]++
	return r.attempts[reading], nil
}

func (r *records) Survived(reading string) error {
	delete(r.attempts, reading)
	return nil
}

func (r *records) Approve(plan, _ string, at time.Time) error {
	r.approved, r.approvedAt = plan, at
	return nil
}

func (r *records) Approved(at time.Time) (string, error) {
	if at.Sub(r.approvedAt) > time.Hour {
		return "", nil
	}
	return r.approved, nil
}

// text is the history as a person would tell it.
func (r *records) text() string {
	var text strings.Builder
	for _, d := range r.deployments {
		if d.Kind.IsNote() {
			fmt.Fprintf(&text, "%d %s: %s\n", d.Number, d.Kind, cmp.Or(d.Note, d.Err))
			continue
		}
		fmt.Fprintf(&text, "%d %s by %s: %s, %d changes", d.Number, d.Revision.Commit, d.Trigger, d.Outcome, len(d.Changes))
		for _, stack := range d.Stacks {
			fmt.Fprintf(&text, ", %s %s", stack.Name, stack.Verdict)
		}
		if d.Err != "" {
			fmt.Fprintf(&text, " (%s)", d.Err)
		}
		fmt.Fprintln(&text)
	}
	return text.String()
}

// stirring is a Watcher whose events the test makes.
type stirring chan kargo.Event

func (s stirring) Watch(ctx context.Context, stirred func(kargo.Event)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case what := <-s:
			stirred(what)
		}
	}
}

// world is a controller with everything around it.
type world struct {
	t       *testing.T
	repo    *repository
	swarm   *cluster
	records *records
	left    *records // what a killed process left
	written []string // commits whose merged configuration was written
	// unwritable is why the next one cannot be written; nil if it can.
	unwritable error
	events     stirring
	parts      controller.Parts
	loop       *controller.Loop
	stop       func()
}

func newWorld(t *testing.T) *world {
	b := &baton{}
	w := &world{
		t:       t,
		repo:    &repository{baton: b, commits: map[string]fstest.MapFS{}},
		swarm:   &cluster{baton: b, services: map[string]kargo.LiveService{}, made: map[string]time.Time{}},
		records: &records{attempts: map[string]int{}},
		events:  make(stirring),
		stop:    func() {},
	}
	w.parts = controller.Parts{
		Source: compile.Layers{User: w.repo}, Swarm: w.swarm, Watcher: w.events, Store: w.records,
		Compiler: compile.Compiler{
			Defaults: fstest.MapFS{".env.default": {}}, Catalogue: "test", Root: "/data/.kargo", Workspace: "/data/workspace",
			Secrets: func(_ context.Context, files kargo.Files) kargo.Files { return files },
			Hooks: func(_ context.Context, ws kargo.Workspace, _ ...string) (kargo.Workspace, kargo.Problems, error) {
				return ws, nil, nil
			},
			Keys: keys,
		},
		Effects: controller.Effects{
			Write: func(ws kargo.Workspace) error {
				w.swarm.hand()
				if w.unwritable != nil {
					return w.unwritable
				}
				w.written = append(w.written, ws.Revision.Commit)
				return nil
			},
		},
		Behavior: controller.Behavior{Instance: "test", Poll: controller.Every(time.Minute), Verify: 5 * time.Minute},
		Log:      slog.New(slog.DiscardHandler),
	}
	return w
}

// keys returns the keys of the digests that show.
func keys(context.Context) (kargo.Keys, error) {
	return kargo.Keys{Objects: []byte("objects"), Texts: []byte("texts"), Specs: []byte("specs"), Directories: []byte("directories")}, nil
}

// logTo has the log written where a test can read it.
func (w *world) logTo(out io.Writer) { w.parts.Log = slog.New(slog.NewTextHandler(out, nil)) }

// run runs the loop in a bubble of virtual time while script acts. Whatever is
// on its way has arrived when script begins.
func run(t *testing.T, script func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		script(w)
		w.stop()
	})
}

// start begins a new process over what the last one recorded, and lets it come
// to rest.
func (w *world) start() {
	w.parts.Memory, w.parts.Unfinished = w.records.memory, nil
	for _, d := range slices.Backward(w.records.deployments) {
		if !d.Kind.IsNote() {
			if d.Finished.IsZero() {
				w.parts.Unfinished = &d
			}
			break
		}
	}
	w.loop = controller.New(w.parts)
	w.forget()
	ctx, stop := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.loop.Run(ctx) }()
	w.stop = func() {
		w.t.Helper()
		stop()
		if err := <-ended; err != nil {
			w.t.Errorf("the loop ended with %v", err)
		}
		w.stop = func() {}
	}
	w.rest(20 * time.Second)
}

// forget forgets the calls so far. The loop must be at rest.
func (w *world) forget() { w.swarm.calls, w.repo.asked = nil, 0 }

// rest lets virtual time pass and the loop come to rest.
func (w *world) rest(d time.Duration) {
	w.swarm.hand()
	time.Sleep(d)
	synctest.Wait()
}

// pass forgets the calls so far and lets virtual time pass.
func (w *world) pass(d time.Duration) {
	w.forget()
	w.rest(d)
}

// after forgets the calls so far, acts, and lets what that sets in motion come
// to rest.
func (w *world) after(act func()) {
	w.forget()
	act()
	w.rest(20 * time.Second)
}

func (w *world) nudge(trigger string) { w.after(func() { w.loop.Nudge(trigger) }) }

// event is one of Swarm's, as the log has it: "service update kargo-web_web".
func (w *world) event(what string) { w.after(func() { w.events <- eventOf(what) }) }

func eventOf(what string) kargo.Event {
	words := strings.Fields(what)
	return kargo.Event{Kind: kargo.Kind(words[0]), Action: words[1], Name: words[2]}
}

func (w *world) wantCalls(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.swarm.calls, want) {
		w.t.Errorf("calls:\n  %s\nwant:\n  %s", strings.Join(w.swarm.calls, "\n  "), strings.Join(want, "\n  "))
	}
}

func (w *world) wantWrites(want ...string) {
	w.t.Helper()
	if got := w.swarm.writes(); !slices.Equal(got, want) {
		w.t.Errorf("writes:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// app is a workspace of one stack per name, each with one service.
func app(image string, stacks ...string) []string {
	files := []string{".env=IMAGE=" + image + "\nSTACKS=\"" + strings.Join(stacks, " ") + "\"\n"}
	for _, stack := range stacks {
		files[0] += strings.ToUpper(stack) + "_STACK=" + stack + "\n"
		files = append(files, "deploy/"+stack+".yml=services: {"+stack+": {image: '${IMAGE}', networks: [back]}}\nnetworks: {back: {external: true, name: kargo-back}}\n")
	}
	return files
}
