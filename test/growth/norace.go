//go:build !race

package growth

const withDetector = false
