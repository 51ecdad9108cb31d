package swarm

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
)

// Labels of the Swarm config that keeps the key of an instance. It has no label of
// ownership, so that no plan removes it.
const (
	LabelKey    = "kargo.key"        // the name of the instance
	labelSealed = "kargo.key.sealed" // the key, sealed with the join token of managers
)

const keyLength = 32 // bytes

// Key returns the secret key of a Kargo instance. Swarm keeps it, so every controller
// and every command has the same one, and it survives the loss of the data directory.
// It is sealed with the join token of managers. Whoever has that token can become a
// manager and read every secret. Whoever can only list services, configs and secrets
// cannot open it.
//
// The first key of an instance is derived from the token, so that a plan that is made
// before there is a key shows the digests of the one that will be kept. The key then
// stays the same if the token is rotated, see [Client.SealKey]. If it cannot be opened,
// because the token was rotated while no controller ran, the instance begins with
// another first key.
//
// If keep is set, Key writes to Swarm what it does not have yet.
func (c *Client) Key(ctx context.Context, instance string, keep bool) ([]byte, error) {
	find := c.inspectConfig
	if keep {
		find = c.amongAllConfigs() // whoever keeps the key looks at everything next
	}
	found, err := c.findKey(ctx, instance, find)
	if err != nil || found.kept || !keep {
		return found.key, err
	}
	written, err := c.keepKey(ctx, instance, found)
	if err != nil {
		return nil, err
	}
	if written {
		return found.key, nil
	}
	// Another controller was faster: the key that Swarm has counts.
	found, err = c.findKey(ctx, instance, c.inspectConfig)
	if err == nil && !found.kept {
		err = kargo.Errorf(kargo.Conflict, "the key of the instance, config %s, was removed or replaced", configOf(sealedKey, instance))
	}
	return found.key, err
}

// Purposes of the configs that hold keys. An earlier version kept the key as the
// content of a config, unsealed.
const (
	sealedKey = "sealed-key"
	plainKey  = "key"
)

// foundKey is the key of an instance, and where it was looked for.
type foundKey struct {
	token         string       // of managers, with which it is sealed
	sealed, plain swarm.Config // of the purposes above; without an id where there is none
	key           []byte
	kept          bool // in Swarm as it should be
}

// findKey looks for the key of an instance. find returns the config of a name, without an
// id if there is none.
func (c *Client) findKey(ctx context.Context, instance string, find func(ctx context.Context, name string) (swarm.Config, error)) (found foundKey, err error) {
	greeted, err := c.greetedToken(ctx)
	if found.token = greeted; greeted == "" && err == nil {
		found.token, err = c.managerToken(ctx)
	}
	if err != nil {
		return found, err
	}
	config := func(purpose string) (swarm.Config, error) {
		config, err := find(ctx, configOf(purpose, instance))
		if err != nil {
			return swarm.Config{}, fmt.Errorf("read the key of the instance: %w", err)
		}
		return config, nil
	}
	if found.sealed, err = config(sealedKey); err != nil {
		return found, err
	}
	if found.open(instance) {
		return found, nil
	}
	if greeted != "" { // it may have been rotated since then
		if found.token, err = c.managerToken(ctx); err != nil || found.open(instance) {
			return found, err
		}
	}
	if found.plain, err = config(plainKey); err != nil {
		return found, err
	}
	if key, ok := decodeKey(found.plain.Spec.Data); ok && found.sealed.ID == "" {
		found.key = key
		return found, nil
	}
	found.key, err = derive(found.token, "first key", instance)
	return found, err
}

// open reports whether the token opens the sealed key, and notes the key.
func (f *foundKey) open(instance string) bool {
	if f.sealed.ID == "" {
		return false
	}
	key, err := openKey(f.token, instance, f.sealed.Spec.Labels[labelSealed])
	if err == nil {
		f.key, f.kept = key, true
	}
	return err == nil
}

// SealKey writes a key of an instance to Swarm, sealed with the present join token. It
// replaces one that cannot be opened, and one that an earlier version kept in plain.
// A key that can be opened stays.
func (c *Client) SealKey(ctx context.Context, instance string, key []byte) error {
	found, err := c.findKey(ctx, instance, c.inspectConfig)
	if err != nil || found.kept {
		return err
	}
	found.key = key
	_, err = c.keepKey(ctx, instance, found)
	return err
}

// keepKey writes a key to Swarm that was found elsewhere, or not at all, and removes the
// config in which an earlier version kept it. It reports false if another controller wrote
// one since then.
func (c *Client) keepKey(ctx context.Context, instance string, found foundKey) (written bool, err error) {
	c.listedConfigs.drop()
	sealed, err := sealKey(found.token, instance, found.key)
	if err != nil {
		return false, err
	}
	spec := swarm.ConfigSpec{
		Annotations: swarm.Annotations{
			Name: configOf(sealedKey, instance), Labels: map[string]string{LabelKey: instance, labelSealed: sealed},
		},
		Data: []byte("a label has the key of the instance, sealed\n"), // Swarm wants some
	}
	if written, err = c.writeKey(ctx, found.sealed, spec); err != nil {
		return false, fmt.Errorf("keep the key of the instance: %w", err)
	}
	return written, c.removePlainKey(ctx, found.plain)
}

// writeKey creates the config of a key, or replaces its labels. It reports false if another
// controller did so at the same time.
func (c *Client) writeKey(ctx context.Context, before swarm.Config, spec swarm.ConfigSpec) (written bool, err error) {
	if before.ID == "" {
		_, err = call(ctx, c, "ConfigCreate", func(ctx context.Context) (swarm.ConfigCreateResponse, error) {
			return c.api.ConfigCreate(ctx, spec)
		})
	} else {
		err = c.write(ctx, "ConfigUpdate", func(ctx context.Context) error {
			return c.api.ConfigUpdate(ctx, before.ID, before.Version, spec)
		})
	}
	if err != nil && kargo.FaultOf(err) == kargo.Conflict {
		return false, nil
	}
	return err == nil, err
}

// removePlainKey removes the config in which an earlier version kept the key, if there is
// one.
func (c *Client) removePlainKey(ctx context.Context, plain swarm.Config) error {
	if plain.ID == "" {
		return nil
	}
	err := c.write(ctx, "ConfigRemove", func(ctx context.Context) error { return c.api.ConfigRemove(ctx, plain.ID) })
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("remove the plain key of an earlier version: %w", err)
	}
	return nil
}

// greetedToken returns the token that came with the greeting; "" if none did.
func (c *Client) greetedToken(ctx context.Context) (string, error) {
	if c.greeting == nil {
		return "", nil
	}
	if err := c.agreeOnVersion(ctx); err != nil {
		return "", fmt.Errorf("read the join token of managers, which seals the key of the instance: %w", err)
	}
	return c.greeting.take(time.Now()), nil
}

// managerToken returns the token with which a node joins the Swarm as a manager.
func (c *Client) managerToken(ctx context.Context) (string, error) {
	found, err := call(ctx, c, "SwarmInspect", func(ctx context.Context) (swarm.Swarm, error) {
		return c.api.SwarmInspect(ctx)
	})
	hidden := err == nil && found.JoinTokens.Manager == "" || errdefs.IsPermissionDenied(err)
	switch {
	case hidden:
		return "", &kargo.Error{
			Fault: kargo.Unavailable, Err: errors.New("read the join token of managers, which seals the key of the instance: a proxy in front of Docker hides it"),
			Hint: "give a key with --instance-key-file: openssl rand -hex 32",
		}
	case err != nil:
		return "", fmt.Errorf("read the join token of managers, which seals the key of the instance: %w", err)
	}
	return found.JoinTokens.Manager, nil
}

// inspectConfig returns the config of a name; without an id if there is none.
func (c *Client) inspectConfig(ctx context.Context, name string) (swarm.Config, error) {
	return call(ctx, c, "ConfigInspect", func(ctx context.Context) (swarm.Config, error) {
		config, _, err := c.api.ConfigInspectWithRaw(ctx, name)
		if errdefs.IsNotFound(err) {
			return swarm.Config{}, nil
		}
		return config, err
	})
}

// sealKey returns a key as the label of its config has it: AES-256-GCM with a random
// nonce, the name of the instance authenticated along.
func sealKey(token, instance string, key []byte) (string, error) {
	seal, err := sealOf(token, instance)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(seal.Seal(nil, nil, key, []byte(instance))), nil
}

// openKey returns the key that a label has.
func openKey(token, instance, label string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(label)
	if err != nil {
		return nil, err
	}
	seal, err := sealOf(token, instance)
	if err != nil {
		return nil, err
	}
	return seal.Open(nil, nil, sealed, []byte(instance))
}

func sealOf(token, instance string) (cipher.AEAD, error) {
	key, err := derive(token, "seal of the key", instance)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// derive returns a key for one purpose of an instance.
func derive(token, purpose, instance string) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(token), nil, "kargo: "+purpose+" of "+instance, keyLength)
}

// decodeKey returns the key that an earlier version kept as the content of a config.
func decodeKey(data []byte) (key []byte, ok bool) {
	key = make([]byte, keyLength)
	text := bytes.TrimSpace(data)
	if len(text) != hex.EncodedLen(keyLength) {
		return nil, false
	}
	_, err := hex.Decode(key, text)
	return key, err == nil
}

// configOf returns the name of a config that an instance keeps for a purpose. Names of
// instances may be longer than those of configs, or have other characters: then a
// digest takes their place.
func configOf(purpose, instance string) string {
	if plainInstance().MatchString(instance) {
		return "kargo-" + purpose + "-" + instance
	}
	sum := sha256.Sum256([]byte(instance))
	return "kargo-" + purpose + "-sha256-" + hex.EncodeToString(sum[:])[:32]
}

var plainInstance = pattern.Lazy(`^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,38}[a-zA-Z0-9])?$`)
