package main

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestControllerMemory(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ container, reading, want int64 }{
		{512, 256, 204}, // the usual child
		{8192, 1024, 6348},
		{256, 192, 102},  // the least child leaves too little
		{512, 1024, 204}, // --read-memory is more than there is
		{9223372036854771712 / mib, 1024, 7916483718962}, // no limit, in cgroups of version 1
	} {
		if got := controllerMemory(c.container*mib, c.reading*mib) / mib; got != c.want {
			t.Errorf("container %d MiB, child %d MiB: %d MiB, want %d", c.container, c.reading, got, c.want)
		}
	}
}

// With 100 stacks some 10 MiB are alive, with 1,000 some 55: there, more than twice as much
// would be too much.
func TestTheCollectorIsSeldomWhileLittleIsAlive(t *testing.T) {
	for alive, want := range map[uint64]int{0: 400, 6 << 20: 400, 12 << 20: 300, 24 << 20: 150, 80 << 20: 100} {
		if got := collectionFor(alive); got != want {
			t.Errorf("%d MiB alive: %d %%, want %d", alive>>20, got, want)
		}
	}
}

// Memory is given back once work has ended, once a minute at most, and not without work.
func TestIdleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		began := time.Now()
		var mutex sync.Mutex
		var freed []time.Duration
		m := newIdleMemory()
		m.free = func() {
			mutex.Lock()
			defer mutex.Unlock()
			freed = append(freed, time.Since(began))
		}
		go m.run(ctx)
		wantFreed := func(what string, want ...time.Duration) {
			t.Helper()
			synctest.Wait()
			mutex.Lock()
			defer mutex.Unlock()
			if len(freed) != len(want) || len(want) > 0 && freed[len(freed)-1] != want[len(want)-1] {
				t.Fatalf("%s: freed after %s, want %s", what, freed, want)
			}
		}
		m.after("git")
		m.after("round")
		time.Sleep(time.Hour)
		wantFreed("idle rounds")

		for range 30 { // a commit each second
			m.after("render")
			m.after("apply")
			time.Sleep(time.Second)
		}
		wantFreed("during work", time.Hour+5*time.Second)
		time.Sleep(time.Hour)
		wantFreed("after work", time.Hour+5*time.Second, time.Hour+70*time.Second)
		end()
	})
}
