package controller_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"kargo"
)

// The history says how long the phases of a deployment took, from the question to git on,
// and counts no round before it.
func TestTheHistorySaysHowLongThePhasesTook(t *testing.T) {
	run(t, func(w *world) {
		write := w.parts.Effects.Write
		w.parts.Effects.Write = func(ws kargo.Workspace) error {
			time.Sleep(time.Second)
			return write(ws)
		}
		var mutex sync.Mutex // the reader works beside the rounds
		measured := map[string]time.Duration{}
		w.parts.Effects.Measure = func(phase, _ string, took time.Duration) {
			mutex.Lock()
			defer mutex.Unlock()
			measured[phase] += took
		}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.pass(3 * time.Minute) // with rounds that ask git and find nothing
		w.repo.commit("c2", app("app:2", "web")...)
		w.pass(2 * time.Minute)
		w.stop()
		for i, deployment := range w.records.deployments {
			if len(deployment.Phases) == 0 || deployment.Phases[0] != (kargo.Phase{Name: "write", Took: time.Second}) {
				t.Errorf("deployment %d: %v", i+1, deployment.Phases)
			}
			for _, want := range []string{"git", "fetch", "render", "observe", "plan", "apply", "judge"} {
				if !slices.ContainsFunc(deployment.Phases, func(p kargo.Phase) bool { return p.Name == want }) {
					t.Errorf("deployment %d has no phase %q: %v", i+1, want, deployment.Phases)
				}
			}
		}
		if len(w.records.deployments) != 2 || measured["write"] != 3*time.Second { // the verification writes, too
			t.Errorf("%d deployments, measured %v", len(w.records.deployments), measured)
		}
	})
}
