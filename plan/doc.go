// Package plan decides what is to be done. It compares what should run with what
// does run, and returns an ordered list of changes, each with its reason, and of
// holds: changes that are wanted but must not be made now.
//
// The package is pure: it calls nobody, reads no clock and keeps no state. Equal
// arguments give equal results, whatever the order in which Swarm lists its
// objects. Every function may be called from any goroutine. None returns an
// error, except NewestTag: what cannot be done is a hold in the plan.
//
// # What to call
//
//   - Make returns the plan for the stacks of a revision (package compile), the
//     objects that exist (package swarm) and what earlier rounds left (Memory).
//     The loop, `kargo plan` and `kargo apply` all get their plan this way.
//   - StandIn returns the stacks that should run while some renderings cannot;
//     NeedGood returns the renderings that must be read for it first. Make calls
//     StandIn itself.
//   - NewIndex prepares one look at the Swarm for StackHealth, ServiceHealth,
//     Settled and Judge. Judge decides when a rendering is good or has failed.
//   - Session.NoteFailure and DriftBackoff.Corrected return what to remember
//     after a change was sent.
//   - Diff and SpecDigest compare two specs the way Swarm does.
//   - Verdicts compares a revision with the one before it, NewestTag chooses a
//     tag for an image, Cleaning and MayGo choose images to remove from nodes.
//
// # The order of a plan
//
//  1. Labels of nodes, because services may need them for their placement, and
//     networks that stacks share. Then the stacks in the order of STACKS: the
//     networks of a stack, the configs and secrets that its changing services
//     need, its services.
//  2. Removals of services that nobody wants any more, the last stack first. A
//     service whose published port is needed is removed before its successor is
//     created.
//  3. Removals of networks, then of configs and secrets, that nothing uses. They
//     are held while tasks are ending: to remove a network under its tasks leaks
//     addresses in Swarm (moby#37338).
//
// Where nothing differs there is no change, because no update is without effect:
// Swarm overwrites the rollback target of a service on every update, and runs a
// job again on every update.
package plan
