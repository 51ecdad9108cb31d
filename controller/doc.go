// Package controller is the loop: one goroutine, one round at a time.
//
// A round asks git for the head commit; reads it, if it is new, into what
// should run; looks at Swarm, if anything may have changed there; makes a plan;
// carries it out; records what it did. Nothing in it waits: while services are
// rolling out the loop just looks again soon, and a plan that broke off half
// way is finished by the next round. Killing the process at any instruction is
// safe.
//
//	round.go       look, plan, carry out
//	revision.go    from the head of git to what is desired
//	rollout.go     following renderings until they are good, or have failed
//	good.go        the last good rendering, and when it stands in
//	failure.go     why a rendering failed, in its tasks' words
//	deployment.go  the record
//	events.go      which events of Swarm matter
//	timing.go      when a round is due, and what a fault does to that
package controller
