package controller_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kargo"
	"kargo/controller"
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
	switch effect {
	case "head", "fetch", "images":
		return kargo.Errorf(kargo.Unavailable, "out of reach")
	}
	return fmt.Errorf("%s: %w", effect, errDiskFull)
}

// effects are all that a round does outside of its own memory, but for writes
// to Swarm, whose failures other properties have.
var effects = []string{"head", "fetch", "begin", "sending", "made", "record", "keep", "rendering", "attempt", "survived", "approved", "write", "images"}

// faultyStore is a store whose disk may be full.
type faultyStore struct {
	*records
	*faults
}

func (s faultyStore) Begin(d kargo.Deployment) (kargo.Deployment, error) {
	if err := s.meet("begin"); err != nil {
		return d, err
	}
	return s.records.Begin(d)
}

func (s faultyStore) Sending(deployment uint64, next kargo.Change) error {
	if err := s.meet("sending"); err != nil {
		return err
	}
	return s.records.Sending(deployment, next)
}

func (s faultyStore) Made(deployment uint64, change kargo.Change, sent *kargo.SentSpec, next *kargo.Change) error {
	if err := s.meet("made"); err != nil {
		return err
	}
	return s.records.Made(deployment, change, sent, next)
}

func (s faultyStore) Record(d kargo.Deployment, memory kargo.Memory) error {
	if err := s.meet("record"); err != nil {
		return err
	}
	return s.records.Record(d, memory)
}

func (s faultyStore) Keep(stack kargo.Stack, revision kargo.RevisionID) error {
	if err := s.meet("keep"); err != nil {
		return err
	}
	return s.records.Keep(stack, revision)
}

func (s faultyStore) Rendering(stack, digest string) (*kargo.Stack, error) {
	if err := s.meet("rendering"); err != nil {
		return nil, err
	}
	return s.records.Rendering(stack, digest)
}

func (s faultyStore) Attempt(reading string) (int, error) {
	if err := s.meet("attempt"); err != nil {
		return 0, err
	}
	return s.records.Attempt(reading)
}

func (s faultyStore) Survived(reading string) error {
	if err := s.meet("survived"); err != nil {
		return err
	}
	return s.records.Survived(reading)
}

func (s faultyStore) Approved(at time.Time) (string, error) {
	if err := s.meet("approved"); err != nil {
		return "", err
	}
	return s.records.Approved(at)
}

type faultySource struct {
	controller.Source
	*faults
}

func (s faultySource) Head(ctx context.Context) (kargo.RevisionID, error) {
	if err := s.meet("head"); err != nil {
		return "", err
	}
	return s.Source.Head(ctx)
}

func (s faultySource) Fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error) {
	if err := s.meet("fetch"); err != nil {
		return kargo.Tree{}, err
	}
	return s.Source.Fetch(ctx, id)
}

type faultySwarm struct {
	controller.Swarm
	*faults
}

func (s faultySwarm) Images(ctx context.Context, names ...string) (map[string]kargo.Image, error) {
	if err := s.meet("images"); err != nil {
		return nil, err
	}
	return s.Swarm.Images(ctx, names...)
}

// Whatever effect of a round fails, and however often, the next rounds come to
// the same end without a restart: a revision is never lost.
func TestNoFailureLosesARevision(t *testing.T) {
	checkInBubbles(t, func(m *matrix, rt *rapid.T) {
		f := &faults{failing: map[string]int{}}
		write := m.parts.Effects.Write
		m.parts.Effects.Write = func(ws kargo.Workspace) error { return errors.Join(f.meet("write"), write(ws)) }
		m.parts.Source = faultySource{m.parts.Source, f}
		m.parts.Swarm = faultySwarm{m.parts.Swarm, f}
		m.parts.Store = faultyStore{m.records, f}
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
		m.parts.Effects.Write = func(ws kargo.Workspace) error { return errors.Join(f.meet("write"), write(ws)) }
		m.repo.commit("c0", fine.files()...)
		m.begin()
		m.push(fine)
		m.stop()
		f.plan("write", 10_000)
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
		f.plan("begin", 1000)
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
