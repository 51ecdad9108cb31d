// Package metrics stands for the metrics of Docker's daemon, which swarmkit and the client
// of registries define at their start. Kargo publishes its own metrics only, so these
// measure and publish nothing.
package metrics

import "time"

// Namespace is a set of metrics.
type Namespace struct{}

// NewNamespace returns an empty set.
func NewNamespace(_, _ string, _ map[string]string) *Namespace { return nil }

// Register publishes nothing.
func Register(*Namespace) {}

// Timer measures nothing.
type Timer struct{}

// NewTimer returns a Timer.
func (*Namespace) NewTimer(_, _ string) Timer { return Timer{} }

// Update measures nothing.
func (Timer) Update(time.Duration) {}

// StartTimer returns a function that does nothing.
func StartTimer(Timer) (stop func()) { return func() {} }

// LabeledCounter counts nothing.
type LabeledCounter struct{}

// NewLabeledCounter returns a LabeledCounter.
func (*Namespace) NewLabeledCounter(_, _ string, _ ...string) LabeledCounter {
	return LabeledCounter{}
}

// WithValues returns the counter for a label.
func (c LabeledCounter) WithValues(...string) LabeledCounter { return c }

// Inc counts nothing.
func (LabeledCounter) Inc(...float64) {}
