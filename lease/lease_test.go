package lease_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kargo"
	"kargo/lease"
)

// world is the model: one lease in Swarm, and controllers whose clocks differ, whose
// reads and writes take time, and whose answers may be lost.
type world struct {
	now     time.Duration // the true time
	stored  kargo.Lease
	version uint64
	all     []*controller
	newest  uint64 // the highest epoch that has written something
	object  object
}

// object is a service of the Swarm, which is written with its version.
type object struct{ version, epoch uint64 }

type controller struct {
	*lease.Candidate
	offset time.Duration // its clock against the true time
	read   *kargo.Lease  // a read under way: what Swarm answered
	write  *kargo.Lease  // a write under way, and when it was sent
	sent   time.Duration
	starts int
	change *object // a write of the object under way: the version that was seen, and the epoch
	create *create // the creation of an object under way, which has no version
}

// create is sent by the leader of an epoch, at a true time.
type create struct {
	epoch uint64
	sent  time.Duration
}

func (w *world) clock(c *controller) time.Duration { return w.now + c.offset }

// swap is a write with the object's version.
func (w *world) swap(write kargo.Lease) (kargo.Lease, bool) {
	if write.Version != w.stored.Version {
		return kargo.Lease{}, false
	}
	w.version++
	write.Version = w.version
	w.stored = write
	return write, true
}

// check: at any time one controller at most may write, and never one of an epoch
// that is older than what has written already.
func (w *world) check(t *rapid.T) {
	writers := 0
	for _, c := range w.all {
		if !c.MayWrite(w.clock(c)) {
			continue
		}
		writers++
		if epoch := c.Seen().Epoch; epoch < w.newest {
			t.Fatalf("epoch %d may write after epoch %d", epoch, w.newest)
		} else {
			w.newest = epoch
		}
	}
	if writers > 1 {
		t.Fatalf("%d controllers may write at once", writers)
	}
}

func newWorld(t *rapid.T) *world {
	w := &world{}
	for i := range rapid.IntRange(1, 4).Draw(t, "controllers") {
		offset := time.Duration(rapid.IntRange(0, 1000).Draw(t, "clock")) * time.Second
		w.all = append(w.all, &controller{Candidate: lease.NewCandidate(fmt.Sprint(i), "host"), offset: offset})
	}
	return w
}

func TestOneWritesAtATime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		some := func(t *rapid.T) *controller { return rapid.SampledFrom(w.all).Draw(t, "controller") }
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				w.now += time.Duration(rapid.IntRange(1, 20_000).Draw(t, "milliseconds")) * time.Millisecond
			},
			"Swarm answers a read": func(t *rapid.T) { c := some(t); seen := w.stored; c.read = &seen },
			"a read arrives": func(t *rapid.T) {
				if c := some(t); c.read != nil {
					c.Observe(*c.read, w.clock(c))
					c.read = nil
				}
			},
			"a write is sent": func(t *rapid.T) {
				c := some(t)
				if write, due := c.Next(w.clock(c)); due && c.write == nil {
					c.write, c.sent = &write, w.clock(c)
				}
			},
			"a write arrives": func(t *rapid.T) {
				c := some(t)
				if c.write == nil {
					return
				}
				written, swapped := w.swap(*c.write)
				lost := rapid.Bool().Draw(t, "the answer is lost")
				if swapped && !lost {
					c.Wrote(written, c.sent, w.clock(c))
				}
				c.write = nil
			},
			"a clean end": func(t *rapid.T) {
				c := some(t)
				if write, held := c.Release(); held && c.write == nil {
					w.swap(write)
					c.Candidate = lease.NewCandidate(fmt.Sprint("new", w.now, c.starts), "host")
					c.starts++
				}
			},
			"a crash": func(t *rapid.T) {
				c := some(t)
				*c = controller{Candidate: lease.NewCandidate(fmt.Sprint("new", w.now, c.starts), "host"), offset: c.offset, starts: c.starts + 1, change: c.change, create: c.create}
			},
			"a change is sent": func(t *rapid.T) {
				if c := some(t); c.change == nil && c.MayWrite(w.clock(c)) {
					c.change = &object{w.object.version, c.Seen().Epoch}
				}
			},
			// It may arrive at any time, also when its sender was paused meanwhile.
			"a change arrives": func(t *rapid.T) {
				c := some(t)
				if c.change == nil {
					return
				}
				if c.change.version == w.object.version {
					if c.change.epoch < w.object.epoch {
						t.Fatalf("epoch %d wrote the object after epoch %d", c.change.epoch, w.object.epoch)
					}
					w.object = object{w.object.version + 1, c.change.epoch}
				}
				c.change = nil
			},
			"a creation is sent": func(t *rapid.T) {
				if c := some(t); c.create == nil && c.MayWrite(w.clock(c)) {
					c.create = &create{c.Seen().Epoch, w.now}
				}
			},
			// Nothing keeps one from arriving late, but it must be on its way for longer than
			// Margin: the next leader waits for that long after the last one has stopped.
			"a creation arrives": func(t *rapid.T) {
				c := some(t)
				if c.create == nil {
					return
				}
				if took := w.now - c.create.sent; took <= lease.Margin && c.create.epoch < w.newest {
					t.Fatalf("after %s something was created in epoch %d, after epoch %d", took, c.create.epoch, w.newest)
				}
				c.create = nil
			},
			"": w.check,
		})
	})
}

// run lets controllers live without trouble for a while.
func (w *world) run(duration time.Duration, living ...*controller) {
	for end := w.now + duration; w.now < end; w.now += time.Second {
		for _, c := range living {
			c.Observe(w.stored, w.clock(c))
			if c.Role() == lease.Leader && w.now%(6*time.Second) != 0 {
				continue
			}
			if write, due := c.Next(w.clock(c)); due {
				if written, swapped := w.swap(write); swapped {
					c.Wrote(written, w.clock(c), w.clock(c))
				}
			}
		}
	}
}

func TestTakeOver(t *testing.T) {
	a := &controller{Candidate: lease.NewCandidate("a", "one")}
	b := &controller{Candidate: lease.NewCandidate("b", "two"), offset: time.Hour}
	w := &world{all: []*controller{a, b}}
	w.run(time.Minute, a, b)
	if a.Role() != lease.Leader || b.Role() != lease.Standby || a.Foreign() {
		t.Fatalf("the first has role %d, the second %d", a.Role(), b.Role())
	}
	w.run(8*time.Second, b) // the first is gone
	if b.Role() != lease.Standby || a.MayWrite(w.clock(a)) {
		t.Errorf("before the lease has run out the second has role %d, and the first may write: %t", b.Role(), a.MayWrite(w.clock(a)))
	}
	if !b.Foreign() {
		t.Error("the second takes what it remembers for up to date")
	}
	w.run(10*time.Second, b)
	if !b.MayWrite(w.clock(b)) || b.Seen().Epoch != 2 {
		t.Errorf("20 seconds later the second has role %d in epoch %d", b.Role(), b.Seen().Epoch)
	}
	w.run(2*time.Second, a, b) // the first is back
	if a.Role() != lease.Standby || a.MayWrite(w.clock(a)) {
		t.Errorf("the former leader has role %d", a.Role())
	}
	released, _ := b.Release()
	w.swap(released)
	w.run(2*time.Second, a)
	if !a.MayWrite(w.clock(a)) || a.Seen().Epoch != 3 {
		t.Errorf("after a clean end the other has role %d in epoch %d", a.Role(), a.Seen().Epoch)
	}
}

// A controller that begins again does not wait for itself.
func TestARestartWaitsForNobody(t *testing.T) {
	a := &controller{Candidate: lease.NewCandidate("a", "one")}
	w := &world{all: []*controller{a}}
	w.run(time.Minute, a)
	again := &controller{Candidate: lease.NewCandidate("a", "one")}
	w.run(time.Second, again)
	if !again.MayWrite(w.clock(again)) || again.Foreign() || again.Seen().Epoch != 2 {
		t.Errorf("it has role %d in epoch %d", again.Role(), again.Seen().Epoch)
	}
}

// Somebody removes the lease: its holder writes it again; if it does not, another
// controller takes it, but not before the holder has stopped writing.
func TestALeaseThatWasRemoved(t *testing.T) {
	for _, lives := range []bool{true, false} {
		w := &world{}
		for i := range 2 {
			w.all = append(w.all, &controller{Candidate: lease.NewCandidate(fmt.Sprint(i), "host"), offset: time.Duration(i) * time.Hour})
		}
		holder, standby := w.all[0], w.all[1]
		w.run(time.Second, holder)
		w.run(20*time.Second, holder, standby)
		epoch := holder.Seen().Epoch
		w.stored = kargo.Lease{}
		if !lives {
			w.run(12*time.Second, standby)
			if standby.MayWrite(w.clock(standby)) {
				t.Error("the standby writes while the holder may")
			}
			w.run(10*time.Second, standby)
			if !standby.MayWrite(w.clock(standby)) || standby.Seen().Epoch != epoch+1 || standby.Seen().Holder != "1" {
				t.Errorf("the standby has %+v after epoch %d", standby.Seen(), epoch)
			}
			continue
		}
		w.run(20*time.Second, holder, standby)
		if !holder.MayWrite(w.clock(holder)) || holder.Seen().Epoch != epoch || standby.Role() != lease.Standby {
			t.Errorf("the holder has %+v after epoch %d, the standby is %d", holder.Seen(), epoch, standby.Role())
		}
	}
}
