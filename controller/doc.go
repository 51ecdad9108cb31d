// Package controller keeps a Swarm equal to a repository: one goroutine, one
// round at a time.
//
// A round asks git for the newest revision; reads it, if it is new, into what
// should run; looks at Swarm, if anything may have changed there; makes a plan;
// carries it out; records what it did. No step waits: while services are
// rolling out the loop looks again soon, and a plan that broke off half way is
// finished by the next round. The process may be killed at any instruction.
//
// There are two types, with two rules for threads:
//
//   - [Loop] is for everyone. Its Run calls round after round until its context
//     ends; all its other methods may be called from any goroutine at any time,
//     and return at once, except for Preview, which waits for its turn.
//   - [Reconciler] runs single rounds. It belongs to one goroutine: Loop.Run in
//     the controller, the command itself in apply, deploy, remove and plan. Only
//     its Status may be called from others.
//
// Both are made from [Parts]. What plans mean is decided by package plan, what
// revisions mean by package compile; this package decides when.
//
// Errors of a round are kargo faults: Unavailable is tried again with back-off,
// Conflict at once, Invalid waits for another revision, Internal for the next
// interval.
package controller
