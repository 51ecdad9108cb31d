// Package controller is the loop: one goroutine, one round at a time.
//
// A round asks git for the head commit; reads it, if it is new, into what
// should run; looks at Swarm, if anything may have changed there; makes a plan;
// carries it out; records what it did. Nothing in it waits: while services are
// rolling out the loop just looks again soon, and a plan that broke off half
// way is finished by the next round. Killing the process at any instruction is
// safe.
package controller
