// Package conformance tests that Kargo keeps the contract of workspaces: what
// an existing workspace relies on. It has tests only.
//
// Each file of testdata is named after its subject. It has a default and a user
// configuration. The test makes the merged configuration in the plainest way
// (copies, a real bash). It gives the historic file list of each stack to
// Docker's own loader and converter, which `docker stack config` and `docker
// stack deploy` run. Then it compares the result with Kargo's rendering. They
// must be equal, except for the lines under "deviations". These are intended,
// and the prose gives the reason.
package conformance
