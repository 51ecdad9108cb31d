package kargo

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"sync"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
)

// StackPrefix stands before the name in Swarm of a stack of STACKS: stack "dbs"
// is the namespace "kargo-dbs", its service redis is "kargo-dbs_redis".
const StackPrefix = "kargo-"

// Stack is what should run under one name: the rendered services of one entry
// of STACKS or of one stack directory, with all they need.
type Stack struct {
	// Name as the workspace writes it ("dbs"). Namespace is Swarm's name.
	Name string
	// SwarmName is the name in Swarm where it is another one than the name with
	// StackPrefix in front.
	SwarmName string `json:",omitempty"`
	// Services, Networks and Configs are sorted by name.
	Services []Service
	Networks []Network
	Configs  []Config
	// Needs names stacks that must be settled before this one changes
	// (<STACK>_NEEDS).
	Needs []string
	// Options are how the stack wants to be treated.
	Options StackOptions
	// Permitted is the digest of the operator's policy (package permit) that
	// the rendering was found to keep. It is no part of the rendering.
	Permitted string `json:",omitempty"`
	// NeedsApproval says why nothing of the stack may change before a person
	// approves it; "" where it may. It is no part of the rendering: a good one
	// that stands in needs no approval.
	NeedsApproval string `json:"-"`
	// Key is that of the digest, which shows: Keys.Specs.
	Key []byte `json:"-"`
	// digest returns the digest; nil where nobody keeps it, see KeepDigest.
	digest func() string
}

// Namespace returns the stack's name in Swarm: "kargo-dbs".
func (s Stack) Namespace() string { return cmp.Or(s.SwarmName, StackPrefix+s.Name) }

// NamespaceOf returns the name in Swarm of the stack that an object with these
// labels belongs to, whether or not the stack is still wanted.
func NamespaceOf(labels map[string]string) string {
	return cmp.Or(labels[LabelNamespace], StackPrefix+labels[LabelStack])
}

// Digest returns the identity of the rendering: stacks with equal digests run
// the same. It covers the specs, and the content of configs through their
// names. It is keyed by Key.
func (s Stack) Digest() string {
	if s.digest != nil {
		return s.digest()
	}
	type content struct {
		Services []Service
		Networks []Network
		Configs  []string
		Needs    []string
	}
	c := content{Networks: s.Networks, Needs: s.Needs}
	for _, service := range s.Services {
		service.Pinned, service.Granted = "", nil // say what ran and what was judged, not what is wanted
		c.Services = append(c.Services, service)
	}
	for _, config := range s.Configs {
		c.Configs = append(c.Configs, config.Name)
	}
	// Encoding cannot fail: the types hold plain data, and maps are sorted.
	data, err := json.Marshal(c)
	if err != nil {
		panic("kargo: encode stack " + s.Name + ": " + err.Error())
	}
	return KeyedDigest(s.Key, string(data))
}

// KeepDigest returns the same stack with a digest that is computed once, when somebody
// first asks for it or for that of a copy. What the digest covers must not change in a
// copy; other contents need a stack without a kept digest.
func (s Stack) KeepDigest() Stack {
	s.digest = nil
	plain := s
	s.digest = sync.OnceValue(func() string { return plain.Digest() })
	return s
}

// KeepDigestOf is KeepDigest, and takes over what another stack keeps, if both have the
// same contents in memory, apart from their needs: one is a copy of the other.
func (s Stack) KeepDigestOf(other Stack) Stack {
	if other.digest == nil || !bytes.Equal(s.Key, other.Key) || !sameSlice(s.Services, other.Services) ||
		!sameSlice(s.Networks, other.Networks) || !sameSlice(s.Configs, other.Configs) || !slices.Equal(s.Needs, other.Needs) {
		return s.KeepDigest()
	}
	s.digest = other.digest
	return s
}

// sameSlice reports whether two slices are the same memory.
func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Service is one Swarm service as it should be: Docker's own spec, with names
// where Swarm will keep ids (networks, configs, secrets) and the image as the
// workspace writes it. There is no second model.
type Service struct {
	Name string // as Swarm knows it: "kargo-dbs_redis"
	Spec swarm.ServiceSpec
	// Needs are what must hold of other services of the stack before this one
	// changes (depends_on).
	Needs []Need `json:",omitempty"`
	// Pinned is the image with its digest, where it is known what ran well: a
	// rollback runs that and nothing newer under the same tag.
	Pinned string `json:",omitempty"`
	// Files is a digest, without a key, of the files of the merged configuration
	// that the service binds; "" if there are none. It must not show: LabelFiles has
	// the keyed form.
	Files string `json:"-"`
	// Granted are the privileges that the operator's policy (package permit)
	// lets pass because the catalogue asks for them, in its words. They are no
	// part of the rendering.
	Granted []string `json:",omitempty"`
}

// Need is a condition on another service of the same stack.
type Need struct {
	Service   string // as Swarm knows it
	Condition NeedCondition
}

// NeedCondition is what must hold of a service, in the words of compose files.
type NeedCondition string

// The conditions.
const (
	NeedStarted   NeedCondition = "service_started"
	NeedHealthy   NeedCondition = "service_healthy"
	NeedCompleted NeedCondition = "service_completed_successfully"
)

// Network is a network that must exist before the services that name it.
type Network struct {
	Name string `json:"name"` // as Swarm knows it
	// Shared networks join stacks (front, back, socket). They belong to no
	// stack and are never removed.
	Shared     bool              `json:"shared,omitempty"`
	Driver     string            `json:"driver,omitempty"`
	Attachable bool              `json:"attachable,omitempty"`
	Internal   bool              `json:"internal,omitempty"`
	Options    map[string]string `json:"options,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	IPAM       *network.IPAM     `json:"ipam,omitempty"`
	// External networks are the operator's: they must exist, Kargo neither
	// makes nor removes them.
	External bool `json:"external,omitempty"`
}

// Config is a file handed to containers by Swarm: a Swarm config, or a Swarm
// secret where Secret is set. Its content can never change under one name, so
// the name ends in a keyed digest of the content.
type Config struct {
	Name string
	// Whole is the name without its digest, if it was too long and Name begins with
	// only a part of it.
	Whole  string `json:"-"`
	Data   []byte
	Secret bool
	// External ones are the operator's: they must exist under this name.
	External bool
	Labels   map[string]string
	// Driver is the template driver, if any ("golang").
	Driver string
}

// Kind returns the kind of the Swarm object: KindConfig or KindSecret.
func (c Config) Kind() Kind {
	if c.Secret {
		return KindSecret
	}
	return KindConfig
}

// Key returns the key of the object.
func (c Config) Key() ObjectKey { return ObjectKey{c.Kind(), c.Name} }
