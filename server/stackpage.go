package server

import (
	"net/http"
	"slices"
	"strconv"

	"kargo"
)

// stackView is what the page of a stack shows.
type stackView struct {
	frame
	Stack stackRow
	// Detail is what only a look at Swarm tells, or DetailErr why that is not known.
	Detail    *kargo.StackDetail
	DetailErr string
	Changes   []kargo.Change
	Held      []kargo.Hold
	History   Deployments
}

// mostOfStack is how many deployments the page of a stack shows.
const mostOfStack = 20

func (s *Server) stackPage(w http.ResponseWriter, r *http.Request) {
	status, name := s.Controller.Status(), r.PathValue("name")
	at := slices.IndexFunc(status.Stacks, func(stack kargo.StackStatus) bool { return stack.Name == name })
	if at < 0 {
		reject(w, http.StatusNotFound, "there is no stack "+strconv.Quote(name), "")
		return
	}
	stack := status.Stacks[at]
	status.Pending.Held = withoutStop(status)
	view, adoptable := stackView{frame: s.frame(r, status)}, false
	for _, hold := range holdsByStack(status.Pending.Held)[name] {
		adoptable = adoptable || asksForAdoption(stack, hold)
		if !repeats(stack, hold) {
			view.Held = append(view.Held, hold)
		}
	}
	view.Stack = rowOf(stack, nil, status.SwarmTrouble != "")
	view.Stack.Adoptable, view.Stack.HasEarlier = adoptable, hasEarlier(stack, s.History.KeptDigests(name))
	view.Title, view.Tab, view.Live = name+" "+string(stack.State())+" – Kargo "+status.Instance, "stacks", true
	for _, change := range status.Pending.Changes {
		if change.Stack == name {
			view.Changes = append(view.Changes, change)
		}
	}
	var err error
	if view.History.Deployments, err = s.History.DeploymentsAbout(name, 0, mostOfStack); err != nil {
		s.fail(w, err)
		return
	}
	s.addDetails(r.Context(), &view)
	s.render(w, r, http.StatusOK, "stack.html", view)
}
