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
	"kargo/swarm/swarmtest"
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
	same(t, "calls", fmt.Sprint(b.client.Calls()), "map[ConfigCreate:1 ConfigList:1 SwarmInspect:1]")
}

// A controller that starts reads the configs for the key, and looks at everything then.
func TestKeyAndLookReadTheConfigsOnce(t *testing.T) {
	made := memoryBed()
	mustKey(t, made, "one", true)
	for _, row := range []struct {
		what  string
		keep  bool
		first func(t *testing.T, b *bed) // before the look
		calls string
		want  []string
	}{
		{"a controller starts", true, func(*testing.T, *bed) {}, "map[ConfigList:1 NetworkList:1 NodeList:1 SecretList:1 ServiceList:1 SwarmInspect:1]",
			[]string{"kargo-sealed-key-one"}},
		{"a second look", true, func(t *testing.T, b *bed) {
			if _, err := b.client.Observe(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, "map[ConfigList:2 NetworkList:2 NodeList:1 SecretList:2 ServiceList:2 SwarmInspect:1]", []string{"kargo-sealed-key-one"}},
		{"a config was made", true, func(t *testing.T, b *bed) {
			create := kargo.CreateConfig("web", kargo.Config{Name: "web_site", Data: []byte("one")}, "")
			if err := b.client.Apply(t.Context(), kargo.Plan{Changes: []kargo.Change{create}}, nil, nil); err != nil {
				t.Fatal(err)
			}
		}, "map[ConfigCreate:1 ConfigList:2 NetworkList:1 NodeList:1 SecretList:1 ServiceList:1 SwarmInspect:1]", []string{"kargo-sealed-key-one", "web_site"}},
		{"the lease was written", true, func(t *testing.T, b *bed) {
			if _, err := b.client.WriteLease(t.Context(), "one", kargo.Lease{Holder: "me", Service: "kargo_kargo"}); err != nil {
				t.Fatal(err)
			}
		}, "map[ConfigCreate:1 ConfigInspect:1 ConfigList:1 NetworkList:1 NodeList:1 SecretList:1 ServiceList:1 SwarmInspect:1]",
			[]string{"kargo-lease-one of kargo_kargo", "kargo-sealed-key-one", "web_site"}},
		{"a command that changes nothing", false, func(*testing.T, *bed) {}, "map[ConfigInspect:1 ConfigList:1 NetworkList:1 NodeList:1 SecretList:1 ServiceList:1 SwarmInspect:1]",
			[]string{"kargo-lease-one of kargo_kargo", "kargo-sealed-key-one", "web_site"}},
	} {
		client := swarm.New(made.api)
		b := &bed{client: client, api: made.api, engine: made.engine}
		mustKey(t, b, "one", row.keep)
		row.first(t, b)
		cluster, err := client.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, config := range cluster.Configs {
			if service := config.Labels[kargo.LabelLeaseService]; service != "" {
				config.Name += " of " + service
			}
			names = append(names, config.Name)
		}
		same(t, row.what+": configs", fmt.Sprint(names), fmt.Sprint(row.want))
		same(t, row.what+": calls", fmt.Sprint(client.Calls()), row.calls)
	}
}

// Events of configs say that the list for the key is outdated; those of leases, which are
// written all the time, do not.
func TestEventsOfConfigsBetweenKeyAndLook(t *testing.T) {
	for _, row := range []struct {
		name  string
		lists uint64
	}{{"kargo-lease-other", 1}, {"web_site", 2}} {
		b := memoryBed()
		mustKey(t, b, "one", true)
		client := swarm.New(b.api)
		stirred := make(chan string, 100)
		go func() { _ = client.Watch(t.Context(), func(event kargo.Event) { stirred <- event.Name }) }()
		b.listening(t, stirred)
		create := func(name string) { // and waits for its event, which comes after all earlier ones
			spec := dockerswarm.ConfigSpec{Annotations: dockerswarm.Annotations{Name: name}, Data: []byte("one")}
			if _, err := b.api.ConfigCreate(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			for heard := range stirred {
				if heard == name {
					return
				}
			}
		}
		create("before")
		if _, err := client.Key(t.Context(), "one", true); err != nil {
			t.Fatal(err)
		}
		create(row.name)
		if _, err := client.Observe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := client.Calls()["ConfigList"]; got != row.lists {
			t.Errorf("after an event of %s the configs were listed %d times, want %d", row.name, got, row.lists)
		}
	}
}

// greeted returns a client whose first call asks for the join token, and the requests that
// it makes.
func greeted(t *testing.T, engine *swarmtest.Engine) (*swarm.Client, *requests) {
	t.Helper()
	seen := &requests{RoundTripper: engine.Transport()}
	client, err := swarm.Open(swarm.Options{Transport: seen, Token: true})
	if err != nil {
		t.Fatal(err)
	}
	return client, seen
}

// requests is a connection that notes what it is asked.
type requests struct {
	http.RoundTripper
	seen []string
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	r.seen = append(r.seen, request.Method+" "+request.URL.Path)
	return r.RoundTripper.RoundTrip(request)
}

// The request for the join token tells the version of Docker's API, too. The token counts
// only if it opens the key.
func TestTheFirstCallAsksForTheToken(t *testing.T) {
	b := memoryBed()
	key := mustKey(t, b, "one", true)
	for _, row := range []struct {
		what    string
		prepare func(client *swarm.Client)
		want    string
	}{
		{"the token opens the key", func(*swarm.Client) {}, "GET /swarm, GET /v1.41/configs"},
		{"it was rotated since, and the key sealed again", func(client *swarm.Client) {
			if _, err := client.Nodes(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.engine.RotateJoinToken()
			if err := b.client.SealKey(t.Context(), "one", key); err != nil {
				t.Fatal(err)
			}
		}, "GET /swarm, GET /v1.41/nodes, GET /v1.41/configs, GET /v1.41/swarm"},
		{"a proxy hides it at first", func(*swarm.Client) {
			hidden := true
			b.engine.Fail(func(r *http.Request) (int, string) {
				if !hidden || r.URL.Path != "/swarm" {
					return 0, ""
				}
				hidden = false
				return http.StatusForbidden, "no"
			})
		}, "GET /swarm, HEAD /_ping, GET /v1.41/swarm, GET /v1.41/configs"},
	} {
		client, asked := greeted(t, b.engine)
		row.prepare(client)
		again, err := client.Key(t.Context(), "one", true)
		if err != nil || !bytes.Equal(again, key) {
			t.Errorf("%s: the key is %x, %v, want %x", row.what, again, err, key)
		}
		same(t, row.what, strings.Join(asked.seen, ", "), row.want)
	}
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
