//go:build race

package controller_test

// racing reports that the race detector runs, which is slow and allocates
// memory.
const racing = true
