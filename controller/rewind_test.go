package controller_test

import (
	"strings"
	"testing"

	"kargo"
)

// back sets the head to a commit that was made before.
func (r *repository) back(commit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head = commit
}

func (w *world) wantRefusedRewind() {
	w.t.Helper()
	w.wantWrites()
	status := w.loop.Status()
	if !status.Rewinds || !strings.Contains(status.Problems.Error(), "commit release-1 does not come after release-2") {
		w.t.Errorf("the older commit is not refused (rewinds %t, problems %q)", status.Rewinds, status.Problems.Error())
	}
	if status.Applied.Commit != "release-2" {
		w.t.Errorf("%s is in force", status.Applied.Commit)
	}
}

// An older commit that was signed once is not followed, also after a restart, until a
// person approves it.
func TestS46_AnOlderSignedCommitNeedsAPerson(t *testing.T) {
	run(t, func(w *world) {
		w.repo.signed = true
		w.repo.commit("release-1", app("app:1", "web")...)
		w.start()
		w.repo.commit("release-2", app("app:2", "web")...)
		w.nudge("webhook github")
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`)

		w.repo.back("release-1")
		w.nudge("webhook github")
		w.wantRefusedRewind()
		w.stop()
		w.start()
		w.wantRefusedRewind()

		for _, text := range []string{"", "releas", "release-2", "0123456789ab"} {
			if err := w.loop.Approve(w.t.Context(), text, kargo.Person{}); kargo.FaultOf(err) != kargo.Conflict {
				t.Errorf("approve %q: %v", text, err)
			}
		}
		w.after(func() {
			if err := w.loop.Approve(w.t.Context(), "release-1", kargo.Person{Name: "ada"}); err != nil {
				t.Error(err)
			}
		})
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:2" -> "app:1"`)
		if status := w.loop.Status(); status.Rewinds || status.Applied.Commit != "release-1" {
			t.Errorf("after the approval: rewinds %t, %s is in force", status.Rewinds, status.Applied.Commit)
		}
		if kinds := w.kinds(); !strings.Contains(kinds, string(kargo.EntryApproval)) {
			t.Errorf("the history does not have the approval: %s", kinds)
		}

		w.repo.back("release-2") // forward again needs nobody
		w.nudge("webhook github")
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`)
	})
}

// A commit that the ref moved on to between the check and the download is checked.
func TestS46_WhatIsCheckedIsWhatWasFetched(t *testing.T) {
	run(t, func(w *world) {
		w.repo.signed = true
		w.repo.commit("release-1", app("app:1", "web")...)
		w.repo.commit("release-2", app("app:2", "web")...)
		w.start()
		w.repo.commit("release-3", app("app:3", "web")...)
		w.repo.instead = "release-1"
		w.nudge("webhook github")
		w.wantRefusedRewind()
	})
}

// A controller that lost its data directory, or takes over, knows from the lease what
// was in force.
func TestS46_TheLeaseSaysWhatIsInForce(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.repo.signed = true
		m.repo.commit("release-1", fine.files()...)
		m.repo.commit("release-2", fine.files()...)
		one := m.replica("one")
		m.live(30)
		one.stop()

		m.repo.back("release-1")
		two := m.replica("two")
		defer func() { two.stop() }()
		m.live(30)
		status := two.loop.Status()
		if !status.Rewinds || status.Leader != "" || status.Applied.Commit != "" {
			t.Errorf("the new leader follows the older commit (rewinds %t, leader %q, in force %q)", status.Rewinds, status.Leader, status.Applied.Commit)
		}
		if got, want := m.runningImages(), fine.want(); got != want {
			t.Errorf("%s run, want %s", got, want)
		}
	})
}
