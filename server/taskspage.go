package server

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"kargo"
)

// detailTime is how long a page waits for the tasks of a stack. The rest of the page
// is worth showing without them.
const detailTime = 3 * time.Second

// addDetails adds to the page of a stack what only a look at Swarm tells.
func (s *Server) addDetails(ctx context.Context, view *stackView) {
	if s.Inspector == nil || view.Status.SwarmTrouble != "" || view.Status.Leader != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, detailTime)
	defer cancel()
	details, err := s.Inspector.Details(ctx, view.Stack.Name)
	switch {
	case err != nil:
		view.DetailErr = kargo.Explain(err)
	case len(details) == 1:
		view.Detail = &details[0]
	}
}

// placedTask is a task and the stack that it belongs to.
type placedTask struct {
	kargo.TaskDetail
	Stack string
}

// nodeTasks are the tasks on one node.
type nodeTasks struct {
	Node  string
	Tasks []placedTask
}

// Running returns how many of the tasks run.
func (n nodeTasks) Running() (running int) {
	for _, task := range n.Tasks {
		if task.State == "running" {
			running++
		}
	}
	return running
}

// nodesView is what the page of the nodes shows.
type nodesView struct {
	frame
	Nodes []nodeTasks
}

// nodesPage shows which tasks of the stacks are on which node.
func (s *Server) nodesPage(w http.ResponseWriter, r *http.Request) {
	details, err := s.Inspector.Details(r.Context())
	if err != nil {
		s.fail(w, err)
		return
	}
	status := s.Controller.Status()
	view := nodesView{frame: s.frame(r, status), Nodes: byNode(details)}
	view.Title, view.Tab = "Nodes – Kargo "+status.Instance, "nodes"
	s.render(w, r, http.StatusOK, "nodes.html", view)
}

// byNode returns the tasks of stacks by node, in order of name. Those that no node has
// taken come first.
func byNode(details []kargo.StackDetail) (nodes []nodeTasks) {
	tasks := map[string][]placedTask{}
	for _, stack := range details {
		for _, service := range stack.Parts {
			for _, task := range service.Tasks {
				tasks[task.Node] = append(tasks[task.Node], placedTask{task, stack.Name})
			}
		}
	}
	for _, node := range slices.Sorted(maps.Keys(tasks)) {
		slices.SortStableFunc(tasks[node], func(a, b placedTask) int {
			return cmp.Or(cmp.Compare(taskRank(a.State), taskRank(b.State)), cmp.Compare(a.Name, b.Name))
		})
		nodes = append(nodes, nodeTasks{node, tasks[node]})
	}
	return nodes
}

// taskRank orders tasks by their state: those that do not run come first.
func taskRank(state string) int {
	switch taskTone(state) {
	case "bad":
		return 0
	case "good":
		return 2
	}
	return 1
}

// taskTone returns the colour of a task's state, in Swarm's words.
func taskTone(state string) string {
	switch state {
	case "running", "complete":
		return "good"
	case "failed", "rejected", "orphaned":
		return "bad"
	case "shutdown", "remove":
		return "idle"
	}
	return "busy"
}
