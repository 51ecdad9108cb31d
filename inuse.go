package kargo

import (
	"fmt"
	"strings"
)

// InUseError is Swarm's refusal to remove a network that a person attached
// containers to.
type InUseError struct {
	Network string
	// Containers has the names of those on the manager's node, sorted. Docker does
	// not show those on other nodes.
	Containers []string
}

// Error returns a sentence such as "network kargo-web_inner is in use by
// container holder".
func (e *InUseError) Error() string {
	if len(e.Containers) == 0 {
		return fmt.Sprintf("network %s is in use by a container on another node", e.Network)
	}
	return fmt.Sprintf("network %s is in use by container %s", e.Network, strings.Join(e.Containers, " and container "))
}

// Remedy returns what a person can do about it.
func (e *InUseError) Remedy() string {
	if len(e.Containers) == 0 {
		return fmt.Sprintf("look for it on each node: docker network inspect %s", e.Network)
	}
	return fmt.Sprintf("remove it, or: docker network disconnect -f %s %s", e.Network, e.Containers[0])
}
