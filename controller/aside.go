package controller

import (
	"context"
	"encoding/json"

	"kargo"
)

// mostShared is how many bytes of what the next leader must know go with each renewal of the
// lease. Swarm can only write all labels of a config anew, and keeps each write in its log.
// What is larger, and has stayed the same from one renewal to the next, lies in a config of its
// own. The lease names its digest from then on, and has only what people decided, which also a
// controller reads that does not know of that config.
//
// What lies aside is overwritten only while the lease has all of it itself, or names the digest of
// what is written. So the next leader finds the whole wherever this one is killed.
const mostShared = 8 << 10

// shared is what the next leader must know, as text.
type shared struct {
	all    string
	urgent string // the part of it that is written at once
	least  string // the part that the lease has if all of it lies aside
}

func sharedOf(handOver kargo.HandOver) (text shared, err error) {
	least, urgent := handOver, handOver
	least.Rollouts, least.Sent = nil, nil
	urgent.InForce = ""
	for _, part := range []struct {
		of kargo.HandOver
		to *string
	}{{handOver, &text.all}, {urgent, &text.urgent}, {least, &text.least}} {
		if *part.to, err = asText(part.of); err != nil {
			return shared{}, err
		}
	}
	return text, nil
}

// asText returns what is handed over as JSON, "" if it is nothing.
func asText(handOver kargo.HandOver) (string, error) {
	data, err := json.Marshal(handOver)
	if string(data) == "{}" {
		return "", err
	}
	return string(data), err
}

// toShare returns what the lease says with its next renewal.
func (k *keeper) toShare() (text, aside string) {
	if all := k.shared.all; len(all) <= mostShared || all != k.aside {
		return all, ""
	}
	return k.shared.least, kargo.Aside{Shared: k.aside}.Digest()
}

// putAside has all that was shared lie aside, after a renewal of the lease that has it, or names
// its digest. Where that fails, the lease goes on to have all of it.
func (k *keeper) putAside(ctx context.Context, all string) {
	k.mu.Lock()
	settled := all == k.renewed
	k.renewed, k.aside = all, ""
	k.mu.Unlock()
	if !settled || len(all) <= mostShared {
		return
	}
	leases, instance := k.parts.Leadership.Leases, k.parts.Behavior.Instance
	lies, err := leases.Aside(ctx, instance)
	if err == nil && lies.Shared != all { // somebody may have removed or changed it
		lies.Shared = all
		err = leases.WriteAside(ctx, instance, lies)
	}
	if err != nil {
		k.parts.Log.Debug("what the next controller must know stays in the lease", "error", err)
		return
	}
	k.mu.Lock()
	k.aside = all
	k.mu.Unlock()
}

// readAside returns all that the leader before has left, of which the lease only has a part.
func (k *keeper) readAside(ctx context.Context, seen kargo.Lease) (left string, err error) {
	lies, err := k.parts.Leadership.Leases.Aside(ctx, k.parts.Behavior.Instance)
	if err != nil {
		return "", err
	}
	if lies.Digest() != seen.Aside {
		k.parts.Log.Warn("what lay beside the lease was removed or changed: what has failed is tried once more")
		return seen.Shared, nil
	}
	return lies.Shared, nil
}
