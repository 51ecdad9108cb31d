package swarmtest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ShareEngine lets a test use a real engine, at the address host, together with tests of
// other packages until it ends. It waits while another process has the engine alone.
func ShareEngine(t testing.TB, host string) { useEngine(t, host, syscall.LOCK_SH) }

// EngineAlone lets a test use a real engine until it ends while no other process shares
// it: for tests that count calls, because a controller looks again after the events of
// others. Tests of the same process do not keep out each other.
func EngineAlone(t testing.TB, host string) { useEngine(t, host, syscall.LOCK_EX) }

// useEngine locks files beside the engine's socket. Whoever waits for the engine holds
// the first one, so that those who share it cannot take turns while another waits.
func useEngine(t testing.TB, host string, how int) {
	t.Helper()
	socket := strings.TrimPrefix(host, "unix://")
	next := lockFile(t, socket+".next", syscall.LOCK_EX)
	engine := lockFile(t, socket+".use", how)
	_ = next.Close()
	t.Cleanup(func() { _ = engine.Close() })
}

func lockFile(t testing.TB, name string, how int) *os.File {
	t.Helper()
	file, err := os.OpenFile(filepath.Clean(name), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatalf("open the lock of the engine: %v", err)
	}
	for {
		if err = syscall.Flock(int(file.Fd()), how); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		t.Fatalf("lock %s: %v", name, err)
	}
	return file
}
