// Package growth holds, in tests, that what something costs grows with its size and
// no faster. It counts, and measures no time: these numbers are the same on every
// machine.
package growth

import (
	"runtime"
	"testing"
)

// most is how many times as much may be allocated for four times the size.
const most = 4.5

// same is how many times as much may be allocated where the size must not count. The
// runtime allocates a little for itself now and then, at most so much.
const (
	same           = 1.1
	runtimeBytes   = 4096
	runtimeObjects = 20
)

// Check fails the test if something of four times the size allocates more than 4.5
// times as much, in bytes or in objects. Prepare makes something of a size and
// returns what is measured.
func Check(t *testing.T, size int, prepare func(size int) func()) {
	t.Helper()
	skipWithDetector(t)
	bytes, objects := cost(prepare(size))
	manyBytes, manyObjects := cost(prepare(4 * size))
	if manyBytes > most*bytes || manyObjects > most*objects {
		t.Errorf("a size of %d takes %.0f bytes in %.0f objects, and one of %d takes %.0f in %.0f: %.1f and %.1f times as much",
			size, bytes, objects, 4*size, manyBytes, manyObjects, manyBytes/bytes, manyObjects/objects)
	}
}

// Same fails the test if something of four times the size allocates noticeably more, in
// bytes or in objects: its cost must not depend on the size. Prepare is as in [Check];
// what it returns is called several times, and must do the same each time.
func Same(t *testing.T, size int, prepare func(size int) func()) {
	t.Helper()
	skipWithDetector(t)
	bytes, objects := leastCost(prepare(size))
	manyBytes, manyObjects := leastCost(prepare(4 * size))
	if manyBytes > same*bytes+runtimeBytes || manyObjects > same*objects+runtimeObjects {
		t.Errorf("with a size of %d it takes %.0f bytes in %.0f objects, and with %d it takes %.0f in %.0f",
			size, bytes, objects, 4*size, manyBytes, manyObjects)
	}
}

func skipWithDetector(t *testing.T) {
	t.Helper()
	if withDetector {
		t.Skip("the race detector allocates at random; the run without it counts")
	}
}

// leastCost returns the least of several measurements: what else the process does can only
// add to one.
func leastCost(do func()) (bytes, objects float64) {
	bytes, objects = cost(do)
	for range 2 {
		someBytes, someObjects := cost(do)
		bytes, objects = min(bytes, someBytes), min(objects, someObjects)
	}
	return bytes, objects
}

func cost(do func()) (bytes, objects float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc - before.TotalAlloc), float64(after.Mallocs - before.Mallocs)
}
