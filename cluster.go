package kargo

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/swarm"
)

// Labels of the objects that Kargo creates. An object without LabelInstance, or with
// the name of another instance in it, belongs to somebody else and is not touched.
const (
	LabelInstance = "kargo.instance"
	LabelStack    = "kargo.stack"
	// LabelRevision says which commit last *changed* the object. It never
	// causes a change itself.
	LabelRevision = "kargo.revision"
	// LabelEpoch says in which epoch of the lease the object was last written, see
	// Lease. As LabelRevision, it never causes a change.
	LabelEpoch = "kargo.epoch"
	// LabelDigest, on a network, is the digest of the network as it was wanted:
	// Swarm cannot change a network, so a difference must be reported.
	LabelDigest = "kargo.digest"
	// LabelFiles, on a container, is the digest of the files that it binds from
	// the merged configuration. A change of a file must roll the service.
	LabelFiles = "kargo.files"

	// LabelProtect, on a service, says that its stack was protected when it
	// was deployed.
	LabelProtect = "kargo.protect"

	// LabelKept, on a service that was taken over, has the Swarm secrets that it
	// kept: "shop_password=shop_password-1a2b3c", the name in Swarm and the one
	// that the content had in the workspace. Swarm does not show the content.
	LabelKept = "kargo.kept"

	// LabelJob, on a service, is the instance that runs it as a job on all nodes.
	// The service belongs to no stack and is removed when it has ended.
	LabelJob = "kargo.job"

	// LabelNamespace and LabelImage are Docker's own. `docker stack ls` and
	// similar commands read them.
	LabelNamespace = "com.docker.stack.namespace"
	LabelImage     = "com.docker.stack.image"
)

// Cluster is the result of one look at Swarm. It has names in place of Swarm's
// ids, so that it can be compared with what should run.
type Cluster struct {
	Services []LiveService
	Networks []LiveNetwork
	Configs  []LiveConfig // Swarm configs and secrets
	// Nodes are read only where a node has labels of Kargo, or should have, or may be
	// down; nil means that they were not read.
	Nodes []LiveNode
	// Tasks has tasks that have not ended, and the last failures of services that
	// are short of tasks. They are read only where they can matter.
	Tasks []Task
	// TasksKnown reports that Tasks has every task that has not ended, also those
	// of removed services.
	TasksKnown bool
	// Volumes are those of the node of the engine that was asked; only that engine
	// knows them. They are there where they matter to a plan.
	Volumes []LiveVolume
}

// LiveService is a service that exists.
type LiveService struct {
	ID      string
	Name    string
	Version uint64 // changes with every update; a write names it (compare-and-swap)
	// Digest is that of what Docker wrote of the service, without what is counted: equal
	// digests mean equal specs. It is zero if that is not known.
	Digest [sha256.Size]byte `json:"-"`
	// Spec has names in place of ids, and in ContainerSpec.Image the image as it
	// was wanted. Image is the one that runs, with its digest.
	Spec  swarm.ServiceSpec
	Image string
	// Previous is the spec that a rollback would return to, if there is one.
	Previous *swarm.ServiceSpec
	// PreviousImage is the image of Previous with its digest.
	PreviousImage string
	Update        *swarm.UpdateStatus
	// Updated is when anybody last wrote the service.
	Updated time.Time
	// Running of Desired tasks run. Completed counts the ended tasks of a job.
	Running, Desired, Completed uint64
	// Run counts how often a job was run anew: each update runs it again.
	Run uint64
	// Lost has the tasks that Swarm still calls running, by the name of their node,
	// which is down. Running does not count them.
	Lost map[string]uint64
}

// ShortOfTasks reports whether fewer tasks run, or have completed, than should.
func (s LiveService) ShortOfTasks() bool {
	if job := s.Spec.Mode.ReplicatedJob; job != nil {
		return job.TotalCompletions != nil && s.Completed < *job.TotalCompletions
	}
	return s.Running < s.Desired
}

// References returns the names of the networks, configs and secrets that a spec has
// names of. Swarm keeps each of them as long as a service's spec has it.
func References(spec swarm.ServiceSpec) []string {
	var names []string
	//nolint:staticcheck // services of old clients have networks in the spec itself
	for _, attachment := range slices.Concat(spec.TaskTemplate.Networks, spec.Networks) {
		names = append(names, attachment.Target)
	}
	if container := spec.TaskTemplate.ContainerSpec; container != nil {
		for _, config := range container.Configs {
			names = append(names, config.ConfigName)
		}
		for _, secret := range container.Secrets {
			names = append(names, secret.SecretName)
		}
	}
	return names
}

// LiveNetwork is a network that exists.
type LiveNetwork struct {
	ID, Name, Driver              string
	Attachable, Internal, Ingress bool
	// Local networks exist on the manager's own node only. No service can use
	// one, and no other network can have its name.
	Local bool
	// Subnets that it has. A network of the Swarm without a Driver was not allocated: it
	// has none, and no task on it starts.
	Subnets []netip.Prefix
	Labels  map[string]string
	Created time.Time
}

// LiveConfig is a Swarm config or secret that exists. Its content is not kept.
type LiveConfig struct {
	ID, Name string
	// Digest is the ContentDigest of a config. It has no key, so it must not show.
	// Swarm does not show the content of secrets.
	Digest  string
	Secret  bool
	Version uint64
	Labels  map[string]string
}

// LiveVolume is a volume that exists on a node.
type LiveVolume struct {
	Name   string
	Labels map[string]string
}

// ContentDigest returns a digest of what is fixed when a config is created: its
// template driver, if any, and its content. It has no key, so it must not show.
func ContentDigest(driver string, data []byte) string {
	hash := sha256.New()
	if driver != "" {
		_, _ = io.WriteString(hash, driver+"\x00") // a hash never fails
	}
	_, _ = hash.Write(data)
	return hex.EncodeToString(hash.Sum(nil))
}

// Kind returns KindConfig or KindSecret.
func (c LiveConfig) Kind() Kind {
	if c.Secret {
		return KindSecret
	}
	return KindConfig
}

// Key returns the key of the object.
func (c LiveConfig) Key() ObjectKey { return ObjectKey{c.Kind(), c.Name} }

// Task is one container of a service, as Swarm reports it.
type Task struct {
	ID string
	// Service is the service's name, or its id once the service is gone.
	Service string
	// Namespace is the stack's name in Swarm ("kargo-dbs"). It comes from the
	// task's own labels, which remain when the service is removed.
	Namespace      string
	Slot           int
	Node           string // the node's id, or its name where the task failed
	State, Desired string // swarm's words: "running", "failed", "shutdown", …
	// NodeDown is the name of the task's node if the task is to be removed, and its
	// node is down: Swarm learns of its end when the node is back, or after a day.
	NodeDown string
	// Outdated reports that Swarm has still to replace the task: its spec is not the
	// service's. It is known only where it was asked for.
	Outdated bool
	// Run is that of the job which the task is of; see LiveService.
	Run uint64
	// Message and Err are the task's own words. ExitCode is 0 while it runs.
	Message, Err string
	ExitCode     int
	// Container is the id of the task's container; "" before there is one.
	Container string
	// Networks that the task is attached to, by name; by id where the network is
	// removed.
	Networks []string
	// Time is when it was made, StateAt when it came into its state: by this process's
	// clock, not by those of the nodes.
	Time, StateAt time.Time
}

// Said returns what a task says about its end, or about why it does not start: its error
// and its exit code. Swarm's error has the code mostly: "task: non-zero exit (1)".
func (t Task) Said() string {
	said := cmp.Or(t.Err, t.Message)
	switch {
	case t.ExitCode == 0, strings.Contains(said, fmt.Sprintf("exit (%d)", t.ExitCode)):
		return said
	case said == "":
		return fmt.Sprintf("exit code %d", t.ExitCode)
	}
	return fmt.Sprintf("%s (exit code %d)", said, t.ExitCode)
}

// Probe is the result of one health check of a container.
type Probe struct {
	ExitCode int
	Output   string // as the check wrote it; it may have secrets
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

// Event is a change of an object in Swarm, whoever made it.
type Event struct {
	Kind   Kind   // KindService, …; Docker's own word for what is no Kind
	Name   string // of the object, or its id where Docker sends no name
	Action string // "create", "update", "remove"
}

// Key returns the key of the object.
func (e Event) Key() ObjectKey { return ObjectKey{e.Kind, e.Name} }

// String returns the event for the log: "service update kargo-dbs_redis".
func (e Event) String() string { return string(e.Kind) + " " + e.Action + " " + e.Name }

// Sent is what Kargo remembers of the specs that it sent, by service name. Swarm
// itself does not keep it: after a rollback it forgets the spec that failed. If Sent
// is lost, a change that Swarm rolled back is tried once more.
type Sent map[string]SentSpec

// SentSpec is the last spec sent for one service.
type SentSpec struct {
	// Digest of the spec as it was wanted.
	Digest string `json:"digest"`
	// Reason of that change, as the plan printed it.
	Reason string `json:"reason"`
	// Seen is set once a later look found nothing more to change: the spec has
	// arrived. A difference after that is drift. The same difference before that
	// means that the spec does not converge.
	Seen bool `json:"seen,omitempty"`
	// Credential is the digest of the registry's credential that was sent with
	// the spec: "" where that is not known, NoCredential where there was none.
	Credential string `json:"credential,omitempty"`
}

// Credential is what nodes receive with a service to pull its image: the registry,
// and a keyed digest of the credential, or NoCredential.
type Credential struct {
	Registry, Digest string
}

// NoCredential is the digest where no credential for the registry is known.
const NoCredential = "none"
