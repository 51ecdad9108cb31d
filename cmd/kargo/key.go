package main

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"kargo/swarm"
)

// Purposes of keys that are derived from the key of the instance.
const (
	namesOfSecrets = "names of secrets"
	goodRenderings = "good renderings"
)

// instanceKey is the key that the instance keeps in Swarm. It is read when it is
// first needed, once in a process.
type instanceKey struct {
	client   *swarm.Client
	instance string
	// create the key in Swarm if there is none. Without create, a random key is
	// used and not kept.
	create bool

	mu  sync.Mutex
	key []byte
}

// ownKey returns the key of the instance for commands that change something: it is
// created if there is none.
func (s *swarmFlags) ownKey(client *swarm.Client) *instanceKey {
	return &instanceKey{client: client, instance: s.instance, create: true}
}

// derive returns a source of the key for one purpose.
func (k *instanceKey) derive(purpose string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		key, err := k.read(ctx)
		if err != nil {
			return nil, err
		}
		return hkdf.Key(sha256.New, key, nil, "kargo: "+purpose, sha256.Size)
	}
}

func (k *instanceKey) read(ctx context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	key, err := k.client.Key(ctx, k.instance, k.create)
	if err != nil {
		return nil, err
	}
	if key == nil {
		key = make([]byte, sha256.Size)
		rand.Read(key) // never fails
	}
	k.key = key
	return key, nil
}
