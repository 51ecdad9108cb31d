package controller

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"kargo"
)

// phases adds up how long the phases of rounds took, for the deployment that these rounds
// are about. The reader adds to it beside the rounds.
type phases struct {
	mu   sync.Mutex
	took map[string]time.Duration
}

func (p *phases) add(phase string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.took == nil {
		p.took = map[string]time.Duration{}
	}
	p.took[phase] += took
}

// total returns the phases so far, the longest first.
func (p *phases) total() []kargo.Phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []kargo.Phase
	for name, took := range p.took {
		all = append(all, kargo.Phase{Name: name, Took: took})
	}
	slices.SortFunc(all, func(a, b kargo.Phase) int { return cmp.Or(cmp.Compare(b.Took, a.Took), cmp.Compare(a.Name, b.Name)) })
	return all
}

// begin forgets what was added so far: it belongs to a deployment that has ended, or to
// none.
func (p *phases) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = nil
}

// counting returns parts whose phases are added up, too.
func (p *phases) counting(parts Parts) Parts {
	measure := parts.Effects.Measure
	parts.Effects.Measure = func(phase, result string, took time.Duration) {
		p.add(phase, took)
		if measure != nil {
			measure(phase, result, took)
		}
	}
	return parts
}
