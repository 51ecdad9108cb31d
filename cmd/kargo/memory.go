package main

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// ownCgroup is where a container finds the limits that the engine set for it.
var ownCgroup = os.DirFS("/sys/fs/cgroup")

// containerMemory returns the bytes of memory that this container may use, and whether
// there is such a limit.
func containerMemory(cgroup fs.FS) (limit int64, limited bool) {
	for _, file := range []string{"memory.max", "memory/memory.limit_in_bytes"} { // of version 2, of version 1
		text, err := fs.ReadFile(cgroup, file)
		if err != nil {
			continue
		}
		// "max" is not a number, and means no limit.
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			return limit, true
		}
	}
	return 0, false
}

// controllerMemory returns how much of a container's memory Go may use in the
// controller, in bytes. One part of ten is for what Go does not count, such as the
// program itself and users' scripts, and reading is for the child that reads a revision.
// The controller reads the same revision later. So it gets at least what it would have
// beside a child with half of the memory.
func controllerMemory(container, reading int64) int64 {
	tenth := container / 10
	return max(9*tenth-reading, 4*tenth)
}

// limitMemory makes the garbage collector work harder before the container's memory
// runs out. Whoever sets GOMEMLIMIT decides instead.
func limitMemory(reading int64, log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if container, limited := containerMemory(ownCgroup); limited {
		limit := controllerMemory(container, reading)
		debug.SetMemoryLimit(limit)
		log.Debug("the container limits memory", "container_mib", container>>20, "controller_mib", limit>>20)
	}
}

// The garbage collector works once as much again as is alive was allocated. Here it waits until
// that are leastGrowth bytes, which are given back after work, but not for more than mostGrowth
// percent of what is alive.
const (
	leastGrowth = 36 << 20
	mostGrowth  = 400
)

// collectBySize has the garbage collector work as often as suits the size of what is alive,
// from now on.
func collectBySize() {
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	present := 0
	var afterEach func()
	afterEach = func() {
		metrics.Read(alive)
		if next := collectionFor(alive[0].Value.Uint64()); next != present {
			present = next
			debug.SetGCPercent(next)
		}
		afterCollection(afterEach)
	}
	afterEach()
}

// afterCollection calls a function once the garbage collector has worked next.
func afterCollection(do func()) {
	nobodyUses := new([64]byte) // so it is gone then
	runtime.AddCleanup(nobodyUses, func(do func()) { do() }, do)
}

// collectionFor returns by how many percent what is alive may grow until the garbage
// collector works again.
func collectionFor(alive uint64) int {
	return int(min(mostGrowth, max(100, 100*leastGrowth/max(alive, 1))))
}

// The time between work and giving back its memory, and between two such times.
const (
	restAfterWork  = 5 * time.Second
	betweenReturns = time.Minute
)

// idleMemory gives memory back to the system after work that needed much of it. Go by
// itself keeps what the next work may need, but that may be hours away. So does the
// system with the pages of the program.
type idleMemory struct {
	worked chan struct{}
	free   func()
}

func newIdleMemory() *idleMemory {
	return &idleMemory{worked: make(chan struct{}, 1), free: func() {
		debug.FreeOSMemory()
		releaseProgram()
	}}
}

// after notes that a phase of a round has ended. Only two need much memory.
func (m *idleMemory) after(phase string) {
	if phase != "render" && phase != "apply" {
		return
	}
	select {
	case m.worked <- struct{}{}:
	default: // it is noted
	}
}

// run gives memory back until ctx ends. To find what is free takes processor time, so
// it does that once a minute at most.
func (m *idleMemory) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.worked:
		}
		if sleep(ctx, restAfterWork) != nil {
			return
		}
		m.free()
		if sleep(ctx, betweenReturns) != nil {
			return
		}
	}
}
