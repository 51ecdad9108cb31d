package controller_test

import (
	"bytes"
	"fmt"
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

// A commit that waits for room on the disk, wherever that is missing, holds nothing up: drift
// of what is in force is corrected, also by a process that has just begun. With room the
// commit goes on by itself.
func TestDriftIsCorrectedWhileACommitWaitsForRoom(t *testing.T) {
	for name, fill := range map[string]func(*world) (empty func()){
		"for the merged configuration": func(w *world) func() {
			w.unwritable = errDiskFull
			return func() { w.unwritable = nil }
		},
		"for the commit": func(w *world) func() {
			w.repo.refuse("c2", errDiskFull)
			return func() { w.repo.refuse("", nil) }
		},
		"for what git says": func(w *world) func() {
			w.repo.fail(errDiskFull)
			return func() { w.repo.fail(nil) }
		},
	} {
		for when, restart := range map[string]bool{"": false, ", and Kargo begins again": true} {
			t.Run(name+when, func(t *testing.T) {
				run(t, func(w *world) { driftWhileACommitWaits(w, fill, restart) })
			})
		}
	}
}

func driftWhileACommitWaits(w *world, fill func(*world) (empty func()), restart bool) {
	var log bytes.Buffer
	w.logTo(&log)
	w.repo.commit("c1", app("app:1", "web")...)
	w.start()
	empty := fill(w)
	w.repo.commit("c2", app("app:2", "web")...)
	if restart {
		w.stop()
		w.start()
	}
	w.pass(2 * time.Minute)
	w.wantWrites()
	for replicas := range uint64(2) {
		w.swarm.scaleByHand("kargo-web_web", 3+replicas)
		w.event("service update kargo-web_web")
		w.wantWrites(fmt.Sprintf("update service kargo-web_web: Mode.Replicated.Replicas: %d -> 1", 3+replicas))
	}
	status := w.loop.Status()
	if status.Applied.Commit != "c1" || !strings.Contains(status.DiskTrouble, "no space left on device") {
		w.t.Errorf("%s is in force, disk trouble %q", status.Applied.Commit, status.DiskTrouble)
	}
	empty()
	w.pass(2 * time.Minute)
	if status := w.loop.Status(); status.Applied.Commit != "c2" || status.Message != "" {
		w.t.Errorf("with room %s is in force: %s", status.Applied.Commit, status.Message)
	}
	if n := len(w.swarm.writes()); n != 1 {
		w.t.Errorf("with room was written %q, want one update", w.swarm.writes())
	}
	if n := strings.Count(log.String(), `msg="new revision" revision=main@c2`); n != 1 {
		w.t.Errorf("the commit is new %d times:\n%s", n, log.String())
	}
}
