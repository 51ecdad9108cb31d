// Package charttest checks the Helm chart in ../kargo.
//
// It is a module of its own, because it needs Helm and the types of Kubernetes, on
// which Kargo must not depend. Run it in this directory and without the test cache,
// which does not notice changes outside of a module:
//
//	go test -count=1 ./...
package charttest
