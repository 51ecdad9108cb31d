package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kargo"
	"kargo/controller"
)

// ledger keeps the lease of one instance, and what lies beside it, as Swarm does.
type ledger struct {
	lease   kargo.Lease
	aside   kargo.Aside
	writes  int
	written int // bytes
	// killed: no write after that many is made. The process that makes it is killed.
	killed int
	stuck  error // of writes of what lies aside
}

var errKilled = kargo.Errorf(kargo.Unavailable, "killed")

// write counts a write of something with a version.
func (s *ledger) write(version *uint64, was uint64, what any) error {
	if s.killed > 0 && s.writes >= s.killed {
		return errKilled
	}
	if *version != was {
		return kargo.Errorf(kargo.Conflict, "update out of sequence")
	}
	text, err := json.Marshal(what)
	s.writes++
	s.written += len(text)
	*version = uint64(s.writes)
	return err
}

// way is a controller's way to a ledger. One of before does not know what lies aside.
type way struct {
	*ledger
	before bool
}

func (w way) Lease(context.Context, string) (kargo.Lease, error) {
	seen := w.lease
	if w.before {
		seen.Aside = ""
	}
	return seen, nil
}

func (w way) WriteLease(_ context.Context, _ string, written kargo.Lease) (kargo.Lease, error) {
	if err := w.write(&written.Version, w.lease.Version, written); err != nil {
		return written, err
	}
	w.ledger.lease = written
	return written, nil
}

func (w way) Aside(context.Context, string) (kargo.Aside, error) { return w.aside, nil }

func (w way) WriteAside(_ context.Context, _ string, written kargo.Aside) error {
	if w.stuck != nil {
		return w.stuck
	}
	if err := w.write(&written.Version, w.aside.Version, written); err != nil {
		return err
	}
	w.ledger.aside = written
	return nil
}

// keeper is a controller of the instance.
func (s *ledger) keeper(name string, before bool) controller.Keeper {
	return controller.NewKeeper(controller.Parts{
		Leadership: controller.Leadership{Leases: way{s, before}, ID: name, Name: name}, Log: slog.New(slog.DiscardHandler),
	})
}

// renew has a controller make so many steps, as far from each other as renewals are.
func renew(k controller.Keeper, steps int) {
	for range steps {
		_ = k.Step(context.Background()) // the next one goes on
		time.Sleep(6 * time.Second)
	}
}

// failedStacks is what a leader knows of so many stacks that have failed, and of one that is
// held.
func failedStacks(n int, why string) kargo.HandOver {
	left := kargo.HandOver{InForce: "c1", Rollouts: map[string]kargo.Rollout{}, Sent: kargo.Sent{}}
	left.Stops = map[string]kargo.Stop{"web": {Why: why}}
	for i := range n {
		name := fmt.Sprintf("stack%03d", i)
		left.Rollouts[name] = kargo.Rollout{Digest: strings.Repeat("0123456789abcdef", 4), Failed: &kargo.Failure{Reason: why + strings.Repeat(" and so on", 20)}}
		left.Sent[name+"_web"] = kargo.SentSpec{Digest: strings.Repeat("0123456789abcdef", 4), Seen: true}
	}
	return left
}

// What the next leader must know is written when it changes, and not with each renewal.
func TestARenewalIsSmallHoweverMuchHasFailed(t *testing.T) {
	for _, stacks := range []int{0, 1, 100} {
		synctest.Test(t, func(*testing.T) {
			s := &ledger{}
			one := s.keeper("one", false)
			renew(one, 1)
			one.Share(failedStacks(stacks, "no health"))
			renew(one, 5)
			s.writes, s.written = 1<<20, 0
			renew(one, 10)
			if s.writes != 1<<20+10 || s.written > 10*(2<<10) {
				t.Errorf("with %d failed stacks, %d renewals have %d bytes", stacks, s.writes-1<<20, s.written)
			}
			for i := range 10 { // what changes all the time is not written twice
				one.Share(failedStacks(stacks, fmt.Sprint("no health ", i)))
				renew(one, 1)
			}
			if s.writes != 1<<20+20 {
				t.Errorf("with %d failed stacks, 10 renewals made %d writes", stacks, s.writes-1<<20-10)
			}
		})
	}
}

// Wherever a leader is killed, the next one has what it shared last, or what it shared
// before, as a whole.
func TestNothingIsLostWhereverALeaderIsKilled(t *testing.T) {
	script := []kargo.HandOver{failedStacks(100, "a"), failedStacks(1, "b"), failedStacks(90, "c"), failedStacks(80, "d"), {}}
	for killed := 1; ; killed++ {
		ended := false
		synctest.Test(t, func(t *testing.T) {
			s := &ledger{killed: killed}
			one := s.keeper("one", false)
			renew(one, 1)
			possible := []kargo.HandOver{{}}
			for _, shared := range script {
				one.Share(shared)
				possible = append(possible, shared)
				if renew(one, 5); s.writes >= killed {
					break
				}
			}
			ended, s.killed = s.writes < killed, 0
			two := s.keeper("two", false)
			renew(two, 4)
			left, outdated := two.Left()
			if newest := possible[max(0, len(possible)-2):]; !outdated || !same(left, newest[0]) && !same(left, newest[len(newest)-1]) {
				t.Errorf("killed after %d writes: outdated %v, %d rollouts, stops %v", killed, outdated, len(left.Rollouts), left.Stops)
			}
			// It goes on to share that, and a third one finds it in the same way.
			two.Share(left)
			renew(two, 5)
			three := s.keeper("three", false)
			renew(three, 4)
			if again, _ := three.Left(); !same(again, left) {
				t.Errorf("killed after %d writes: the third has %d rollouts, the second %d", killed, len(again.Rollouts), len(left.Rollouts))
			}
		})
		if ended {
			break
		}
	}
}

func same(a, b kargo.HandOver) bool {
	one, errOne := json.Marshal(a)
	two, errTwo := json.Marshal(b)
	return errOne == nil && errTwo == nil && string(one) == string(two)
}

// A leader ends cleanly, or crashes, and a controller of before takes over; or the other way
// round. What people decided is never lost, and what has failed only in a crash.
func TestTakeOverBetweenTheVersionsOfTheLease(t *testing.T) {
	all := failedStacks(100, "held")
	decided := kargo.HandOver{Stopped: all.Stopped, InForce: all.InForce}
	for _, c := range []struct {
		name                  string
		before, clean, remove bool // before: the first is of before
		want                  kargo.HandOver
	}{
		{"the new one ends", false, true, false, all},
		{"the new one crashes", false, false, false, decided},
		{"the one of before ends", true, true, false, all},
		{"the one of before crashes", true, false, false, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &ledger{}
				one := s.keeper("one", c.before)
				renew(one, 1)
				one.Share(all)
				if c.before {
					renew(one, 1) // it never writes aside
				} else {
					renew(one, 5)
				}
				if c.clean {
					one.Release(t.Context())
				}
				two := s.keeper("two", !c.before)
				renew(two, 4)
				if left, outdated := two.Left(); !outdated || !same(left, c.want) {
					t.Errorf("outdated %v, %d rollouts, stops %v", outdated, len(left.Rollouts), left.Stops)
				}
			})
		})
	}
}

// What lies aside is removed or changed by hand, or by a write that arrives late: the leader
// puts it right. If it crashes before, what people decided is still known.
func TestWhatLiesAsideIsPutRight(t *testing.T) {
	all := failedStacks(100, "held")
	for name, hurt := range map[string]func(*ledger){
		"removed":                        func(s *ledger) { s.aside = kargo.Aside{} },
		"removed, and cannot be written": func(s *ledger) { s.aside, s.stuck = kargo.Aside{}, errKilled },
		"changed":                        func(s *ledger) { s.writes++; s.aside = kargo.Aside{Version: uint64(s.writes), Shared: "{}"} },
	} {
		for _, steps := range []int{0, 3} {
			t.Run(fmt.Sprintf("%s, %d renewals later", name, steps), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &ledger{}
					one := s.keeper("one", false)
					renew(one, 1)
					one.Share(all)
					renew(one, 5)
					hurt(s)
					renew(one, steps)
					two := s.keeper("two", false)
					renew(two, 4)
					left, outdated := two.Left()
					if !outdated || !reflect.DeepEqual(left.Stopped, all.Stopped) || steps > 0 && !same(left, all) {
						t.Errorf("outdated %v, %d rollouts, stops %v", outdated, len(left.Rollouts), left.Stops)
					}
				})
			})
		}
	}
}

// A controller that was stopped while another one led and ended begins anew with what that one
// has left, although it led itself when it last looked.
func TestALeaderThatSleptTakesOverLikeAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &ledger{}
		one, two := s.keeper("one", false), s.keeper("two", false)
		renew(one, 1)
		one.Share(failedStacks(1, "of one"))
		renew(one, 2)
		renew(two, 4)
		if _, outdated := two.Left(); !outdated {
			t.Fatal("the second does not lead")
		}
		want := failedStacks(1, "of two")
		two.Share(want)
		renew(two, 2)
		two.Release(t.Context())
		renew(one, 1)
		if left, outdated := one.Left(); !outdated || !same(left, want) {
			t.Errorf("outdated %v, stops %v", outdated, left.Stops)
		}
	})
}
