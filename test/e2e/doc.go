// Package e2e holds the end-to-end tests and nothing else. They run the built
// kargo binary, as people run it, against
//
//   - a Swarm in memory (swarm/swarmtest) behind a unix socket: always, fast;
//   - the real engine and git host of the test bed: not with -short.
//
// A test begins with a scene: a Swarm, a repository and a controller that is not
// started yet. The daemon is the socket between the controller and the Swarm; it
// counts calls and can fail on demand. Files are named after what they test.
//
//	go test -short ./test/e2e/                  in memory only
//	test/bed/run --git -- go test ./test/e2e/       all of it
//
// Tests on the real engine share it: each has an instance, stacks and networks
// of its own and removes what carries its instance's label.
package e2e
