package swarm_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/filters"
	dockerswarm "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/volume"

	"kargo"
	"kargo/swarm"
)

// directContracts need calls that docs/docker-proxy.cfg does not allow: GET /swarm and
// GET /volumes.
var directContracts = []contract{
	{"volumes of the node are listed with their labels", func(t *testing.T, b *bed) {
		name := b.name("volume")
		made, err := b.api.VolumeCreate(t.Context(), volume.CreateOptions{Name: name, Labels: map[string]string{"of": "somebody"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.api.VolumeRemove(context.Background(), made.Name, true); err != nil {
				t.Errorf("clean up: %v", err)
			}
		})
		volumes, err := b.client.Volumes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(volumes, func(v kargo.LiveVolume) bool { return v.Name == name && v.Labels["of"] == "somebody" }) {
			t.Errorf("%s is not among %v", name, volumes)
		}
	}},
	{"the key of an instance is made once and stays", func(t *testing.T, b *bed) {
		instance := b.name("instance")
		t.Cleanup(func() {
			ctx := context.Background() // the test's own has ended
			keys, err := b.api.ConfigList(ctx, dockerswarm.ConfigListOptions{Filters: filters.NewArgs(filters.Arg("label", swarm.LabelKey))})
			for _, key := range keys {
				if strings.HasPrefix(key.Spec.Labels[swarm.LabelKey], b.prefix) {
					err = errors.Join(err, b.api.ConfigRemove(ctx, key.ID))
				}
			}
			if err != nil {
				t.Errorf("clean up: %v", err)
			}
		})
		before := mustKey(t, b, instance, false)
		if keys := keysIn(t, b, instance); len(before) != 32 || len(keys) > 0 {
			t.Fatalf("before it is made: %d bytes, and %d configs", len(before), len(keys))
		}
		made := mustKey(t, b, instance, true)
		again, err := swarm.New(b.api).Key(t.Context(), instance, true)
		if err != nil || !bytes.Equal(again, made) || !bytes.Equal(before, made) {
			t.Errorf("another controller of the instance has %x, %v, want %x, and before there was %x", again, err, made, before)
		}
		if other := mustKey(t, b, b.name("other, with blanks"), true); bytes.Equal(other, made) {
			t.Errorf("another instance has the same key")
		}
		keys := keysIn(t, b, instance)
		if len(keys) != 1 {
			t.Fatalf("%d configs have the key", len(keys))
		}
		found, err := b.api.SwarmInspect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		shown := string(keys[0].Spec.Data) + strings.Join(valuesOf(keys[0].Spec.Labels), " ")
		for _, secret := range []string{string(made), hex.EncodeToString(made), found.JoinTokens.Manager} {
			if strings.Contains(shown, secret) {
				t.Errorf("the config shows %q", secret)
			}
		}
		for _, config := range b.observe(t).Configs {
			if strings.HasPrefix(config.Name, "kargo-sealed-key-") && config.Labels[kargo.LabelInstance] != "" {
				t.Errorf("%s would be removed as unused", config.Name)
			}
		}
	}},
}

func mustKey(t *testing.T, b *bed, instance string, keep bool) []byte {
	t.Helper()
	key, err := b.client.Key(t.Context(), instance, keep)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func valuesOf(labels map[string]string) []string {
	var values []string
	for _, value := range labels {
		values = append(values, value)
	}
	return values
}

// keysIn returns the configs that hold keys of an instance.
func keysIn(t *testing.T, b *bed, instance string) []dockerswarm.Config {
	t.Helper()
	keys, err := b.api.ConfigList(t.Context(), dockerswarm.ConfigListOptions{Filters: filters.NewArgs(filters.Arg("label", swarm.LabelKey+"="+instance))})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// The key stays when the join token is rotated, where a controller seals it again, and
// is another one where none did.
func TestKeyAndAnotherJoinToken(t *testing.T) {
	b := memoryBed()
	key := mustKey(t, b, "one", true)
	lost := mustKey(t, b, "two", true)

	b.engine.RotateJoinToken()
	if err := b.client.SealKey(t.Context(), "one", key); err != nil {
		t.Fatal(err)
	}
	if again := mustKey(t, b, "one", false); !bytes.Equal(again, key) {
		t.Error("a key that was sealed again is another one")
	}
	if err := b.client.SealKey(t.Context(), "one", lost); err != nil {
		t.Fatal(err)
	}
	if again := mustKey(t, b, "one", false); !bytes.Equal(again, key) {
		t.Error("a key that could be opened was replaced")
	}
	shown := mustKey(t, b, "two", false)
	if bytes.Equal(shown, lost) {
		t.Error("a key was opened with another token")
	}
	if kept := mustKey(t, b, "two", true); !bytes.Equal(kept, shown) || !bytes.Equal(kept, mustKey(t, b, "two", false)) {
		t.Error("a plan shows another key than the one that is kept then")
	}
}

func TestAKeyIsMadeWithFewCalls(t *testing.T) {
	b := memoryBed()
	mustKey(t, b, "one", true)
	same(t, "calls", fmt.Sprint(b.client.Calls()), "map[ConfigCreate:1 ConfigInspect:2 SwarmInspect:1]")
}

// before is a connection that does something before the first request to create a config.
type before struct {
	http.RoundTripper
	do func()
}

func (b *before) RoundTrip(r *http.Request) (*http.Response, error) {
	if do := b.do; do != nil && strings.HasSuffix(r.URL.Path, "/configs/create") {
		b.do = nil
		do()
	}
	return b.RoundTripper.RoundTrip(r)
}

// Two controllers make the key of an instance at the same time, and the join token is
// rotated between them: both have the key that is kept.
func TestTwoControllersMakeAKey(t *testing.T) {
	b := memoryBed()
	var first []byte
	slower, err := swarm.Open(swarm.Options{Transport: &before{b.engine.Transport(), func() {
		b.engine.RotateJoinToken()
		first = mustKey(t, b, "one", true)
	}}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := slower.Key(t.Context(), "one", true)
	if err != nil || first == nil || !bytes.Equal(first, second) {
		t.Errorf("one has %x, and the other %x, %v", first, second, err)
	}
	if keys := keysIn(t, b, "one"); len(keys) != 1 {
		t.Errorf("%d configs have the key", len(keys))
	}
}

// A key that an earlier version kept in plain stays the key, and is sealed.
func TestPlainKeyIsSealed(t *testing.T) {
	b := memoryBed()
	plain := bytes.Repeat([]byte{0x5a}, 32)
	_, err := b.api.ConfigCreate(t.Context(), dockerswarm.ConfigSpec{
		Annotations: dockerswarm.Annotations{Name: "kargo-key-one", Labels: map[string]string{swarm.LabelKey: "one"}},
		Data:        []byte(hex.EncodeToString(plain) + "\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{false, true, false} {
		if key := mustKey(t, b, "one", keep); !bytes.Equal(key, plain) {
			t.Errorf("the key is %x", key)
		}
	}
	if keys := keysIn(t, b, "one"); len(keys) != 1 || keys[0].Spec.Name != "kargo-sealed-key-one" {
		t.Errorf("configs with the key: %v", keys)
	}
}

// Where a proxy hides the join token, the error says what to do. Volumes that it hides
// count as none.
func TestBehindAProxy(t *testing.T) {
	p := &proxy{list: readAllowList(t), denied: map[string]bool{}}
	client := p.bed(t).client
	_, err := client.Key(t.Context(), "one", true)
	if err == nil || !strings.Contains(kargo.HintOf(err), "--instance-key-file") {
		t.Errorf("%v (%s)", err, kargo.HintOf(err))
	}
	if volumes, err := client.Volumes(t.Context()); volumes != nil || err != nil {
		t.Errorf("volumes: %v, %v", volumes, err)
	}
}
