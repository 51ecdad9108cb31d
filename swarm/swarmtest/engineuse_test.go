package swarmtest_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"kargo/swarm/swarmtest"
)

// Each use has a file descriptor of its own, so the locks work here as between processes.
func TestEngineIsSharedOrAlone(t *testing.T) {
	host := "unix://" + filepath.Join(t.TempDir(), "docker.sock")
	var sharing, alone atomic.Int64
	for i := range 12 {
		use, users := swarmtest.ShareEngine, &sharing
		if i%3 == 0 {
			use, users = swarmtest.EngineAlone, &alone
		}
		t.Run(fmt.Sprint("use ", i), func(t *testing.T) {
			t.Parallel()
			use(t, host)
			users.Add(1)
			defer users.Add(-1)
			for range 1000 {
				runtime.Gosched()
				if s, a := sharing.Load(), alone.Load(); a > 1 || (a == 1 && s > 0) {
					t.Fatalf("%d have the engine alone while %d share it", a, s)
				}
			}
		})
	}
}

// This would never end if those who share the engine waited for each other.
func TestTwoShareTheEngine(t *testing.T) {
	host := "unix://" + filepath.Join(t.TempDir(), "docker.sock")
	swarmtest.ShareEngine(t, host)
	swarmtest.ShareEngine(t, host)
}
