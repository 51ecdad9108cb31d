package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kargo"
)

const (
	// perPage is how many deployments a page of the history shows first, and how many
	// more when its end is reached, up to mostShown. mostSearched is how many it looks
	// through for them.
	perPage      = 30
	mostShown    = 10 * perPage
	mostSearched = 1000
	// mostOfRevision is how many deployments the page of a revision shows.
	mostOfRevision = 100
)

// search is what a person looks for in the history.
type search struct {
	kargo.Search
	before uint64
	shown  int // how many are shown at most
}

// searchIn reads from the parameters of an address what is looked for.
func searchIn(query url.Values) kargo.Search {
	value := func(name string) string { return strings.TrimSpace(query.Get(name)) }
	return kargo.Search{Text: value("q"), Stack: value("stack"), Author: value("author"), Outcome: kargo.Outcome(value("outcome"))}
}

// searchOf reads a search from an address. The error is Invalid.
func searchOf(r *http.Request) (s search, err error) {
	value := func(name string) string { return strings.TrimSpace(r.URL.Query().Get(name)) }
	s = search{Search: searchIn(r.URL.Query()), shown: perPage}
	if shown := value("shown"); shown != "" {
		if s.shown, err = strconv.Atoi(shown); err != nil || s.shown < 1 || s.shown > mostShown {
			return s, kargo.Errorf(kargo.Invalid, "shown is not a number from 1 to %d", mostShown)
		}
	}
	if before := value("before"); before != "" {
		if s.before, err = strconv.ParseUint(before, 10, 64); err != nil || s.before == 0 {
			return s, kargo.Errorf(kargo.Invalid, "before is not the number of a deployment")
		}
	}
	return s, nil
}

// address returns that of the page with the search.
func (s search) address() string {
	query := url.Values{}
	for name, value := range map[string]string{"q": s.Text, "stack": s.Stack, "author": s.Author, "outcome": string(s.Outcome),
		"before": strconv.FormatUint(s.before, 10), "shown": strconv.Itoa(s.shown)} {
		if value != "" && value != "0" && (name != "shown" || s.shown != perPage) {
			query.Set(name, value)
		}
	}
	return "/deployments?" + query.Encode()
}

// earlier returns the address of another page with the same search, for what is before
// a number.
func (s search) earlier(before uint64) string {
	s.before, s.shown = before, perPage
	return s.address()
}

// longer returns the address of the same page with more deployments, "" if it has as
// many as a page may have.
func (s search) longer() string {
	s.shown += perPage
	if s.shown > mostShown {
		return ""
	}
	return s.address()
}

// read returns the newest deployments that fit, and the address of those before them.
// longer is that of the same page with more of them; "" if it cannot have more.
func (s search) read(history History) (found Deployments, longer string, err error) {
	deployments, next, err := s.Find(s.before, s.shown, mostSearched, readFrom(history))
	if err != nil {
		return Deployments{}, "", err
	}
	found.Deployments = deployments
	if next > 0 {
		found.Next = s.earlier(next)
	}
	if next > 0 && len(deployments) == s.shown {
		longer = s.longer()
	}
	return found, longer, nil
}

// readFrom returns the function with which a search reads.
func readFrom(history History) func(stack string, before uint64, limit int) ([]kargo.Deployment, error) {
	return func(stack string, before uint64, limit int) ([]kargo.Deployment, error) {
		if stack != "" {
			return history.DeploymentsAbout(stack, before, limit)
		}
		return history.Deployments(before, limit)
	}
}

// historyView is what the page of the history shows, deploymentView that of one
// deployment, and revisionView that of a revision.
type (
	historyView struct {
		frame
		Search   search
		Outcomes []kargo.Outcome
		History  Deployments
		// Longer is the address of the page with more deployments.
		Longer string
	}
	deploymentView struct {
		frame
		Deployment *kargo.Deployment
		// Before is the number of the deployment before it that is kept; 0 if none is.
		Before uint64
	}
	revisionView struct {
		frame
		Revision kargo.Revision
		Stacks   []kargo.StackStatus // those that run it
		History  Deployments
	}
)

func (s *Server) deploymentsPage(w http.ResponseWriter, r *http.Request) {
	asked, err := searchOf(r)
	if err != nil {
		reject(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	status := s.Controller.Status()
	view := historyView{frame: s.frame(r, status), Search: asked, Outcomes: kargo.Outcomes()}
	view.Title, view.Tab, view.Live = "History – Kargo "+status.Instance, "history", asked.before == 0
	if view.History, view.Longer, err = asked.read(s.History); err != nil {
		s.fail(w, err)
		return
	}
	s.render(w, r, http.StatusOK, "deployments.html", view)
}

func (s *Server) deploymentPage(w http.ResponseWriter, r *http.Request) {
	deployment := s.deploymentOf(w, r)
	if deployment == nil {
		return
	}
	status := s.Controller.Status()
	view := deploymentView{frame: s.frame(r, status), Deployment: deployment}
	view.Title = fmt.Sprintf("Deployment %d %s – Kargo %s", deployment.Number, deployment.Outcome, status.Instance)
	view.Tab, view.Live = "history", isOpen(deployment.Outcome)
	earlier, err := s.History.Deployments(deployment.Number, 20)
	if err != nil {
		s.fail(w, err)
		return
	}
	if at := slices.IndexFunc(earlier, func(d kargo.Deployment) bool { return !d.Kind.IsNote() }); at >= 0 {
		view.Before = earlier[at].Number
	}
	s.render(w, r, http.StatusOK, "deployment.html", view)
}

// revisionPage shows what is known of a revision, named by the start of its commit.
func (s *Server) revisionPage(w http.ResponseWriter, r *http.Request) {
	commit, status := r.PathValue("commit"), s.Controller.Status()
	view := revisionView{frame: s.frame(r, status)}
	if len(commit) < 4 {
		reject(w, http.StatusNotFound, "a commit has more characters", "")
		return
	}
	isIt := func(id kargo.RevisionID) bool { return strings.HasPrefix(string(id), commit) }
	for _, revision := range []kargo.Revision{status.Head, status.Applied} {
		if isIt(revision.ID()) {
			view.Revision = revision
		}
	}
	for _, stack := range status.Stacks {
		if isIt(stack.Revision) {
			view.Stacks = append(view.Stacks, stack)
		}
	}
	var err error
	if view.History.Deployments, err = s.History.DeploymentsOf(commit, mostOfRevision); err != nil {
		s.fail(w, err)
		return
	}
	for _, deployment := range view.History.Deployments {
		if view.Revision.Commit == "" && isIt(deployment.Revision.ID()) {
			view.Revision = deployment.Revision
		}
	}
	if view.Revision.Commit == "" && len(view.History.Deployments)+len(view.Stacks) == 0 {
		reject(w, http.StatusNotFound, "nothing is known of revision "+strconv.Quote(commit), "the history keeps the newest deployments only")
		return
	}
	if view.Revision.Commit == "" {
		view.Revision = kargo.RevisionID(commit).Revision()
	}
	view.Title, view.Tab, view.Live = "Revision "+view.Revision.Short()+" – Kargo "+status.Instance, "history", true
	s.render(w, r, http.StatusOK, "revision.html", view)
}
