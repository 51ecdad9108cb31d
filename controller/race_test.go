//go:build race

package controller_test

// racing tells that the race detector is at work: it is slow, and allocates.
const racing = true
