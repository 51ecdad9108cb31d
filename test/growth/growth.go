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

// Check fails the test if something of four times the size allocates more than 4.5
// times as much, in bytes or in objects. Prepare makes something of a size and
// returns what is measured.
func Check(t *testing.T, size int, prepare func(size int) func()) {
	t.Helper()
	bytes, objects := cost(prepare(size))
	manyBytes, manyObjects := cost(prepare(4 * size))
	if manyBytes > most*bytes || manyObjects > most*objects {
		t.Errorf("a size of %d takes %.0f bytes in %.0f objects, and one of %d takes %.0f in %.0f: %.1f and %.1f times as much",
			size, bytes, objects, 4*size, manyBytes, manyObjects, manyBytes/bytes, manyObjects/objects)
	}
}

func cost(do func()) (bytes, objects float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc - before.TotalAlloc), float64(after.Mallocs - before.Mallocs)
}
