package kargo

import "github.com/docker/docker/api/types/swarm"

// LabelNodeLabels begins the label of a node in which an instance records the keys
// of the labels that it manages: "kargo.labels.default" is "ssd zone". The record
// is on the node itself, so that it is not lost with a data directory.
const LabelNodeLabels = "kargo.labels."

// NodeLabels is one variable <NODE>_LABELS: the labels that a node should have.
type NodeLabels struct {
	Variable string // "WORKER_0_LABELS"
	Where    Place  // of its last assignment
	Labels   map[string]string
}

// LiveNode is a node of the Swarm.
type LiveNode struct {
	ID       string
	Hostname string
	Version  uint64 // a write names it (compare-and-swap)
	Spec     swarm.NodeSpec
	// Down reports that the managers hear nothing of the node.
	Down bool
	// Addr is the IP address that the managers see. Platform, EngineLabels and
	// Resources are what the node's engine says of itself.
	Addr         string
	Platform     swarm.Platform
	EngineLabels map[string]string
	Resources    swarm.Resources
}

// TakesTasks reports whether Swarm gives new tasks to the node, and if not, why.
func (n LiveNode) TakesTasks() (takes bool, why string) {
	switch {
	case n.Down:
		return false, "is down"
	case n.Spec.Availability == swarm.NodeAvailabilityDrain:
		return false, "is drained"
	case n.Spec.Availability == swarm.NodeAvailabilityPause:
		return false, "is paused"
	}
	return true, ""
}
