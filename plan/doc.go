// Package plan decides. It sets what should run against what does run and
// answers with an ordered list of changes, each with its reason, and of holds.
// It is pure: the same arguments give the same plan, whatever the order in
// which Swarm lists its objects.
//
// The order of a plan, and why:
//
//  1. labels of nodes, which services may need for their placement, and
//     networks that stacks share; then per stack, in the order of STACKS: its
//     networks, the configs its changing services need, its services;
//  2. services that nobody wants any more, last stack first; a service whose
//     published port a wanted service needs is removed before that one;
//  3. networks, then configs and secrets, once nothing uses them: while tasks
//     are still ending they are held, because removing a network under its
//     tasks leaks addresses in Swarm (moby#37338).
//
// Nothing to do means no change: Swarm overwrites a service's rollback target
// on every update and re-runs a job on every update, changed or not.
package plan
