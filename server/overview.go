package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kargo"
)

// overview is what the first page shows.
type overview struct {
	frame
	Search   string
	State    kargo.StackState // the only one that is shown; "" for all
	Counts   []stateCount
	Groups   []group
	Found    int
	Errors   kargo.Problems
	Warnings kargo.Problems
	// Waiting are the holds of no stack that is shown; Approvable reports that some
	// hold of the plan waits for a person.
	Waiting    []kargo.Hold
	Approvable int
	History    Deployments
	HistoryErr string
	// NextFreeze is the freeze window that begins soon; nil if none does.
	NextFreeze *kargo.FreezeStatus
}

// soon is how long before it begins a freeze window is shown on the first page.
const soon = 24 * time.Hour

// nextFreeze returns the freeze window that begins next, if that is soon.
func nextFreeze(windows []kargo.FreezeStatus, now time.Time) (next *kargo.FreezeStatus) {
	for _, window := range windows {
		if window.Next.After(now) && window.Next.Sub(now) < soon && (next == nil || window.Next.Before(next.Next)) {
			next = &window
		}
	}
	return next
}

// stateCount is one of the filters above the stacks.
type stateCount struct {
	Name    string
	Tone    string
	Count   int
	Address string
	Current bool
}

// group is the stacks in one state.
type group struct {
	State kargo.StackState
	Tone  string
	Rows  []stackRow
	Open  bool
	ID    string // of the element; another one where a search decides what is open
}

// stackRow is one stack, as a line or, where it is not well, with what is known of
// its trouble.
type stackRow struct {
	kargo.StackStatus
	// Reasons say why the stack is not well, each thing once.
	Reasons []string
	// Words are what its tasks said.
	Words []string
	Held  []kargo.Hold
	// Moving are the services that are not as they should be.
	Moving []kargo.ServiceStatus
	// HasEarlier reports that a rendering is kept that came up before the one that runs.
	HasEarlier bool
	// Adoptable reports that objects of its names have no owner.
	Adoptable bool
	// Stale reports that nobody knows whether this is still so.
	Stale bool
}

// Tasks returns how many tasks of the stack run, and how many should.
func (s stackRow) Tasks() (tasks struct{ Running, Desired uint64 }) {
	for _, service := range s.Services {
		tasks.Running, tasks.Desired = tasks.Running+service.Running, tasks.Desired+service.Desired
	}
	return tasks
}

// Doing is what is under way with the stack, unless its state says so.
func (s stackRow) Doing() kargo.Operation {
	if string(s.Operation) == string(s.State()) {
		return ""
	}
	return s.Operation
}

// fold is from how many stacks on a group of those that are well begins closed.
const fold = 60

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request) {
	status := s.Controller.Status()
	view := overview{frame: s.frame(r, status), Search: strings.TrimSpace(r.URL.Query().Get("q")), State: kargo.StackState(r.URL.Query().Get("state"))}
	view.Title, view.Tab, view.Skip, view.Live = tabTitle(status, view.Summary), "stacks", cond(status.Leader == "", "groups", ""), true
	for _, problem := range status.Problems {
		if problem.Warning {
			view.Warnings = append(view.Warnings, problem)
		} else {
			view.Errors = append(view.Errors, problem)
		}
	}
	for _, hold := range status.Pending.Held {
		if hold.Until == kargo.UntilApproved {
			view.Approvable++
		}
	}
	view.NextFreeze = nextFreeze(status.Freezes, s.now())
	status.Pending.Held = withoutStop(status)
	view.Waiting = holdsOfNone(status)
	view.arrange(status, s.History.KeptDigests)
	var err error
	if view.History, err = (window{limit: 8}).read(s.History, "/deployments"); err != nil {
		view.HistoryErr = kargo.Explain(err) // the rest is worth showing all the same
	}
	s.render(w, r, http.StatusOK, "overview.html", view)
}

// arrange counts the stacks that fit the search, and groups those that are shown, the
// worst first. kept returns the digests of the renderings of a stack that are kept.
func (o *overview) arrange(status kargo.Status, kept func(stack string) []string) {
	held := holdsByStack(status.Pending.Held)
	rows := map[kargo.StackState][]stackRow{}
	for _, stack := range status.Stacks {
		if o.Search == "" || fits(stack, strings.ToLower(o.Search)) {
			row := rowOf(stack, held[stack.Name], status.SwarmTrouble != "")
			if stack.State() != kargo.StackWell { // those that are well have a line without actions
				row.HasEarlier = hasEarlier(stack, kept(stack.Name))
			}
			rows[stack.State()] = append(rows[stack.State()], row)
			o.Found++
		}
	}
	o.Counts = []stateCount{{Name: "all", Count: o.Found, Tone: "idle", Address: o.address(""), Current: o.State == ""}}
	for _, state := range kargo.StackStates() {
		found := rows[state]
		if len(found) == 0 && state != o.State {
			continue
		}
		o.Counts = append(o.Counts, stateCount{string(state), tone(state), len(found), o.address(state), state == o.State})
		if len(found) == 0 || o.State != "" && state != o.State {
			continue
		}
		asked := o.Search != "" || o.State != ""
		o.Groups = append(o.Groups, group{State: state, Tone: tone(state), Rows: found, ID: anchor(string(state)) + cond(asked, "-found", ""),
			Open: asked || state != kargo.StackWell || len(found) < fold})
	}
}

// address returns that of the page with the same search and another state.
func (o *overview) address(state kargo.StackState) string {
	query := url.Values{}
	if o.Search != "" {
		query.Set("q", o.Search)
	}
	if state != "" {
		query.Set("state", string(state))
	}
	if len(query) == 0 {
		return "/"
	}
	return "/?" + query.Encode()
}

// fits reports whether a stack has all words of a search, in lower case, in its name,
// its state, its revision, or the names and images of its services.
func fits(stack kargo.StackStatus, search string) bool {
	text := stack.Name + " " + string(stack.State()) + " " + string(stack.Revision)
	for _, service := range stack.Services {
		text += " " + service.Name + " " + service.Image
	}
	text = strings.ToLower(text)
	return !slices.ContainsFunc(strings.Fields(search), func(word string) bool { return !strings.Contains(text, word) })
}

// withoutStop returns the pending holds without what the page says once: of everything or
// of the stack, until when it is suspended, frozen or held, by whom and why.
func withoutStop(status kargo.Status) []kargo.Hold {
	everything := ""
	switch {
	case status.Suspended != nil:
		everything = status.Suspended.Suspended()
	case status.Frozen != nil:
		everything = status.Frozen.String()
	}
	stops := map[string]string{}
	for _, stack := range status.Stacks {
		if stack.Stop != nil {
			stops[stack.Name] = stack.Stop.String()
		}
	}
	held := slices.Clone(status.Pending.Held)
	for i := range held {
		for _, said := range []string{everything, stops[stackOfHold(held[i])]} {
			if said != "" {
				held[i].Reason = strings.TrimPrefix(held[i].Reason, said+"; ")
			}
		}
	}
	return held
}

func holdsByStack(held []kargo.Hold) map[string][]kargo.Hold {
	of := map[string][]kargo.Hold{}
	for _, hold := range held {
		of[stackOfHold(hold)] = append(of[stackOfHold(hold)], hold)
	}
	return of
}

// stackOfHold returns the stack that a hold is about, "" if it is about none.
func stackOfHold(hold kargo.Hold) string {
	if hold.Stack == "" && hold.Kind == "" {
		return hold.Name
	}
	return hold.Stack
}

// holdsOfNone returns the pending holds that belong to no stack of the status.
func holdsOfNone(status kargo.Status) []kargo.Hold {
	return slices.DeleteFunc(slices.Clone(status.Pending.Held), func(hold kargo.Hold) bool {
		return slices.ContainsFunc(status.Stacks, func(stack kargo.StackStatus) bool { return stack.Name == stackOfHold(hold) })
	})
}

// rowOf gathers what is known of the trouble of a stack. What one of the sources says
// is left out of the next.
func rowOf(stack kargo.StackStatus, held []kargo.Hold, stale bool) stackRow {
	row := stackRow{StackStatus: stack, Stale: stale}
	if stack.State() == kargo.StackWell {
		return row
	}
	said := ""
	says := func(text string) bool {
		isNew := text != "" && !strings.Contains(said, text)
		said += "\n" + text
		return isNew
	}
	if failure := stack.Failure; failure != nil {
		says(failure.Briefly())
		row.Reasons = append(row.Reasons, failure.Briefly())
		for _, word := range failure.Words {
			if says(word) {
				row.Words = append(row.Words, word)
			}
		}
	}
	if failure := stack.Failure; says(stack.Message) && (failure == nil || !strings.Contains(stack.Message, failure.Reason)) {
		row.Reasons = append(row.Reasons, stack.Message)
	}
	for _, service := range stack.Services {
		if service.Health == kargo.HealthHealthy && service.InSync && service.Operation == "" {
			continue
		}
		if !says(service.Message) {
			service.Message = ""
		}
		row.Moving = append(row.Moving, service)
	}
	row.Adoptable = slices.ContainsFunc(held, func(hold kargo.Hold) bool { return asksForAdoption(stack, hold) })
	for _, hold := range held {
		if !repeats(stack, hold) && says(hold.Reason) {
			row.Held = append(row.Held, hold)
		}
	}
	return row
}

// repeats reports whether a hold of a whole stack says what the stop or the failure of
// the stack says already.
func repeats(stack kargo.StackStatus, hold kargo.Hold) bool {
	return hold.Kind == "" && (stack.Stop != nil && hold.Until == kargo.UntilReleased ||
		stack.Failure != nil && strings.Contains(hold.Reason, stack.Failure.Reason))
}

// asksForAdoption reports whether a hold ends when objects are adopted: it names the
// variable that allows that.
func asksForAdoption(stack kargo.StackStatus, hold kargo.Hold) bool {
	return strings.Contains(hold.Reason, kargo.SuffixAdopt.Of(stack.Name))
}

// hasEarlier reports whether a rendering of a stack is kept that it can go back to.
func hasEarlier(stack kargo.StackStatus, kept []string) bool {
	if stack.Wanted != "" { // one of those that are kept runs in the place of the wanted one
		return len(kept) > 1
	}
	return slices.ContainsFunc(kept, func(digest string) bool { return digest != stack.Digest })
}

// anchor returns a text as the ID of an element.
func anchor(text string) string { return strings.ReplaceAll(text, " ", "-") }

// tabTitle returns what the tab of the browser says: the state first, with how many
// stacks need a person.
func tabTitle(status kargo.Status, summary summary) string {
	needy := len(status.InState(kargo.StackFailed)) + len(status.InState(kargo.StackDegraded))
	count := ""
	if needy > 0 {
		count = fmt.Sprintf("(%d) ", needy)
	}
	return count + summary.Word + " – Kargo " + status.Instance
}
