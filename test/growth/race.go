//go:build race

package growth

// withDetector: the race detector makes pools throw objects away at random, so counts of
// allocations say nothing.
const withDetector = true
