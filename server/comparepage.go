package server

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"kargo"
)

// compareView is what the page shows that compares two states side by side.
type compareView struct {
	frame
	From, To, Stack string
	Diff            *kargo.Diff
	Changes         []kargo.Change // without the configs whose contents are compared
	Problem         *Problem       // why they cannot be compared
}

// comparePage compares two states: what runs, what git says, a deployment, a commit.
func (s *Server) comparePage(w http.ResponseWriter, r *http.Request) {
	status := s.Controller.Status()
	query := r.URL.Query()
	view := compareView{frame: s.frame(r, status), Stack: query.Get("stack"),
		From: cmp.Or(query.Get("from"), kargo.StateLive), To: cmp.Or(query.Get("to"), kargo.StateGit)}
	view.Title, view.Tab = view.From+" and "+view.To+" – Kargo "+status.Instance, "compare"
	code := http.StatusOK
	diff, err := s.Inspector.Diff(r.Context(), view.From, view.To, view.Stack)
	if err != nil {
		problem := ProblemOf(err)
		view.Problem, code = &problem, httpStatus(problem.Fault)
	} else {
		view.Diff, view.Changes = &diff, withoutCompared(diff.Changes)
	}
	s.render(w, r, code, "compare.html", view)
}

// withoutCompared leaves out the configs that come and go, if the lines of their contents
// are compared.
func withoutCompared(changes []kargo.Change) []kargo.Change {
	compared := map[string]bool{}
	for _, change := range changes {
		for _, field := range change.Fields {
			if len(field.Lines) > 0 {
				compared[field.Before], compared[field.After] = true, true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(changes), func(change kargo.Change) bool {
		return change.Kind == kargo.KindConfig && compared[strconv.Quote(change.Name)]
	})
}

// sideRow is one row of lines side by side: one line that both texts have, or a line of
// the text before and the one that takes its place.
type sideRow struct{ Before, After kargo.Line }

// Same reports whether both texts have the line.
func (r sideRow) Same() bool { return r.Before == r.After }

// sides returns a difference of lines as rows: lines that go stand beside those that
// come after them.
func sides(lines []kargo.Line) (rows []sideRow) {
	for len(lines) > 0 {
		run := func(mark string) (of []kargo.Line) {
			for len(lines) > 0 && lines[0].Mark() == mark {
				of, lines = append(of, lines[0]), lines[1:]
			}
			return of
		}
		gone := run("-")
		come := run("+")
		for i := range max(len(gone), len(come)) {
			var row sideRow
			if i < len(gone) {
				row.Before = gone[i]
			}
			if i < len(come) {
				row.After = come[i]
			}
			rows = append(rows, row)
		}
		for _, line := range run(" ") {
			rows = append(rows, sideRow{line, line})
		}
	}
	return rows
}

// renderingView is what the page shows of what a stack sends to Swarm.
type renderingView struct {
	frame
	Name, Of  string
	Rendering kargo.RenderedState
}

// renderingPage shows what a stack sends to Swarm, with its secrets masked.
func (s *Server) renderingPage(w http.ResponseWriter, r *http.Request) {
	status := s.Controller.Status()
	view := renderingView{frame: s.frame(r, status), Name: r.PathValue("name"), Of: cmp.Or(r.URL.Query().Get("of"), kargo.StateGit)}
	view.Title, view.Tab = view.Name+" as it is sent – Kargo "+status.Instance, "stacks"
	var err error
	if view.Rendering, err = s.Inspector.Rendering(r.Context(), view.Of, view.Name); err != nil {
		s.fail(w, err)
		return
	}
	s.render(w, r, http.StatusOK, "rendering.html", view)
}

// setting is one of the operator's settings.
type setting struct{ Name, Value string }

// settingsView is what the page of the settings shows.
type settingsView struct {
	frame
	Settings []setting
}

// settingsPage shows the settings that differ from their defaults. Secrets are not
// among them.
func (s *Server) settingsPage(w http.ResponseWriter, r *http.Request) {
	status := s.Controller.Status()
	view := settingsView{frame: s.frame(r, status)}
	view.Title, view.Tab = "Settings – Kargo "+status.Instance, "settings"
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		view.Settings = append(view.Settings, setting{name, s.Settings[name]})
	}
	s.render(w, r, http.StatusOK, "settings.html", view)
}
