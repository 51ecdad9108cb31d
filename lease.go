package kargo

// LeaseConfig begins the name of the Swarm config that holds the lease of an instance.
// LabelLeaseService is its label with Lease.Service.
const (
	LeaseConfig       = "kargo-lease-"
	LabelLeaseService = "kargo.lease.service"
)

// Lease says which controller of an instance works. The others stand by. It is
// kept in Swarm, and written only if nobody else has written it since it was read.
type Lease struct {
	// Version is that of the object that holds it; 0 if there is none yet.
	Version uint64
	// Holder identifies the controller that works, and Name is its name for people.
	Holder, Name string
	// Service is the service of this Swarm that the holder runs in, or "".
	Service string
	// Epoch counts the holders: it grows whenever the lease changes hands.
	Epoch uint64
	// Renewal counts the renewals. While it grows the holder lives.
	Renewal uint64
	// Released reports that the holder has ended and gave the lease up.
	Released bool
	// Nudge counts the rounds that standbys asked the holder for, and Trigger says
	// why the last one did.
	Nudge   uint64
	Trigger string
	// Shared is what the next holder must know. See HandOver.
	Shared string
	// Aside is the digest of an Aside that has all of it. Then Shared has only what must
	// not be lost. "" means that Shared is all.
	Aside string
}

// Aside is what the next holder of a lease must know, where that is too large to be written
// with each renewal. It lies beside the lease, and counts if the lease names its digest.
type Aside struct {
	// Version is that of the object that holds it; 0 if there is none yet.
	Version uint64
	Shared  string
}

// Digest returns the digest of what lies aside.
func (a Aside) Digest() string { return ContentDigest("", []byte(a.Shared)) }

// HandOver is what one controller of an instance leaves to the next in the lease:
// nobody else knows it.
type HandOver struct {
	Stopped
	// Rollouts has, by stack, the renderings that are under way or have failed, and Sent
	// what was sent for their services: without it a change that Swarm rolled back, or a
	// rendering that failed, would be tried once more.
	Rollouts map[string]Rollout `json:"rollouts,omitempty"`
	Sent     Sent               `json:"sent,omitempty"`
	// InForce is the revision that was in force. Where signatures are verified,
	// the next one must come after it.
	InForce RevisionID `json:"inForce,omitempty"`
}
