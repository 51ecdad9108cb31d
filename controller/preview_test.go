package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kargo"
	"kargo/controller"
)

// witness is a Swarm that keeps the plans that are carried out on it.
type witness struct {
	controller.Swarm
	plans []string
}

func (w *witness) Apply(ctx context.Context, plan kargo.Plan, sending func([]kargo.Change), done func(kargo.Change, error)) error {
	w.plans = append(w.plans, plan.String())
	return w.Swarm.Apply(ctx, plan, sending, done)
}

// What a preview says is what the next round does, whatever happened before:
// renderings that failed and were rolled back, images that are not available,
// drift, restarts. And it changes nothing.
func TestPreviewIsWhatTheNextRoundDoes(t *testing.T) {
	checkInBubbles(t, func(m *matrix, rt *rapid.T) {
		p := newPreviewed(m)
		p.push(fine)
		rt.Repeat(map[string]func(*rapid.T){
			"push":    func(rt *rapid.T) { p.push(someRendering(rt, m.last)); p.compare(rt) },
			"by hand": func(rt *rapid.T) { m.someHand(rt); p.compare(rt) },
			"restart": func(rt *rapid.T) { p.restart(); p.compare(rt) },
			"retry":   func(rt *rapid.T) { p.reconciler.Retry("web"); p.compare(rt) },
			"rest": func(rt *rapid.T) {
				p.rest(rapid.IntRange(1, 90).Draw(rt, "seconds"))
				p.compare(rt)
			},
		})
	})
}

// previewed is a matrix whose rounds a test runs by itself.
type previewed struct {
	*matrix
	witness    *witness
	reconciler *controller.Reconciler
}

func newPreviewed(m *matrix) *previewed {
	p := &previewed{matrix: m, witness: &witness{Swarm: m.parts.Swarm}}
	m.parts.Swarm = p.witness
	p.restart()
	return p
}

// restart goes on with what was recorded, as a new process does.
func (p *previewed) restart() {
	p.parts.Memory, p.parts.Unfinished = p.records.memory, nil
	if n := len(p.records.deployments); n > 0 && p.records.deployments[n-1].Finished.IsZero() {
		unfinished := p.records.deployments[n-1]
		p.parts.Unfinished = &unfinished
	}
	p.reconciler = controller.NewReconciler(p.parts)
}

func (p *previewed) push(r rendering) {
	p.pushes++
	p.last = r
	p.repo.commit(fmt.Sprint("c", p.pushes), r.files()...)
}

// rest lets the Swarm go on, and looks at it each second.
func (p *previewed) rest(seconds int) {
	for range seconds {
		p.engine.Step()
		time.Sleep(time.Second)
		_ = p.reconciler.LookAgain(p.t.Context())
	}
}

// compare takes a preview, runs a round, and holds one against the other.
func (p *previewed) compare(rt *rapid.T) {
	before := p.everything()
	preview, err := p.reconciler.Preview(p.t.Context())
	if err != nil {
		rt.Fatalf("preview: %v", err)
	}
	if after := p.everything(); after != before {
		rt.Fatalf("the preview changed something:\n%s\nbefore:\n%s", after, before)
	}
	p.witness.plans = nil
	if err := p.reconciler.RoundNow(p.t.Context(), "test"); err != nil && kargo.FaultOf(err) != kargo.Invalid {
		rt.Fatalf("round: %v", err)
	}
	pending := p.reconciler.Status().Pending
	did := kargo.Plan{Held: pending.Held, Warnings: pending.Warnings}.String()
	if len(p.witness.plans) > 0 {
		did = p.witness.plans[0]
	}
	if said := preview.Plan.String(); said != did {
		rt.Errorf("the preview said:\n%s\nthe round did:\n%s", said, did)
	}
}

// everything is all that a preview must leave as it is.
func (p *previewed) everything() string {
	records, err := json.Marshal([]any{p.records.deployments, p.records.memory, p.records.attempts, p.reconciler.Status()})
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Join(p.engine.Writes(), "\n") + "\n" + string(records) + "\n" + strings.Join(p.written, " ")
}
