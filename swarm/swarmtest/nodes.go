package swarmtest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/swarm"
)

func (e *Engine) addNode(name string) {
	node := &swarm.Node{ID: e.newID(), Meta: e.newMeta()}
	node.Spec = swarm.NodeSpec{
		Annotations:  swarm.Annotations{Labels: map[string]string{}},
		Role:         swarm.NodeRoleWorker,
		Availability: swarm.NodeAvailabilityActive,
	}
	node.Description.Hostname = name
	node.Description.Platform = swarm.Platform{Architecture: "x86_64", OS: "linux"}
	node.Status = swarm.NodeStatus{State: swarm.NodeStateReady}
	if len(e.nodes) == 0 {
		node.Spec.Role = swarm.NodeRoleManager
		node.ManagerStatus = &swarm.ManagerStatus{Leader: true, Reachability: swarm.ReachabilityReachable}
	}
	e.nodes = append(e.nodes, node)
}

// NodeDown makes a node unreachable, or reachable again. Its tasks keep their last
// state; others are started elsewhere in their place.
func (e *Engine) NodeDown(name string, down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := find(e.nodes, name, nodeID, nodeName)
	if i < 0 {
		panic("swarmtest: there is no node " + name)
	}
	node := e.nodes[i]
	before := node.Status.State
	node.Status.State = swarm.NodeStateReady
	if down {
		node.Status.State = swarm.NodeStateDown
	}
	e.touch(&node.Meta)
	e.tellMore(events.NodeEventType, events.ActionUpdate, node.ID,
		map[string]string{"name": name, "state.old": string(before), "state.new": string(node.Status.State)})
	if e.autoSettle {
		e.settle()
	}
}

func nodeID(n *swarm.Node) string   { return n.ID }
func nodeName(n *swarm.Node) string { return n.Description.Hostname }

func (e *Engine) node(id string) *swarm.Node {
	for _, node := range e.nodes {
		if node.ID == id {
			return node
		}
	}
	return nil
}

func (e *Engine) nodeAt(r *http.Request) (*swarm.Node, error) {
	id := r.PathValue("id")
	i := find(e.nodes, id, nodeID, nodeName)
	if i < 0 {
		return nil, notFound("node", id)
	}
	return e.nodes[i], nil
}

func (e *Engine) listNodes(r *http.Request) (answer, error) {
	only, err := filtersOf(r)
	if err != nil {
		return answer{}, err
	}
	listed := []*swarm.Node{}
	for _, node := range e.nodes {
		if matches(only, node.ID, node.Description.Hostname, node.Spec.Labels) {
			listed = append(listed, node)
		}
	}
	return ok(listed)
}

func (e *Engine) inspectNode(r *http.Request) (answer, error) {
	node, err := e.nodeAt(r)
	if err != nil {
		return answer{}, err
	}
	return ok(node)
}

func (e *Engine) updateNode(r *http.Request) (answer, error) {
	node, err := e.nodeAt(r)
	if err != nil {
		return answer{}, err
	}
	var spec swarm.NodeSpec
	if err := decode(r, &spec); err != nil {
		return answer{}, err
	}
	version, err := versionOf(r, "node")
	if err != nil {
		return answer{}, err
	}
	if version != node.Version.Index {
		return answer{}, outOfSequence()
	}
	spec.Labels = labelsOrEmpty(spec.Labels)
	node.Spec = spec
	e.touch(&node.Meta)
	e.wrote(events.NodeEventType, events.ActionUpdate, node.ID, node.Description.Hostname)
	return done(http.StatusOK)
}

// constraint is one placement constraint: "node.labels.ssd == true".
type constraint struct {
	key, value string
	equal      bool
}

var (
	constraintKey   = regexp.MustCompile(`^(?i)[a-z_][a-z0-9\-_.]+$`)
	constraintValue = regexp.MustCompile(`^(?i)[a-z0-9:\-_\s\.\*\(\)\?\+\[\]\\\^\$\|\/]+$`)
)

// parseConstraint refuses what Swarm refuses, without a gRPC code.
func parseConstraint(text string) (constraint, error) {
	const unknown = "rpc error: code = Unknown desc = "
	key, value, equal := strings.Cut(text, "==")
	if !equal {
		var found bool
		if key, value, found = strings.Cut(text, "!="); !found {
			return constraint{}, refuse(http.StatusInternalServerError, unknown+"constraint expected one operator from ==, !=")
		}
	}
	parsed := constraint{strings.TrimSpace(key), strings.TrimSpace(value), equal}
	if !constraintKey.MatchString(parsed.key) {
		return parsed, refuse(http.StatusInternalServerError, unknown+"key '%s' is invalid", parsed.key)
	}
	if !constraintValue.MatchString(parsed.value) {
		return parsed, refuse(http.StatusInternalServerError, unknown+"value '%s' is invalid", parsed.value)
	}
	return parsed, nil
}

func (c constraint) holds(node *swarm.Node) bool {
	var actual string
	key := strings.ToLower(c.key)
	switch {
	case key == "node.id":
		actual = node.ID
	case key == "node.hostname":
		actual = node.Description.Hostname
	case key == "node.role":
		actual = string(node.Spec.Role)
	case key == "node.platform.os":
		actual = node.Description.Platform.OS
	case key == "node.platform.arch":
		actual = node.Description.Platform.Architecture
	case strings.HasPrefix(key, "node.labels."):
		actual = node.Spec.Labels[c.key[len("node.labels."):]]
	case strings.HasPrefix(key, "engine.labels."):
		actual = node.Description.Engine.Labels[c.key[len("engine.labels."):]]
	default:
		return false
	}
	return strings.EqualFold(actual, c.value) == c.equal
}

// fits reports whether a node is up, accepts tasks and satisfies the placement.
func fits(node *swarm.Node, placement *swarm.Placement) bool {
	if node == nil || node.Status.State != swarm.NodeStateReady || node.Spec.Availability != swarm.NodeAvailabilityActive {
		return false
	}
	return meets(node, placement)
}

// meets reports whether a node satisfies the constraints of a placement.
func meets(node *swarm.Node, placement *swarm.Placement) bool {
	return placement == nil || !slices.ContainsFunc(placement.Constraints, func(text string) bool {
		parsed, err := parseConstraint(text)
		return err != nil || !parsed.holds(node)
	})
}
