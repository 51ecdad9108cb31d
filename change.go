package kargo

import (
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/swarm"
)

// Action is what a Change does to its object.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Remove Action = "remove"
)

// Kind of Swarm object.
type Kind string

// The kinds. Kinds has all of them.
const (
	KindService Kind = "service"
	KindNetwork Kind = "network"
	KindConfig  Kind = "config"
	KindSecret  Kind = "secret"
	KindNode    Kind = "node"
)

// Kinds returns every kind of object. Tests of the packages that plan, observe
// and change objects use it to check that no kind is missing.
func Kinds() []Kind { return []Kind{KindNode, KindNetwork, KindConfig, KindSecret, KindService} }

// ObjectKey names one object of Swarm. Kinds have name spaces of their own.
type ObjectKey struct {
	Kind Kind
	Name string // as Swarm knows the object
}

// String returns the key as a plan writes it: "service kargo-dbs_redis".
func (k ObjectKey) String() string { return string(k.Kind) + " " + k.Name }

// Change is one write to Swarm, and its reason. The code that carries it out
// decides nothing. The functions of this file make changes: CreateService and
// the others set exactly one payload, the one of their kind. That is why it has many
// fields: most are empty in any one change.
type Change struct {
	Action Action `json:"action"`
	Kind   Kind   `json:"kind"`
	// Stack as the workspace names it; empty for a node, and for a network that
	// stacks share.
	Stack string `json:"stack,omitempty"`
	// Name as Swarm knows the object.
	Name string `json:"name"`
	// Reason is for people. Secrets in it are already masked.
	Reason string `json:"reason"`
	// Drifted is set where the change corrects what somebody else did to the
	// object: when Swarm last saw it written. Swarm does not record by whom.
	Drifted time.Time `json:"drifted,omitzero"`
	// Repairs is set where the change puts right what somebody else did, also
	// where nothing says when.
	Repairs bool `json:"repairs,omitempty"`
	// Fields are what an update of a service or a node changes, one by one; the reason
	// has the same in one line. Back reports that it returns to what ran before.
	Fields []FieldChange `json:"fields,omitempty"`
	Back   bool          `json:"back,omitempty"`
	// ID and Version are those of the object that was looked at. Swarm refuses
	// a write with an old version, which becomes a Conflict. Both are zero for
	// Create.
	ID      string `json:"-"`
	Version uint64 `json:"version,omitempty"`
	// Exactly one of these is set for Create and Update, none for Remove. They
	// have the secrets of the workspace, so they are never printed or stored.
	Service *swarm.ServiceSpec `json:"-"`
	Network *Network           `json:"-"`
	Config  *Config            `json:"-"`
	Node    *swarm.NodeSpec    `json:"-"`
	// Renews reports that nothing of the service changes but the credential
	// with which nodes pull its image.
	Renews bool `json:"-"`
	// Digest of the service's spec as wanted, which Sent remembers.
	Digest string `json:"-"`
	// Image is the image that is sent, with its digest, where a registry said
	// what the tag means.
	Image string `json:"image,omitempty"`
	// Unresolved is the image as written, where its registry has not been asked
	// yet what it means.
	Unresolved string `json:"-"`
}

// ForPeople returns the change without what is sent: that has secrets, is never shown, and
// is large.
func (c Change) ForPeople() Change {
	c.Service, c.Network, c.Config, c.Node = nil, nil, nil, nil
	return c
}

// CreateService returns the creation of a service.
func CreateService(stack string, spec swarm.ServiceSpec, reason string) Change {
	return Change{Action: Create, Kind: KindService, Stack: stack, Name: spec.Name, Reason: reason, Service: &spec}
}

// UpdateService returns the update of a service to a spec.
func UpdateService(stack string, live LiveService, spec swarm.ServiceSpec, reason string) Change {
	return Change{
		Action: Update, Kind: KindService, Stack: stack, Name: live.Name, Reason: reason,
		ID: live.ID, Version: live.Version, Service: &spec,
	}
}

// RemoveService returns the removal of a service.
func RemoveService(stack string, live LiveService, reason string) Change {
	return Change{
		Action: Remove, Kind: KindService, Stack: stack, Name: live.Name, Reason: reason, ID: live.ID, Version: live.Version,
	}
}

// CreateNetwork returns the creation of a network; stack is empty for one that
// stacks share.
func CreateNetwork(stack string, network Network, reason string) Change {
	return Change{Action: Create, Kind: KindNetwork, Stack: stack, Name: network.Name, Reason: reason, Network: &network}
}

// RemoveNetwork returns the removal of a network.
func RemoveNetwork(stack string, live LiveNetwork, reason string) Change {
	return Change{Action: Remove, Kind: KindNetwork, Stack: stack, Name: live.Name, Reason: reason, ID: live.ID}
}

// CreateConfig returns the creation of a Swarm config or secret.
func CreateConfig(stack string, config Config, reason string) Change {
	return Change{Action: Create, Kind: config.Kind(), Stack: stack, Name: config.Name, Reason: reason, Config: &config}
}

// RemoveConfig returns the removal of a Swarm config or secret.
func RemoveConfig(stack string, live LiveConfig, reason string) Change {
	return Change{
		Action: Remove, Kind: live.Kind(), Stack: stack, Name: live.Name, Reason: reason, ID: live.ID, Version: live.Version,
	}
}

// UpdateNode returns the update of a node to a spec.
func UpdateNode(live LiveNode, spec swarm.NodeSpec, reason string) Change {
	return Change{
		Action: Update, Kind: KindNode, Name: live.Hostname, Reason: reason, ID: live.ID, Version: live.Version, Node: &spec,
	}
}

// Check returns an Internal error for a change that cannot be carried out: it
// does not say which object it means, or its payload is not the one of its
// action and kind.
func (c Change) Check() error {
	if c.Action != Create && c.ID == "" {
		return &Error{Fault: Internal, Err: errors.New("the plan does not say which object it means")}
	}
	payloads := map[Kind]bool{
		KindService: c.Service != nil, KindNetwork: c.Network != nil, KindNode: c.Node != nil,
		KindConfig: c.Config != nil && !c.Config.Secret, KindSecret: c.Config != nil && c.Config.Secret,
	}
	for kind, set := range payloads {
		if set != (c.Action != Remove && c.Kind == kind) {
			return Errorf(Internal, "the plan gives the wrong content to a change that is to %s a %s", c.Action, c.Kind)
		}
	}
	return nil
}

// String returns the change as one line of a plan.
func (c Change) String() string {
	reason := c.Reason
	if !c.Drifted.IsZero() {
		reason = "drift since " + c.Drifted.UTC().Format(time.RFC3339) + ": " + reason
	}
	return fmt.Sprintf("%s %s: %s", c.Action, c.Key(), reason)
}

// Key returns the key of the object that is changed.
func (c Change) Key() ObjectKey { return ObjectKey{c.Kind, c.Name} }
