package kargo

import (
	"fmt"
	"strings"
)

// InUseError is Swarm's refusal to remove a network that containers use which no
// service made: a person attached them.
type InUseError struct {
	Network    string
	Containers []string // their names, sorted, at least one
}

// Error returns a sentence such as "network kargo-web_inner is in use by
// container holder".
func (e *InUseError) Error() string {
	return fmt.Sprintf("network %s is in use by container %s", e.Network, strings.Join(e.Containers, " and container "))
}

// Remedy returns what a person can do about it.
func (e *InUseError) Remedy() string {
	return fmt.Sprintf("remove it, or: docker network disconnect -f %s %s", e.Network, e.Containers[0])
}
