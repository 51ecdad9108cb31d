// Package controller keeps a Swarm equal to a repository. One goroutine runs
// one round at a time.
//
// A round asks git for the newest revision. If the revision is new, the round
// reads it and learns what should run. It observes Swarm, if anything may have
// changed there. It makes a plan, carries it out, and records what it did. What
// takes as long as git takes is done by a reader beside the rounds. No
// step waits: while services are rolling out, the next round comes soon. The
// next round also finishes a plan that was interrupted. So the process may be
// killed at any instruction.
//
// There are two types, with two rules for concurrent use:
//
//   - [Loop] is safe for concurrent use. Its Run runs rounds until its context
//     ends. All its other methods may be called from any goroutine at any time,
//     and return at once. The exception is Preview, which takes as long as git
//     and Swarm take.
//   - [Reconciler] runs single rounds. It belongs to one goroutine: that of
//     Loop.Run in the controller, and that of the command in apply, deploy, remove
//     and plan. Only its Status may be called from other goroutines.
//
// Both are made from [Parts]. Package compile decides what a revision means,
// and package plan decides what to change. This package decides when.
//
// Errors of a round are kargo faults. After Unavailable the next round comes
// with back-off, after Conflict at once, after Internal at the next interval.
// After Invalid the controller waits for another revision.
package controller
