// Package charttest checks the Helm chart in ../kargo.
//
// It is a module of its own: it needs Helm and the types of Kubernetes, which
// Kargo itself shall not depend on. Run it in this directory, without the cache,
// which does not notice changes outside of a module:
//
//	go test -count=1 ./...
package charttest
