package swarm_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// gate is a connection that holds requests to create back until so many wait, and notes
// which were asked for.
type gate struct {
	http.RoundTripper
	atOnce int

	mu      sync.Mutex
	waiting int
	open    chan struct{}
	most    int // that waited or were under way together
	under   int
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/create") {
		return g.RoundTripper.RoundTrip(r)
	}
	g.mu.Lock()
	g.under++
	g.most = max(g.most, g.under)
	if g.waiting++; g.waiting == g.atOnce {
		close(g.open)
	}
	g.mu.Unlock()
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
	response, err := g.RoundTripper.RoundTrip(r)
	g.mu.Lock()
	g.under--
	g.mu.Unlock()
	return response, err
}

// fiveOf returns the creations of stacks as a plan has them: a network, two configs and
// two services for each.
func fiveOf(stacks ...string) []kargo.Change {
	var changes []kargo.Change
	for _, stack := range stacks {
		name := "kargo-" + stack
		changes = append(changes, kargo.CreateNetwork(stack, kargo.Network{Name: name}, "new"))
		for _, part := range []string{"a", "b"} {
			changes = append(changes, kargo.CreateConfig(stack, kargo.Config{Name: name + "_" + part, Data: []byte(part)}, "new"))
		}
		for _, part := range []string{"a", "b"} {
			changes = append(changes, kargo.CreateService(stack, dockerswarm.ServiceSpec{
				Annotations: dockerswarm.Annotations{Name: name + "_" + part},
				TaskTemplate: dockerswarm.TaskSpec{
					ContainerSpec: &dockerswarm.ContainerSpec{Image: "app:1", Configs: []*dockerswarm.ConfigReference{{
						ConfigName: name + "_" + part, File: &dockerswarm.ConfigReferenceFileTarget{Name: "/page"},
					}}},
					Networks: []dockerswarm.NetworkAttachmentConfig{{Target: name}},
				},
			}, "new"))
		}
	}
	return changes
}

// carriedOut is what Apply says of a plan.
type carriedOut struct {
	groups       []int    // how many changes were sent together
	made, failed []string // in the order of done
	err          error
}

func carryOut(ctx context.Context, client *swarm.Client, changes []kargo.Change) (c carriedOut) {
	c.err = client.Apply(ctx, kargo.Plan{Changes: changes},
		func(group []kargo.Change) { c.groups = append(c.groups, len(group)) },
		func(change kargo.Change, err error) {
			if err != nil {
				c.failed = append(c.failed, change.Key().String())
				return
			}
			c.made = append(c.made, change.Key().String())
		})
	return c
}

func keysOf(changes []kargo.Change) []string {
	var keys []string
	for _, change := range changes {
		keys = append(keys, change.Key().String())
	}
	return keys
}

// Four stacks are created side by side, each in its order, and the history has the order
// of the plan. The requests of fewer would wait for others for ever.
func TestStacksAreCreatedSideBySide(t *testing.T) {
	engine := swarmtest.New()
	at := &gate{RoundTripper: engine.Transport(), atOnce: 4, open: make(chan struct{})}
	client, err := swarm.Open(swarm.Options{Transport: at})
	if err != nil {
		t.Fatal(err)
	}
	changes := fiveOf("s1", "s2", "s3", "s4", "s5", "s6")
	got := carryOut(t.Context(), client, changes)
	if got.err != nil || !slices.Equal(got.made, keysOf(changes)) {
		t.Errorf("made are %q, %v, want %q", got.made, got.err, keysOf(changes))
	}
	same(t, "groups", fmt.Sprint(got.groups), "[20 10]")
	if at.most != 4 {
		t.Errorf("%d requests were under way at once, want 4", at.most)
	}
}

// What is no creation, and what belongs to no stack, is sent alone or before the others.
func TestGroupsOfChanges(t *testing.T) {
	b := memoryBed()
	shared := kargo.CreateNetwork("", kargo.Network{Name: "kargo-back"}, "shared")
	first := carryOut(t.Context(), b.client, append([]kargo.Change{shared}, fiveOf("s1", "s2")...))
	same(t, "groups", fmt.Sprint(first.groups, first.failed, first.err), "[1 10] [] <nil>")
	var removals []kargo.Change
	services, err := b.client.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range services[:2] {
		removals = append(removals, kargo.RemoveService("s1", service, "gone"))
	}
	then := carryOut(t.Context(), b.client, append(removals, fiveOf("s3")...))
	same(t, "groups", fmt.Sprint(then.groups, then.failed, then.err), "[1 1 5] [] <nil>")
}

// Whichever request fails, what was made is what is told, in the order of the plan. After a
// refusal nothing more of that stack is sent; when Docker is out of reach, nothing at all
// but what is under way.
func TestFailuresOfWhatIsCreatedSideBySide(t *testing.T) {
	const refused, outOfReach = "this is refused", "rpc error: code = Unknown desc = The swarm does not have a leader"
	changes := fiveOf("s1", "s2", "s3", "s4", "s5")
	for n := 1; n <= len(changes); n++ {
		for message, status := range map[string]int{refused: 400, outOfReach: 500} {
			engine := swarmtest.New()
			var mu sync.Mutex
			creates := 0
			engine.Fail(func(r *http.Request) (int, string) {
				mu.Lock()
				defer mu.Unlock()
				if strings.HasSuffix(r.URL.Path, "/create") {
					creates++
					if creates == n || creates > n && message == outOfReach {
						return status, message
					}
				}
				return 0, ""
			})
			client, err := swarm.Open(swarm.Options{Transport: engine.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			got := carryOut(t.Context(), client, changes)
			what := fmt.Sprintf("%s at %d", message, n)
			made := slices.Clone(engine.Writes())
			told := make([]string, 0, len(got.made))
			for _, key := range got.made {
				told = append(told, "create "+key)
			}
			slices.Sort(made)
			slices.Sort(told)
			same(t, what+": made", strings.Join(told, ", "), strings.Join(made, ", "))
			inOrder := slices.DeleteFunc(keysOf(changes), func(key string) bool { return !slices.Contains(got.made, key) })
			same(t, what+": order", strings.Join(got.made, ", "), strings.Join(inOrder, ", "))
			if got.err == nil || len(got.failed) == 0 {
				t.Fatalf("%s: failed are %q, %v", what, got.failed, got.err)
			}
			switch message {
			case refused:
				if len(got.failed) != 1 || len(got.made) < len(changes)-5 {
					t.Errorf("%s: failed are %q, and made %q", what, got.failed, got.made)
				}
				afterwards := changes[1+slices.Index(keysOf(changes), got.failed[0]):]
				for _, change := range afterwards[:min(len(afterwards), 4)] {
					if strings.HasPrefix(change.Name, "kargo-"+stackOf(got.failed[0], changes)) && slices.Contains(got.made, change.Key().String()) {
						t.Errorf("%s: %s was made after %s had failed", what, change.Name, got.failed[0])
					}
				}
			case outOfReach:
				if asked := len(got.made) + len(got.failed); asked > n+3 {
					t.Errorf("%s: %d changes were sent, want %d at most", what, asked, n+3)
				}
			}
		}
	}
}

// stackOf returns the stack of the change with a key.
func stackOf(key string, changes []kargo.Change) string {
	return changes[slices.Index(keysOf(changes), key)].Stack
}
