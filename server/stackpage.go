package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

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

const (
	// searched is how many deployments are looked through for those of a stack, and
	// mostOfStack how many of them its page shows.
	searched    = 200
	mostOfStack = 20
)

func (s *Server) stackPage(w http.ResponseWriter, r *http.Request) {
	status, name := s.Controller.Status(), r.PathValue("name")
	at := slices.IndexFunc(status.Stacks, func(stack kargo.StackStatus) bool { return stack.Name == name })
	if at < 0 {
		reject(w, http.StatusNotFound, "there is no stack "+strconv.Quote(name), "")
		return
	}
	stack := status.Stacks[at]
	view, adoptable := stackView{frame: s.frame(r, status)}, false
	for _, hold := range holdsByStack(status.Pending.Held)[name] {
		adoptable = adoptable || asksForAdoption(stack, hold)
		if !repeats(stack, hold) {
			view.Held = append(view.Held, hold)
		}
	}
	view.Stack = rowOf(stack, nil, status.SwarmTrouble != "")
	view.Stack.Adoptable = adoptable
	view.Title, view.Tab, view.Live = name+" "+string(stack.State())+" – Kargo "+status.Instance, "stacks", true
	for _, change := range status.Pending.Changes {
		if change.Stack == name {
			view.Changes = append(view.Changes, change)
		}
	}
	deployments, err := s.History.Deployments(0, searched)
	if err != nil {
		s.fail(w, err)
		return
	}
	for _, d := range deployments {
		if len(view.History.Deployments) < mostOfStack && moved(d, name) {
			view.History.Deployments = append(view.History.Deployments, d)
		}
	}
	s.addDetails(r.Context(), &view)
	s.render(w, r, http.StatusOK, "stack.html", view)
}

// moved reports whether a deployment was about a stack.
func moved(d kargo.Deployment, stack string) bool {
	return slices.ContainsFunc(d.Stacks, func(s kargo.StackResult) bool { return s.Name == stack && s.Verdict != kargo.VerdictUnchanged }) ||
		slices.ContainsFunc(d.Changes, func(c kargo.Change) bool { return c.Stack == stack }) ||
		d.Note != "" && slices.Contains(strings.FieldsFunc(d.Note, func(r rune) bool { return r == ' ' || r == ',' || r == ':' }), stack)
}
