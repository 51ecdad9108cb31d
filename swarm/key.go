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

// Key is the secret key of a Kargo instance. It lies in Swarm, as a config of
// its own, for two reasons: every controller of the instance has the same one
// after its data directory was lost, and it does not lie beside what is sealed
// with it. Whoever can read it can read every spec and mount every secret. The
// config carries no mark of ownership, so that no plan ever removes it.
//
// Where there is none it is made if create is set, else the answer is nil.
func (c *Client) Key(ctx context.Context, instance string, create bool) ([]byte, error) {
	name := keyName(instance)
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
	// Another controller may have been faster; what Swarm has is what counts.
	if key, err = c.readKey(ctx, name); err == nil && key == nil {
		err = kargo.Errorf(kargo.Conflict, "the key of the instance, config %s, is gone again", name)
	}
	return key, err
}

// readKey answers nil where there is no such config.
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
			Fault: kargo.Unavailable, Err: fmt.Errorf("read the key of the instance: config %s is no key", name),
			Hint: "remove it: another one is made, and services with secrets roll once",
		}
	}
	return key, nil
}

func decodes(key, text []byte) bool {
	_, err := hex.Decode(key, text)
	return err == nil
}

// keyName is the name of the config. Names of instances may be longer, or have
// other characters, than those of configs: a digest stands for such a one.
func keyName(instance string) string {
	if plainInstance.MatchString(instance) {
		return "kargo-key-" + instance
	}
	sum := sha256.Sum256([]byte(instance))
	return "kargo-key-sha256-" + hex.EncodeToString(sum[:])[:32]
}

var plainInstance = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,38}[a-zA-Z0-9])?$`)
