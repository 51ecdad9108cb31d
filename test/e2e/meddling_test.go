package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Another tool updates a service between Kargo's look and its write, three
// times: Swarm refuses the write, Kargo looks again, and what the workspace
// says runs in the end, without what the other tool did.
func TestAnotherToolIsQuicker(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	w := s.workspace().stack("web", "app").service("app", replicas(1), environment("A=1"))
	s.begin(w)
	name := s.service("web", "app")
	var times atomic.Int64
	s.docker.meddle(func(rw http.ResponseWriter, r *http.Request, swarm http.Handler) {
		if describe(r) == "POST /services/{id}/update" && times.Add(1) <= 3 {
			s.change(name, func(spec *dockerswarm.ServiceSpec) {
				spec.Labels = maps.Clone(spec.Labels)
				spec.Labels["other.tool"] = fmt.Sprint(times.Load())
			})
		}
		swarm.ServeHTTP(rw, r)
	})
	d := s.deploy(w.service("app", replicas(1), environment("A=2")))
	if d.Outcome != kargo.OutcomeSucceeded || d.Err != "" || times.Load() < 4 {
		t.Errorf("deployment %s after %d writes: %s", d.Outcome, times.Load(), d.Err)
	}
	live := s.services()[name].Spec
	if env := live.TaskTemplate.ContainerSpec.Env; !slices.Contains(env, "A=2") || live.Labels["other.tool"] != "" {
		t.Errorf("environment %q, labels %v", env, live.Labels)
	}
}

// A node loses the label that a service needs: Swarm takes the task off it.
// Kargo says so, changes nothing, and sees it come back.
func TestANodeLosesItsLabel(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	label := s.prefix + ".disk"
	s.labelNode(label, "fast")
	w := s.workspace().stack("web", "app").service("app", replicas(1)).set("APP_CONSTRAINTS", "node.labels."+label+"==fast")
	if d := s.begin(w); d.Outcome != kargo.OutcomeSucceeded {
		t.Fatalf("deployment %s: %s", d.Outcome, d.Err)
	}
	mark := s.docker.mark()
	s.labelNode(label, "slow")
	s.awaitStatus("the stack has lost its task", func(k kargo.Status) bool {
		stack := k.Stacks[0]
		return stack.Health == kargo.HealthDegraded && stack.InSync && strings.Contains(stack.Message, "no node of the Swarm satisfies")
	})
	s.labelNode(label, "fast")
	s.awaitStatus("the stack is well again", func(k kargo.Status) bool { return k.Stacks[0].Health == kargo.HealthHealthy })
	if writes := s.docker.writesSince(mark); len(writes) > 0 {
		t.Errorf("Kargo answered with %q", writes)
	}
}

// labelNode sets a label of the only node.
func (s *scene) labelNode(key, value string) {
	s.t.Helper()
	until(s.t, "the node takes a label", func() bool {
		nodes, err := s.api.NodeList(s.t.Context(), dockerswarm.NodeListOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		spec := nodes[0].Spec
		spec.Labels = maps.Clone(spec.Labels)
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		spec.Labels[key] = value
		return s.api.NodeUpdate(s.t.Context(), nodes[0].ID, nodes[0].Version, spec) == nil // somebody may be quicker
	})
}
