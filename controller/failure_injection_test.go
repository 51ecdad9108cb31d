package controller_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kargo"
	"kargo/compile"
	"kargo/controller"
	"kargo/permit"
)

// faults makes effects fail, each as often as it was told.
type faults struct {
	mu      sync.Mutex
	failing map[string]int // by effect
	met     []string
}

// plan has an effect fail so many times more.
func (f *faults) plan(effect string, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing[effect] += times
}

// mend ends all failures, and returns those that were met.
func (f *faults) mend() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.failing)
	return f.met
}

var errDiskFull = &fs.PathError{Op: "write", Path: "/data/history", Err: syscall.ENOSPC}

func (f *faults) meet(effect string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing[effect] == 0 {
		return nil
	}
	f.failing[effect]--
	f.met = append(f.met, effect)
	if part, _, _ := strings.Cut(effect, "."); part == "Store" || effect == "Effects.Write" {
		return fmt.Errorf("%s: %w", effect, errDiskFull)
	}
	return kargo.Errorf(kargo.Unavailable, "%s is out of reach", effect)
}

// effects are all that a round does outside of its own memory, by part and method, or
// function.
var effects = []string{
	"Source.Head", "Source.Fetch", "Source.CheckAfter", "Source.Commits",
	"Swarm.Observe", "Swarm.Services", "Swarm.Complete", "Swarm.Nodes", "Swarm.Apply", "Swarm.Tasks", "Swarm.MarkOutdated", "Swarm.Images",
	"Swarm.Volumes", "Swarm.LogTail",
	"Store.Begin", "Store.Announce", "Store.Sending", "Store.Made", "Store.Record", "Store.Keep", "Store.Rendering",
	"Store.Attempt", "Store.Survived", "Store.Approved",
	"Compiler.Keys", "Effects.Try", "Effects.Write",
}

// exempt are the effects that do not fail here, with the reason.
var exempt = map[string]string{
	"Source.Protect":      "has no error",
	"Swarm.Probes":        "tasks of the Swarm in memory have no container; the report of a failure goes without",
	"Watcher.Watch":       "TestWhateverHappensItEndsWhereItShould loses events",
	"Store.Deployment":    "is for people, between rounds",
	"Store.RevisionNamed": "is for people, between rounds",
	"Store.Approve":       "is for people, between rounds",
	"Store.Kept":          "is for people, between rounds",
	"Registry.Tags":       "tags_test.go: tags are followed beside the rounds",
	"Committer.Commit":    "tags_test.go: tags are followed beside the rounds",
	"Leases.Lease":        "keeper_test.go: the lease is kept beside the rounds",
	"Leases.WriteLease":   "keeper_test.go: the lease is kept beside the rounds",
	"Leases.Aside":        "aside_test.go: the lease is kept beside the rounds",
	"Leases.WriteAside":   "aside_test.go: the lease is kept beside the rounds",
	"Leadership.Service":  "is asked for again with each step of the lease",
	"Cleaning.Clean":      "clean_test.go: a clean-up that fails is reported, and the next one is due as before",
	"Compiler.Secrets":    "what cannot be opened is a problem of its file",
	"Compiler.Hooks":      "what fails is a problem of the revision",
	"Compiler.Shell":      "what fails is a problem of the revision",
	"Effects.After":       "a hook that fails is told, and is not run again",
	"Effects.Credentials": "the function that it returns has an error for each image; see plan/credential.go",
	"Effects.Notify":      "has no error, and is called beside the rounds",
	"Effects.Count":       "has no error",
	"Effects.Measure":     "has no error",
	"Parts.TaskLog":       "is for people",
}

// A new effect is a line of one of the two tables.
func TestEachEffectIsKnown(t *testing.T) {
	found := map[string]bool{}
	methods := func(part string, of reflect.Type) {
		for i := range of.NumMethod() {
			found[part+"."+of.Method(i).Name] = true
		}
	}
	functions := func(part string, of reflect.Type) {
		for i := range of.NumField() {
			if field := of.Field(i); field.Type.Kind() == reflect.Func {
				found[part+"."+field.Name] = true
			}
		}
	}
	methods("Source", reflect.TypeFor[controller.Source]())
	methods("Swarm", reflect.TypeFor[controller.Swarm]())
	methods("Watcher", reflect.TypeFor[controller.Watcher]())
	methods("Store", reflect.TypeFor[controller.Store]())
	methods("Registry", reflect.TypeFor[controller.Registry]())
	methods("Leases", reflect.TypeFor[controller.Leases]())
	methods("Committer", reflect.TypeFor[compile.Committer]())
	functions("Leadership", reflect.TypeFor[controller.Leadership]())
	functions("Compiler", reflect.TypeFor[compile.Compiler]())
	functions("Effects", reflect.TypeFor[controller.Effects]())
	functions("Cleaning", reflect.TypeFor[controller.Cleaning]())
	functions("Parts", reflect.TypeFor[controller.Parts]())
	known := map[string]bool{}
	for _, effect := range slices.Concat(effects, slices.Collect(maps.Keys(exempt))) {
		if known[effect] || !found[effect] {
			t.Errorf("%s is no effect, or stands here twice", effect)
		}
		known[effect] = true
	}
	for effect := range found {
		if !known[effect] {
			t.Errorf("%s is a new effect: does its failure lose anything?", effect)
		}
	}
}

// faultyStore is a store whose disk may be full.
type faultyStore struct {
	*records
	*faults
}

func (s faultyStore) Begin(d kargo.Deployment) (kargo.Deployment, error) {
	if err := s.meet("Store.Begin"); err != nil {
		return d, err
	}
	return s.records.Begin(d)
}

func (s faultyStore) Announce(deployment uint64, changes []kargo.Change) error {
	if err := s.meet("Store.Announce"); err != nil {
		return err
	}
	return s.records.Announce(deployment, changes)
}

func (s faultyStore) Sending(deployment uint64, next kargo.Change) error {
	if err := s.meet("Store.Sending"); err != nil {
		return err
	}
	return s.records.Sending(deployment, next)
}

func (s faultyStore) Made(deployment uint64, change kargo.Change, sent *kargo.SentSpec, next *kargo.Change) error {
	if err := s.meet("Store.Made"); err != nil {
		return err
	}
	return s.records.Made(deployment, change, sent, next)
}

func (s faultyStore) Record(d kargo.Deployment, memory kargo.Memory) error {
	if err := s.meet("Store.Record"); err != nil {
		return err
	}
	return s.records.Record(d, memory)
}

func (s faultyStore) Keep(renderings ...kargo.KeptRendering) error {
	if err := s.meet("Store.Keep"); err != nil {
		return err
	}
	return s.records.Keep(renderings...)
}

func (s faultyStore) Rendering(stack, digest string) (*kargo.Stack, error) {
	if err := s.meet("Store.Rendering"); err != nil {
		return nil, err
	}
	return s.records.Rendering(stack, digest)
}

func (s faultyStore) Attempt(reading string) (int, error) {
	if err := s.meet("Store.Attempt"); err != nil {
		return 0, err
	}
	return s.records.Attempt(reading)
}

func (s faultyStore) Survived(reading string) error {
	if err := s.meet("Store.Survived"); err != nil {
		return err
	}
	return s.records.Survived(reading)
}

func (s faultyStore) Approved(at time.Time) (string, error) {
	if err := s.meet("Store.Approved"); err != nil {
		return "", err
	}
	return s.records.Approved(at)
}

type faultySource struct {
	controller.Source
	*faults
}

func (s faultySource) Head(ctx context.Context) (kargo.RevisionID, error) {
	if err := s.meet("Source.Head"); err != nil {
		return "", err
	}
	return s.Source.Head(ctx)
}

func (s faultySource) Fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error) {
	if err := s.meet("Source.Fetch"); err != nil {
		return kargo.Tree{}, err
	}
	return s.Source.Fetch(ctx, id)
}

func (s faultySource) CheckAfter(ctx context.Context, inForce, next kargo.RevisionID) error {
	if err := s.meet("Source.CheckAfter"); err != nil {
		return err
	}
	return s.Source.CheckAfter(ctx, inForce, next)
}

func (s faultySource) Commits(ctx context.Context, from, to kargo.RevisionID) ([]kargo.Commit, bool, error) {
	if err := s.meet("Source.Commits"); err != nil {
		return nil, false, err
	}
	return s.Source.Commits(ctx, from, to)
}

type faultySwarm struct {
	controller.Swarm
	*faults
}

func (s faultySwarm) Images(ctx context.Context, names ...string) (map[string]kargo.Image, error) {
	if err := s.meet("Swarm.Images"); err != nil {
		return nil, err
	}
	return s.Swarm.Images(ctx, names...)
}

func (s faultySwarm) Observe(ctx context.Context) (kargo.Cluster, error) {
	if err := s.meet("Swarm.Observe"); err != nil {
		return kargo.Cluster{}, err
	}
	return s.Swarm.Observe(ctx)
}

func (s faultySwarm) Services(ctx context.Context, only ...string) ([]kargo.LiveService, error) {
	if err := s.meet("Swarm.Services"); err != nil {
		return nil, err
	}
	return s.Swarm.Services(ctx, only...)
}

func (s faultySwarm) Complete(ctx context.Context, services []kargo.LiveService) (kargo.Cluster, error) {
	if err := s.meet("Swarm.Complete"); err != nil {
		return kargo.Cluster{}, err
	}
	return s.Swarm.Complete(ctx, services)
}

func (s faultySwarm) Nodes(ctx context.Context) ([]kargo.LiveNode, error) {
	if err := s.meet("Swarm.Nodes"); err != nil {
		return nil, err
	}
	return s.Swarm.Nodes(ctx)
}

func (s faultySwarm) Apply(ctx context.Context, plan kargo.Plan, sending func([]kargo.Change), done func(kargo.Change, error)) error {
	if len(plan.Changes) > 0 {
		if err := s.meet("Swarm.Apply"); err != nil {
			done(plan.Changes[0], err)
			return err
		}
	}
	return s.Swarm.Apply(ctx, plan, sending, done)
}

func (s faultySwarm) Tasks(ctx context.Context, services ...string) ([]kargo.Task, error) {
	if err := s.meet("Swarm.Tasks"); err != nil {
		return nil, err
	}
	return s.Swarm.Tasks(ctx, services...)
}

func (s faultySwarm) MarkOutdated(ctx context.Context, tasks []kargo.Task, services ...string) error {
	if err := s.meet("Swarm.MarkOutdated"); err != nil {
		return err
	}
	return s.Swarm.MarkOutdated(ctx, tasks, services...)
}

func (s faultySwarm) Volumes(ctx context.Context) ([]kargo.LiveVolume, error) {
	if err := s.meet("Swarm.Volumes"); err != nil {
		return nil, err
	}
	return s.Swarm.Volumes(ctx)
}

func (s faultySwarm) LogTail(ctx context.Context, task string, lines int) ([]string, error) {
	if err := s.meet("Swarm.LogTail"); err != nil {
		return nil, err
	}
	return s.Swarm.LogTail(ctx, task, lines)
}

// mayFail makes each effect of the matrix one that can fail.
func (m *matrix) mayFail() *faults {
	f := &faults{failing: map[string]int{}}
	write := m.parts.Effects.Write
	m.parts.Effects.Write = func(ws kargo.Workspace) error { return errors.Join(f.meet("Effects.Write"), write(ws)) }
	m.parts.Effects.Try = func(ctx context.Context, trial controller.Trial) error {
		if err := f.meet("Effects.Try"); err != nil {
			return err
		}
		_, _, err := trial.Fetched(ctx)
		return err
	}
	m.parts.Compiler.Keys = func(ctx context.Context) (kargo.Keys, error) {
		if err := f.meet("Compiler.Keys"); err != nil {
			return kargo.Keys{}, err
		}
		return keys(ctx)
	}
	m.parts.Source = faultySource{m.parts.Source, f}
	m.parts.Swarm = faultySwarm{m.parts.Swarm, f}
	m.parts.Store = faultyStore{m.records, f}
	return f
}

// Each effect fails in turn, a few times with each push: a good one, two of which one
// crashes and one is unhealthy, and, after a restart, a good one again.
func TestEachEffectMayFail(t *testing.T) {
	crashes, sick := fine, fine
	crashes.one, sick.two = "crash:1", "sick:1"
	for i, effect := range effects {
		if racing && i%4 != 0 {
			continue // the same goroutines work on each, and the detector makes them slow
		}
		t.Run(effect, func(t *testing.T) {
			inMatrix(t, func(m *matrix) {
				policy, err := permit.New(permit.Restricted)
				if err != nil {
					t.Fatal(err)
				}
				m.parts.Compiler.Policy = policy // then volumes matter, too
				f := m.mayFail()
				m.repo.commit("c0", withEverything(fine, 0)...)
				f.plan(effect, 1)
				m.begin()
				for _, next := range []rendering{fine, crashes, sick, newer} {
					if next == newer { // a new process goes on
						m.stop()
						f.plan(effect, 1)
						m.begin()
					}
					f.plan(effect, 2)
					m.pushes++
					m.last = next
					m.repo.commit(fmt.Sprint("c", m.pushes), withEverything(next, m.pushes)...)
					m.loop.Nudge("webhook test")
					m.live(300)
				}
				met := f.mend()
				m.live(700)
				// A look has read the nodes already where it saw that a service is short of tasks.
				if len(met) == 0 && effect != "Swarm.Nodes" {
					t.Error("it was never asked for")
				}
				for _, problem := range m.lost() {
					t.Error(problem)
				}
			})
		})
	}
}

// withEverything are the files of a rendering of which one service has a volume and a
// health check. With each push, another one gets another label, which moves no task, and a
// third one comes or goes.
func withEverything(r rendering, push int) []string {
	files := r.files()
	for i := range files {
		files[i] = strings.Replace(files[i], "{db: {", fmt.Sprintf("{db: {deploy: {labels: {push: '%d'}}, ", push), 1)
		if push%2 == 0 {
			files[i] = strings.Replace(files[i], "services: {db: ", "services: {guest: {image: 'app:1'}, db: ", 1)
		}
		files[i] = strings.Replace(files[i], "  two: {", "  two: {volumes: ['data:/data'], healthcheck: {test: [CMD, check]}, ", 1)
		files[i] = strings.Replace(files[i], "\nconfigs: {page", "\nvolumes: {data: {}}\nconfigs: {page", 1)
	}
	return files
}

// Whatever effect of a round fails, and however often, the next rounds come to
// the same end without a restart: a revision is never lost.
func TestNoFailureLosesARevision(t *testing.T) {
	checkInBubbles(t, func(m *matrix, rt *rapid.T) {
		f := m.mayFail()
		m.repo.commit("c0", fine.files()...)
		m.begin()
		m.push(fine)
		for range rapid.IntRange(1, 4).Draw(rt, "pushes") {
			for range rapid.IntRange(1, 3).Draw(rt, "kinds") {
				f.plan(rapid.SampledFrom(effects).Draw(rt, "effect"), rapid.IntRange(1, 3).Draw(rt, "times"))
			}
			next := m.last
			if rapid.Bool().Draw(rt, "moves something") {
				next.greeting, next.replicas = rapid.IntRange(0, 3).Draw(rt, "greeting"), rapid.IntRange(1, 3).Draw(rt, "replicas")
			}
			m.pushes++
			m.last = next
			m.repo.commit(fmt.Sprint("c", m.pushes), next.files()...)
			m.loop.Nudge("webhook test")
			m.live(rapid.IntRange(0, 40).Draw(rt, "seconds"))
		}
		met := f.mend() // the disk has space again
		m.live(700)
		for _, problem := range m.lost() {
			rt.Errorf("%s; failed had %q", problem, met)
		}
	})
}

// lost is what of the last push did not arrive.
func (m *matrix) lost() (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	status := m.loop.Status()
	if got, want := status.Applied.Commit, fmt.Sprint("c", m.pushes); got != want {
		problem("in force is %s, and %s was pushed last; fault %q: %s", got, want, status.Fault, status.Message)
	}
	if got, want := m.runningImages(), m.last.want(); got != want {
		problem("running are %s, want %s", got, want)
	}
	for _, stack := range status.Stacks {
		if !stack.InSync || stack.Health != kargo.HealthHealthy {
			problem("stack %s is %s, in sync %v: %s", stack.Name, stack.Health, stack.InSync, stack.Message)
		}
	}
	if last := m.records.deployments[len(m.records.deployments)-1]; last.Outcome != kargo.OutcomeSucceeded {
		problem("the last deployment has %s: %s", last.Outcome, last.Err)
	}
	return problems
}

// The merged configuration cannot be written: drift is corrected, and the next commit
// is carried out when there is room.
func TestDriftIsCorrectedOnAFullDisk(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		f := &faults{failing: map[string]int{}}
		write := m.parts.Effects.Write
		m.parts.Effects.Write = func(ws kargo.Workspace) error { return errors.Join(f.meet("Effects.Write"), write(ws)) }
		m.repo.commit("c0", fine.files()...)
		m.begin()
		m.push(fine)
		m.stop()
		f.plan("Effects.Write", 10_000)
		m.begin()
		m.byHand("kargo-web_two", rogue)
		m.live(60)
		if got := m.runningImages(); got != fine.want() {
			t.Errorf("with drift run %s, want %s", got, fine.want())
		}
		if status := m.loop.Status(); status.Fault != "unavailable" || !strings.Contains(status.Message, "no space left on device") {
			t.Errorf("fault %q: %s", status.Fault, status.Message)
		}
		m.repo.commit("next", newer.files()...)
		m.loop.Nudge("webhook test")
		m.live(60)
		if got := m.runningImages(); got != fine.want() {
			t.Errorf("without its files %s run", got)
		}
		f.mend()
		m.live(150)
		if got := m.runningImages(); got != newer.want() {
			status := m.loop.Status()
			t.Errorf("with room run %s, want %s: %s is in force, %q, %v", got, newer.want(), status.Applied, status.Message, status.Pending.Held)
		}
	})
}

// A full disk is no bug: it is named, and tried again within seconds.
func TestAFullDiskIsNoBug(t *testing.T) {
	run(t, func(w *world) {
		f := &faults{failing: map[string]int{}}
		w.parts.Store = faultyStore{w.records, f}
		f.plan("Store.Begin", 1000)
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		if status := w.loop.Status(); status.Fault != "unavailable" || !strings.Contains(status.Message, "no space left on device") {
			t.Errorf("fault %q: %s", status.Fault, status.Message)
		}
		f.mend()
		w.rest(90 * time.Second)
		if status := w.loop.Status(); status.Fault != "" || status.Applied.Commit != "c1" {
			t.Errorf("with room again: fault %q, %s is in force", status.Fault, status.Applied.Commit)
		}
	})
}
