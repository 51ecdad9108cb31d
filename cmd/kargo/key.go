package main

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"kargo/swarm"
)

// What keys are derived from the instance's for.
const (
	namesOfSecrets = "names of secrets"
	goodRenderings = "good renderings"
)

// instanceKey is the key that the instance keeps in Swarm, read at the first
// need and once a process.
type instanceKey struct {
	client   *swarm.Client
	instance string
	// create it where there is none; otherwise one is made up.
	create bool

	mu  sync.Mutex
	key []byte
}

// ownKey is the instance's key for whoever changes something: it is made where
// there is none.
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
