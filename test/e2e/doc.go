// Package e2e holds the end-to-end tests and nothing else. They run the built
// kargo binary, as people run it, against
//
//   - a Swarm in memory (swarm/swarmtest) behind a unix socket: always, fast;
//   - the real engine and git host of the test bed: not with -short.
//
// What a test stands on is in the files bed_test.go (the Swarm, and the scene
// as a whole), daemon_test.go (the socket between the two, which counts calls
// and can misbehave), process_test.go (the controller), repository_test.go and
// workspace_test.go. The other files are named after what they show.
//
//	go test -short ./test/e2e/                  in memory only
//	test/bed/run --git -- go test ./test/e2e/       all of it
//
// Tests on the real engine share it: each has an instance, stacks and networks
// of its own and removes what carries its instance's label.
package e2e
