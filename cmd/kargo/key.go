package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"kargo"
	"kargo/swarm"
)

// Purposes of keys that are derived from the key of the instance. A changed text is
// another key.
const (
	purposeObjects     = "names of secrets"
	purposeTexts       = "secrets in texts"
	purposeSpecs       = "specs"
	purposeDirectories = "directories"
	purposeRenderings  = "good renderings"
)

// shortestInstanceKey is the length in bytes of the shortest key that an operator may
// give: nobody can try out all keys of that length.
const shortestInstanceKey = 16

// sealedAgain is how often a process looks whether the key in Swarm is still sealed
// with the present join token, if it uses the key.
const sealedAgain = 10 * time.Minute

// instanceKey is the key of the instance: the operator's, or the one that Swarm keeps.
// It is read when it is first needed, once in a process.
type instanceKey struct {
	client   *swarm.Client
	instance string
	given    *secretSource
	keep     bool // write the key to Swarm if it is not there

	choosing    sync.Mutex
	directories []byte // see ofDirectories

	mu     sync.Mutex
	key    []byte
	sealed time.Time // when the key was last known to be in Swarm
}

// instanceKey returns the key of the instance. A command that changes something keeps
// it in Swarm.
func (s *swarmFlags) instanceKey(client *swarm.Client, keep bool) *instanceKey {
	return &instanceKey{client: client, instance: s.instance, given: &s.ownKey, keep: keep}
}

// keys returns the keys of the digests that show.
func (k *instanceKey) keys(ctx context.Context) (kargo.Keys, error) {
	key, err := k.read(ctx)
	if err != nil {
		return kargo.Keys{}, err
	}
	var keys kargo.Keys
	for purpose, into := range map[string]*[]byte{
		purposeObjects: &keys.Objects, purposeTexts: &keys.Texts, purposeSpecs: &keys.Specs, purposeDirectories: &keys.Directories,
	} {
		derived, failed := derived(key, purpose)
		*into, err = derived, errors.Join(err, failed)
	}
	return keys, err
}

// ofRenderings returns the key that good renderings are sealed with.
func (k *instanceKey) ofRenderings(ctx context.Context) ([]byte, error) {
	key, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	return derived(key, purposeRenderings)
}

// ofDirectories returns the key of the digests of directories. Where Swarm cannot be
// reached it is a random one, for as long as the process lives: then what is wrong with
// a workspace is still said, and nothing is planned.
func (k *instanceKey) ofDirectories(ctx context.Context) ([]byte, error) {
	k.choosing.Lock()
	defer k.choosing.Unlock()
	if k.directories != nil {
		return k.directories, nil
	}
	keys, err := k.keys(ctx)
	switch {
	case err == nil:
		k.directories = keys.Directories
	case kargo.FaultOf(err) == kargo.Unavailable:
		k.directories = randomKey()
	default:
		return nil, err
	}
	return k.directories, nil
}

func derived(key []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, "kargo: "+purpose, sha256.Size)
}

func (k *instanceKey) read(ctx context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.key == nil && k.given.given():
		return k.readGiven()
	case k.key == nil:
		key, err := k.client.Key(ctx, k.instance, k.keep)
		if err != nil {
			return nil, err
		}
		k.key, k.sealed = key, time.Now()
	case k.keep && !k.given.given() && time.Since(k.sealed) > sealedAgain:
		// Where the token was rotated, the key is sealed with the new one. If that
		// fails, the next use tries again.
		if k.client.SealKey(ctx, k.instance, k.key) == nil {
			k.sealed = time.Now()
		}
	}
	return k.key, nil
}

// readGiven reads the operator's key.
func (k *instanceKey) readGiven() ([]byte, error) {
	key, err := k.given.read()
	if err != nil {
		return nil, err
	}
	if len(key) < shortestInstanceKey {
		return nil, usagef("the key of the instance has %d bytes, fewer than %d; make one: openssl rand -hex 32", len(key), shortestInstanceKey)
	}
	if k.key, err = derived(key, "instance "+k.instance); err != nil {
		return nil, err
	}
	return k.key, nil
}
