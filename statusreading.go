package kargo

import (
	"fmt"
	"strings"
)

// StackState is the state of a stack in one word, for people.
type StackState string

// The states, worst first. StackStates has all of them.
const (
	StackFailed      StackState = "failed"      // its rendering failed
	StackDegraded    StackState = "degraded"    // it does not run as it should
	StackHeld        StackState = "held"        // it waits for a person or another revision
	StackLeaving     StackState = "leaving"     // it is being removed
	StackProgressing StackState = "progressing" // it comes up, or waits for others
	StackOutOfSync   StackState = "out of sync" // something of it is still to be changed
	StackWell        StackState = "well"
)

// StackStates returns all states, the worst first.
func StackStates() []StackState {
	return []StackState{StackFailed, StackDegraded, StackHeld, StackLeaving, StackProgressing, StackOutOfSync, StackWell}
}

// State returns the state of a stack in one word.
func (s StackStatus) State() StackState {
	switch {
	case s.Failure != nil:
		return StackFailed
	case s.Health == HealthDegraded:
		return StackDegraded
	case s.Operation == OperationHeld, s.Stop != nil:
		return StackHeld
	case s.Leaving:
		return StackLeaving
	case s.Health == HealthProgressing, s.Operation != "":
		return StackProgressing
	case !s.InSync:
		return StackOutOfSync
	}
	return StackWell
}

// InState returns the stacks in a state, in their order.
func (s Status) InState(state StackState) []StackStatus {
	var stacks []StackStatus
	for _, stack := range s.Stacks {
		if stack.State() == state {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// Failed reports whether anything needs a person: a revision was refused, the
// controller cannot do its work, or a stack failed or is degraded.
func (s Status) Failed() bool {
	return s.Problems.Err() != nil || s.Fault != "" || len(s.InState(StackFailed))+len(s.InState(StackDegraded)) > 0
}

// mostNamed is how many stacks a sentence names.
const mostNamed = 3

// Sentence returns the state of everything in one sentence: "11 of 12 stacks are
// well; crm failed and runs a5ad1b0c3f12 instead".
func (s Status) Sentence() string {
	if s.Leader != "" {
		return "this controller stands by; " + s.Leader + " leads, and knows the state of the stacks"
	}
	var parts []string
	if s.Problems.Err() != nil {
		parts = append(parts, "revision "+s.Head.Short()+" is refused")
	} else if s.Fault != "" {
		parts = append(parts, s.Trouble())
	}
	if !s.Ready() {
		return strings.Join(append(parts, "no revision is in force yet"), "; ")
	}
	if s.Suspended != nil {
		parts = append(parts, s.Suspended.Suspended())
	}
	if s.Frozen != nil {
		parts = append(parts, s.Frozen.String())
	}
	if all := len(s.Stacks); all != 1 || s.Stacks[0].State() == StackWell { // else it is named below
		well := s.countWell()
		if s.SwarmTrouble != "" {
			well = "as the Swarm was last seen, " + well
		}
		parts = append(parts, well)
	}
	for _, state := range StackStates() {
		if stacks := s.InState(state); state != StackWell && len(stacks) > 0 {
			parts = append(parts, sentenceOf(state, stacks))
		}
	}
	return strings.Join(parts, "; ")
}

// Trouble says, in a few words, what keeps the controller from its work; Message says
// more. It is "" where nothing does.
func (s Status) Trouble() string {
	switch {
	case s.SwarmTrouble != "" && s.GitTrouble != "":
		return "neither the Swarm nor the repository can be reached"
	case s.SwarmTrouble != "":
		return "the Swarm cannot be reached"
	case s.DiskTrouble != "":
		return "the controller cannot write to its disk"
	case s.GitTrouble != "":
		return "the repository cannot be read"
	}
	switch s.Fault {
	case "":
		return ""
	case Conflict.String():
		return "a change is in conflict with the Swarm, and is tried again"
	case Invalid.String():
		return "a change or a value is refused"
	}
	return "the controller cannot work (" + s.Fault + ")"
}

func (s Status) countWell() string {
	well, all := len(s.InState(StackWell)), len(s.Stacks)
	switch {
	case all == 0:
		return "no stack is wanted"
	case well == all && all == 1:
		return s.Stacks[0].Name + " is well"
	case well == all:
		return fmt.Sprintf("all %d stacks are well", all)
	}
	return fmt.Sprintf("%d of %d stacks %s well", well, all, isOrAre(well))
}

func sentenceOf(state StackState, stacks []StackStatus) string {
	var names []string
	for _, stack := range stacks[:min(len(stacks), mostNamed)] {
		names = append(names, stack.Name)
	}
	subject := strings.Join(names, ", ")
	if more := len(stacks) - len(names); more > 0 {
		subject += fmt.Sprintf(" and %d more", more)
	}
	switch state {
	case StackFailed:
		if len(stacks) == 1 && stacks[0].Wanted != "" {
			return subject + " failed and runs " + stacks[0].Revision.Short() + " instead"
		}
		return subject + " failed"
	case StackLeaving:
		return subject + " " + isOrAre(len(stacks)) + " being removed"
	case StackDegraded, StackHeld, StackProgressing, StackOutOfSync, StackWell:
	}
	return subject + " " + isOrAre(len(stacks)) + " " + string(state)
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
