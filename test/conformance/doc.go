// Package conformance holds Kargo to the contract of workspaces: what an
// existing workspace relies on. It has no program, only tests.
//
// Each file of testdata is named after what it is about. It holds a default
// and a user configuration; the test makes the merged configuration of it in
// the plainest way (copies, a real bash), gives the historic file list of each
// stack to Docker's own loader and converter, which are what `docker stack
// config` and `docker stack deploy` run, and sets what comes out against Kargo's
// rendering. They must be equal, but for the
// lines under "deviations", which Kargo means: the prose says why.
package conformance
