package controller_test

import (
	"bytes"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kargo"
)

// A full disk is not called a Swarm that is away. A new revision waits; when there is room,
// it goes on by itself.
func TestAFullDiskIsCalledThat(t *testing.T) {
	run(t, func(w *world) {
		var full atomic.Bool
		w.parts.Effects.Write = func(kargo.Workspace) error {
			if full.Load() {
				return &fs.PathError{Op: "write", Path: "/data/.kargo", Err: syscall.ENOSPC}
			}
			return nil
		}
		var log bytes.Buffer
		w.logTo(&log)
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		full.Store(true)
		w.repo.commit("c2", app("app:2", "web")...)
		w.pass(5 * time.Minute)
		w.wantWrites()
		status := w.loop.Status()
		if got, want := status.Sentence(), "the controller cannot write to its disk; web is well"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !strings.Contains(status.DiskTrouble, "no space left on device") || status.SwarmTrouble+status.GitTrouble != "" {
			t.Errorf("disk %q, swarm %q, git %q", status.DiskTrouble, status.SwarmTrouble, status.GitTrouble)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors are in the log, want one:\n%s", n, log.String())
		}
		full.Store(false)
		w.pass(2 * time.Minute)
		if len(w.swarm.writes()) != 1 {
			t.Errorf("written was %q, want the update", w.swarm.writes())
		}
		if status := w.loop.Status(); status.Sentence() != "web is well" {
			t.Errorf("with space: %s", status.Sentence())
		}
	})
}

// Git answered, but what it sent cannot be kept. That is not an address that cannot be reached.
func TestAFullDiskIsNotAGitThatIsAway(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.repo.fail(&fs.PathError{Op: "write", Path: "/data/git", Err: syscall.ENOSPC})
		w.pass(2 * time.Minute)
		if status := w.loop.Status(); !strings.Contains(status.DiskTrouble, "no space left") || status.GitTrouble != "" {
			t.Errorf("disk %q, git %q", status.DiskTrouble, status.GitTrouble)
		}
		w.repo.fail(kargo.Errorf(kargo.Unavailable, "fetch: %w", &net.OpError{Op: "dial", Err: syscall.EPERM}))
		w.pass(2 * time.Minute)
		if status := w.loop.Status(); status.DiskTrouble != "" || status.GitTrouble == "" {
			t.Errorf("a firewall: disk %q, git %q", status.DiskTrouble, status.GitTrouble)
		}
	})
}
