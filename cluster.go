package kargo

import (
	"time"

	"github.com/docker/docker/api/types/swarm"
)

// Labels that Kargo puts on what it makes. An object without LabelInstance, or
// with another instance's name in it, is somebody else's and never touched.
const (
	LabelInstance = "kargo.instance"
	LabelStack    = "kargo.stack"
	// LabelRevision says which commit last *changed* the object. It never
	// causes a change itself.
	LabelRevision = "kargo.revision"
	// LabelDigest, on a network, is the digest of what was asked for: Swarm
	// cannot change a network, so a difference must be reported.
	LabelDigest = "kargo.digest"
	// LabelFiles, on a container, is the digest of the files it binds from
	// the merged configuration: their change must roll the service
	// (workspace contract, section 16, item 13).
	LabelFiles = "kargo.files"

	// LabelProtect, on a service, says that its stack was protected when it
	// was deployed.
	LabelProtect = "kargo.protect"

	// LabelJob, on a service, is the instance whose job on all nodes it is. It
	// is not part of any stack and leaves when it is done.
	LabelJob = "kargo.job"

	// LabelNamespace and LabelImage are Docker's, so that `docker stack ls`
	// and its friends go on working.
	LabelNamespace = "com.docker.stack.namespace"
	LabelImage     = "com.docker.stack.image"
)

// Cluster is what one look at Swarm saw. It answers in names where Swarm keeps
// ids, so that it can be set against what should run.
type Cluster struct {
	Services []LiveService
	Networks []LiveNetwork
	Configs  []LiveConfig // Swarm configs and secrets
	// Nodes are read only where labels of nodes are wanted, or may be left
	// over; nil means they were not.
	Nodes []LiveNode
	// Tasks are tasks that have not ended, and the last failures of services
	// that are short of tasks. They are read only where they can matter.
	Tasks []Task
	// TasksKnown says that Tasks has every task that has not ended, those of
	// removed services included.
	TasksKnown bool
}

// LiveService is a service that exists.
type LiveService struct {
	ID      string
	Name    string
	Version uint64 // changes with every update; a write names it (compare-and-swap)
	// Spec has names in the place of ids, and in ContainerSpec.Image the
	// image as it was asked for. Image is the one that runs, with its digest.
	Spec  swarm.ServiceSpec
	Image string
	// Previous is the spec that a rollback would return to, if there is one.
	Previous *swarm.ServiceSpec
	// PreviousImage is the image of Previous with its digest.
	PreviousImage string
	Update        *swarm.UpdateStatus
	// Updated is when anything about the service was written last, by whomever.
	Updated time.Time
	// Running of Desired tasks run; Completed counts the ended ones of a job.
	Running, Desired, Completed uint64
}

// LiveNetwork is a network that exists.
type LiveNetwork struct {
	ID, Name, Driver              string
	Attachable, Internal, Ingress bool
	// Local networks are of the manager's own node: no service can use one,
	// and one that has the name of a wanted network stands in its way.
	Local   bool
	Labels  map[string]string
	Created time.Time
}

// LiveConfig is a Swarm config or secret that exists. Its content is not kept:
// the name says what it is.
type LiveConfig struct {
	ID, Name string
	// Digest of a config's content (SHA-256, hex), for those whose name does
	// not tell. Swarm does not show the content of secrets.
	Digest  string
	Secret  bool
	Version uint64
	Labels  map[string]string
}

// Kind of the Swarm object: KindConfig or KindSecret.
func (c LiveConfig) Kind() Kind {
	if c.Secret {
		return KindSecret
	}
	return KindConfig
}

// Key returns the key of the object.
func (c LiveConfig) Key() ObjectKey { return ObjectKey{c.Kind(), c.Name} }

// Task is one container of a service, as Swarm tells of it.
type Task struct {
	ID string
	// Service is the service's name, or its id once the service is gone.
	Service string
	// Namespace is the stack's name in Swarm ("kargo-dbs"), from the task's
	// own labels: it is still known once the service is gone.
	Namespace      string
	Slot           int
	Node           string // the node's id, or its name where the task failed
	State, Desired string // swarm's words: "running", "failed", "shutdown", …
	// Message and Err are the task's own words; ExitCode is 0 while it runs.
	Message, Err string
	ExitCode     int
	// Networks the task is attached to, by name or, if gone, id.
	Networks []string
	Time     time.Time // when it was made
	StateAt  time.Time // when it came into its state
}

// Ended reports whether the task has ended, with success or without.
func (t Task) Ended() bool {
	switch swarm.TaskState(t.State) {
	case swarm.TaskStateComplete, swarm.TaskStateShutdown, swarm.TaskStateFailed,
		swarm.TaskStateRejected, swarm.TaskStateRemove, swarm.TaskStateOrphaned:
		return true
	}
	return false
}

// Event is something that stirred in Swarm, whoever did it.
type Event struct {
	Kind   Kind   // KindService, …; Docker's own word for what is no Kind
	Name   string // of the object, or its id where Docker tells no name
	Action string // "create", "update", "remove"
}

// Key returns the key of the object.
func (e Event) Key() ObjectKey { return ObjectKey{e.Kind, e.Name} }

// String is the event for the log: "service update kargo-dbs_redis".
func (e Event) String() string { return string(e.Kind) + " " + e.Action + " " + e.Name }

// Sent is what Kargo remembers of the specs it sent, by service name. It is
// the only thing that Swarm cannot tell (swarm-facts A6); losing it costs one
// repeated attempt at something that Swarm had rolled back.
type Sent map[string]SentSpec

// SentSpec is the last spec sent for one service.
type SentSpec struct {
	// Digest of the spec as it was wanted.
	Digest string `json:"digest"`
	// Reason of that change, as the plan printed it.
	Reason string `json:"reason"`
	// Seen is set once a later look found nothing to change any more: the
	// spec did arrive. The same difference after that is drift, before that
	// it does not converge.
	Seen bool `json:"seen,omitempty"`
	// Credential is the digest of the registry's credential that went with it:
	// "" where that is not known, NoCredential where there was none.
	Credential string `json:"credential,omitempty"`
}

// Credential is what nodes get with a service to pull its image: for which
// registry, and its digest, keyed, or NoCredential.
type Credential struct {
	Registry, Digest string
}

// NoCredential stands for a registry of which none is known.
const NoCredential = "none"
