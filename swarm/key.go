package swarm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// LabelKey is a label of a Swarm config that holds the key of an instance: its
// value is the name of the instance.
const LabelKey = "kargo.key"

const keyLength = 32 // bytes

// Key returns the secret key of a Kargo instance, which is in Swarm as a config of
// its own. This has two reasons: a controller that lost its data directory finds the
// same key again, and the key is not beside what is sealed with it. Everybody who can
// read the config can also read every spec and mount every secret. The config has no
// label of ownership, so that no plan removes it.
//
// Where there is no key, Key creates one if create is set, and returns nil otherwise.
func (c *Client) Key(ctx context.Context, instance string, create bool) ([]byte, error) {
	name := configOf("key", instance)
	key, err := c.readKey(ctx, name)
	if err != nil || key != nil || !create {
		return key, err
	}
	fresh := make([]byte, keyLength)
	rand.Read(fresh) // never fails
	_, err = call(ctx, c, "ConfigCreate", func(ctx context.Context) (string, error) {
		answer, err := c.api.ConfigCreate(ctx, swarm.ConfigSpec{
			Annotations: swarm.Annotations{Name: name, Labels: map[string]string{LabelKey: instance}},
			Data:        []byte(hex.EncodeToString(fresh) + "\n"),
		})
		return answer.ID, err
	})
	if err != nil && kargo.FaultOf(err) != kargo.Conflict {
		return nil, fmt.Errorf("keep the key of the instance: %w", err)
	}
	// Another controller may have been faster: the key that Swarm has counts.
	if key, err = c.readKey(ctx, name); err == nil && key == nil {
		err = kargo.Errorf(kargo.Conflict, "the key of the instance, config %s, was removed again", name)
	}
	return key, err
}

// readKey returns nil where there is no such config.
func (c *Client) readKey(ctx context.Context, name string) ([]byte, error) {
	config, err := call(ctx, c, "ConfigInspect", func(ctx context.Context) (swarm.Config, error) {
		config, _, err := c.api.ConfigInspectWithRaw(ctx, name)
		if errdefs.IsNotFound(err) {
			return swarm.Config{}, nil
		}
		return config, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the key of the instance: %w", err)
	}
	if config.ID == "" {
		return nil, nil
	}
	key := make([]byte, keyLength)
	if text := bytes.TrimSpace(config.Spec.Data); len(text) != hex.EncodedLen(keyLength) || !decodes(key, text) {
		return nil, &kargo.Error{
			Fault: kargo.Unavailable, Err: fmt.Errorf("read the key of the instance: config %s does not hold a key", name),
			Hint: "remove the config: Kargo makes a new key, and services with secrets are updated once",
		}
	}
	return key, nil
}

func decodes(key, text []byte) bool {
	_, err := hex.Decode(key, text)
	return err == nil
}

// configOf returns the name of a config that an instance keeps for a purpose. Names of
// instances may be longer than those of configs, or have other characters: then a
// digest takes their place.
func configOf(purpose, instance string) string {
	if plainInstance.MatchString(instance) {
		return "kargo-" + purpose + "-" + instance
	}
	sum := sha256.Sum256([]byte(instance))
	return "kargo-" + purpose + "-sha256-" + hex.EncodeToString(sum[:])[:32]
}

var plainInstance = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,38}[a-zA-Z0-9])?$`)
