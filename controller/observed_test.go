package controller_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kargo"
)

// observed is a world beside which somebody watches what is done to the Swarm, and keeps
// what each commit says.
type observed struct {
	*world
	random  *rand.Rand
	commits map[string]map[string]string // images of stacks, by commit
	wanted  map[string]string            // what the newest commit says
	steps   []string
}

var observedStacks = []string{"web", "dbs", "crm", "wiki"}

func (o *observed) stack() string { return observedStacks[o.random.IntN(len(observedStacks))] }

// push commits other images for some stacks, and now and then leaves some stacks away.
func (o *observed) push() {
	next := map[string]string{}
	for _, stack := range observedStacks {
		next[stack] = o.wanted[stack]
		if next[stack] == "" || o.random.IntN(3) == 0 {
			next[stack] = fmt.Sprintf("%s:%d", stack, 1+o.random.IntN(3))
		}
	}
	if o.random.IntN(3) == 0 {
		for _, stack := range observedStacks[1+o.random.IntN(3):] {
			delete(next, stack)
		}
	}
	id := fmt.Sprintf("c%d", len(o.commits)+1)
	o.commits[id], o.wanted = next, next
	env := ".env=STACKS=\""
	var files []string
	for _, stack := range observedStacks {
		if image := next[stack]; image != "" {
			env += stack + " "
			files = append(files, "deploy/"+stack+".yml=services: {"+stack+": {image: '"+image+"', networks: [back]}}\nnetworks: {back: {external: true, name: kargo-back}}\n")
		}
	}
	env += "\"\n"
	for _, stack := range observedStacks {
		if next[stack] != "" {
			env += strings.ToUpper(stack) + "_STACK=" + stack + "\n"
		}
	}
	o.repo.commit(id, append([]string{env}, files...)...)
	o.loop.Nudge("webhook github")
}

// act does something that people do.
func (o *observed) act() (what string) {
	ctx, stop := o.t.Context(), kargo.Stop{By: ada, Why: "a test"}
	stack := o.stack()
	acts := []struct {
		about string
		do    func()
	}{
		{"push", o.push}, {"push", o.push}, {"push", o.push},
		{"refused push", func() { o.repo.commit("bad", ".env=STACKS=nosuch\n"); o.loop.Nudge("webhook github") }},
		{"rollback " + stack, func() { _ = o.loop.Rollback(ctx, stack, kargo.BackTo{}, stop) }},
		{"hold " + stack, func() { _ = o.loop.Hold(ctx, stack, stop) }},
		{"release " + stack, func() { _ = o.loop.Release(ctx, stack, ada, "") }},
		{"release all", func() { _ = o.loop.Release(ctx, "all", ada, "") }},
		{"suspend", func() { _ = o.loop.Suspend(ctx, stop) }},
		{"resume", func() { _ = o.loop.Resume(ctx, ada, "") }},
		{"approve", func() { _ = o.loop.Approve(ctx, o.loop.Status().Pending.ID, ada) }},
		{"scale " + stack + " by hand", func() {
			name := "kargo-" + stack + "_" + stack
			if _, runs := o.swarm.services[name]; runs {
				o.swarm.scaleByHand(name, 7)
				o.events <- eventOf("service update " + name)
			}
		}},
		{"restart", func() { o.stop(); o.start() }},
	}
	chosen := acts[o.random.IntN(len(acts))]
	chosen.do()
	return chosen.about
}

// moved returns the stacks whose services were written, and so what was done.
func (o *observed) moved() []string {
	var stacks []string
	for _, write := range o.swarm.writes() {
		if _, rest, isService := strings.Cut(write, " service kargo-"); isService {
			stack, _, _ := strings.Cut(rest, "_")
			stacks = append(stacks, stack)
		}
	}
	slices.Sort(stacks)
	return slices.Compact(stacks)
}

// said returns the stacks of which the history says that they moved.
func said(deployments []kargo.Deployment) (stacks []string, contradiction string) {
	for _, d := range deployments {
		for _, stack := range d.Stacks {
			switch {
			case stack.Verdict == kargo.VerdictUnchanged, stack.Verdict == kargo.VerdictHeld:
				continue
			case d.Kind.IsNote(), d.Outcome == kargo.OutcomeHeld, d.Outcome == kargo.OutcomeRefused:
				contradiction = fmt.Sprintf("deployment %d is %s, and stack %s %s", d.Number, d.Outcome, stack.Name, stack.Verdict)
			}
			stacks = append(stacks, stack.Name)
		}
	}
	slices.Sort(stacks)
	return slices.Compact(stacks), contradiction
}

// TestHistoryAndStatusSayWhatAnObserverSaw plays random histories: pushes, removals,
// refused revisions, rollbacks, holds, suspensions, approvals, drift and restarts. After
// each step the history names exactly the stacks whose services were written, and the
// status the revision that each of them runs.
func TestHistoryAndStatusSayWhatAnObserverSaw(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			run(t, func(w *world) {
				o := &observed{world: w, random: rand.New(rand.NewPCG(seed, 1)), commits: map[string]map[string]string{}, wanted: map[string]string{}}
				w.repo.commit("c0", app("first:1", observedStacks...)...)
				o.commits["c0"] = map[string]string{}
				for _, stack := range observedStacks {
					o.commits["c0"][stack], o.wanted[stack] = "first:1", "first:1"
				}
				w.start()
				w.pass(5 * time.Minute)
				for range 14 {
					before := len(w.records.deployments)
					w.forget()
					o.steps = append(o.steps, o.act())
					w.rest(6 * time.Minute)
					o.check(before)
				}
			})
		})
	}
}

func (o *observed) check(before int) {
	o.t.Helper()
	last := o.steps[len(o.steps)-1]
	if last == "restart" { // start forgets what was written
		return
	}
	stacks, contradiction := said(o.records.deployments[before:])
	if moved := o.moved(); !slices.Equal(stacks, moved) || contradiction != "" {
		o.t.Errorf("after %s: the history says that %v moved, and %v did; %s\n%s\nwrites:\n  %s", strings.Join(o.steps, ", "), stacks, moved, contradiction,
			o.records.text(), strings.Join(o.swarm.writes(), "\n  "))
	}
	for _, stack := range o.loop.Status().Stacks {
		live, runs := o.swarm.services["kargo-"+stack.Name+"_"+stack.Name]
		if image := o.commits[string(stack.Revision)][stack.Name]; runs && live.Image != image {
			o.t.Errorf("after %s: the status says that %s runs %q of %s, and %s runs", strings.Join(o.steps, ", "), stack.Name, image, stack.Revision, live.Image)
		}
	}
}
