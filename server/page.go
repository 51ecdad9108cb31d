package server

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kargo"
)

//go:embed page
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"ago":       func(time.Time) string { panic("set when a page is rendered") },
	"commit":    func(commit string) string { return kargo.RevisionID(commit).Short() },
	"count":     count,
	"card":      newCard,
	"duration":  duration,
	"image":     image,
	"lines":     planLines,
	"open":      isOpen,
	"stackNews": stackNews,
	"textLines": textLines,
	"timestamp": timestamp,
	"tone":      tone,
}).ParseFS(pageFiles, "page/*.html"))

// overview is what the first page shows.
type overview struct {
	kargo.Status
	Summary    summary
	Errors     kargo.Problems
	Warnings   kargo.Problems
	Approvable bool
	History    Deployments
	HistoryErr string
}

// card is one revision on the page.
type card struct {
	Name, Tone string
	Revision   kargo.Revision
}

func newCard(name, tone string, revision kargo.Revision) card {
	if revision.Commit == "" {
		tone = "idle"
	}
	return card{name, tone, revision}
}

// summary is the state of everything, in one word and a sentence.
type summary struct {
	Tone string // "good", "busy", "warn", "bad", "idle": a colour
	Word string
	Text string
}

func (s *Server) overviewPage(w http.ResponseWriter, _ *http.Request) {
	status := s.Controller.Status()
	view := overview{Status: status, Summary: summarize(status)}
	for _, problem := range status.Problems {
		if problem.Warning {
			view.Warnings = append(view.Warnings, problem)
		} else {
			view.Errors = append(view.Errors, problem)
		}
	}
	for _, hold := range status.Pending.Held {
		view.Approvable = view.Approvable || hold.Until == kargo.UntilApproved
	}
	var err error
	newest := window{limit: defaultLimit}
	if view.History, err = newest.read(s.History, "/deployments"); err != nil {
		view.HistoryErr = kargo.Explain(err) // the rest is worth showing all the same
	}
	w.Header().Set("Refresh", "30")
	s.render(w, "overview.html", view)
}

// render writes a page, but only if all of it could be made.
func (s *Server) render(w http.ResponseWriter, name string, view any) {
	now := s.now()
	page, err := pages.Clone()
	if err != nil {
		s.fail(w, err)
		return
	}
	page.Funcs(template.FuncMap{"ago": func(then time.Time) string { return ago(now, then) }})
	var text bytes.Buffer
	if err := page.ExecuteTemplate(&text, name, view); err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = text.WriteTo(w)
}

func serveStatic(w http.ResponseWriter, r *http.Request) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil || strings.HasSuffix(r.URL.Path, "/") || strings.HasSuffix(r.URL.Path, ".html") {
		notFound(w, r)
		return
	}
	http.StripPrefix("/static/", http.FileServerFS(files)).ServeHTTP(w, r)
}

// textLines splits a text at its line breaks.
func textLines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
}

// summarize returns the state of everything. What needs a person comes first.
func summarize(status kargo.Status) summary {
	worst := kargo.HealthHealthy
	for _, stack := range status.Stacks {
		switch stack.Health {
		case kargo.HealthDegraded:
			worst = kargo.HealthDegraded
		case kargo.HealthProgressing:
			if worst != kargo.HealthDegraded {
				worst = kargo.HealthProgressing
			}
		case kargo.HealthHealthy:
		}
	}
	var failed []string
	for _, stack := range status.Stacks {
		if stack.Failure != nil {
			failed = append(failed, stack.Name)
		}
	}
	pending, held := len(status.Pending.Changes), len(status.Pending.Held)
	switch {
	case status.Problems.Err() != nil:
		return summary{"bad", "Invalid", "The newest revision is not applied. The last good one stays in force."}
	case status.Fault != "":
		return summary{"bad", title(status.Fault), "The controller cannot do its work; the message below says why."}
	case !status.Ready():
		return summary{"idle", "Starting", "No revision was applied yet."}
	case len(failed) > 0:
		return summary{"bad", "Failed", "The newest rendering did not start or did not stay up: " + strings.Join(failed, ", ") + "."}
	case worst == kargo.HealthDegraded:
		return summary{"bad", "Degraded", "At least one service does not run as it should."}
	case pending > 0 || worst == kargo.HealthProgressing:
		return summary{"busy", "Rolling out", count(pending, "change") + " to go."}
	case held > 0:
		return summary{"warn", "Held back", count(held, "change") + " wait" + cond(held == 1, "s", "") + "."}
	}
	return summary{"good", "In sync", "What runs is what the repository says."}
}

// tone returns the colour of a health or an outcome.
func tone(word any) string {
	switch word {
	case kargo.HealthHealthy, kargo.OutcomeSucceeded:
		return "good"
	case kargo.HealthProgressing, kargo.OutcomeRunning, kargo.OutcomeProgressing:
		return "busy"
	case kargo.HealthDegraded, kargo.OutcomeFailed, kargo.OutcomeRefused:
		return "bad"
	}
	return "idle"
}

// line is a change or hold of a plan, in the words of compose files.
type line struct {
	Tone  string // of the mark
	Mark  string
	Text  string
	Swarm string // the same with Swarm's own names and paths
}

func planLines(changes []kargo.Change, held []kargo.Hold) []line {
	var lines []line
	for _, change := range changes {
		lines = append(lines, line{string(change.Action), marks[change.Action], change.Title() + "  " + strings.Join(change.Words(), "; "), change.String()})
	}
	for _, hold := range held {
		lines = append(lines, line{"hold", "‖", hold.String(), ""})
	}
	return lines
}

var marks = map[kargo.Action]string{kargo.Create: "+", kargo.Update: "~", kargo.Remove: "−"}

// stackNews names the stacks that a deployment changed, and those in which it put
// right what somebody else had changed.
func stackNews(results []kargo.StackResult) string {
	var names []string
	for _, stack := range results {
		switch stack.Verdict {
		case kargo.VerdictAdded:
			names = append(names, "+"+stack.Name)
		case kargo.VerdictRemoved:
			names = append(names, "−"+stack.Name)
		case kargo.VerdictChanged:
			names = append(names, stack.Name)
		case kargo.VerdictCorrected:
			names = append(names, stack.Name+" (corrected)")
		case kargo.VerdictUnchanged:
		}
	}
	return strings.Join(names, ", ")
}

// isOpen reports whether an outcome may still change.
func isOpen(outcome kargo.Outcome) bool {
	return outcome == kargo.OutcomeRunning || outcome == kargo.OutcomeProgressing
}

// image returns an image's name with a shortened digest.
func image(name string) string {
	name, digest, pinned := strings.Cut(name, "@sha256:")
	if pinned && len(digest) > 12 {
		return name + "@" + digest[:12] + "…"
	}
	return name + cond(pinned, "@"+digest, "")
}

func count(n int, noun string) string {
	return strconv.Itoa(n) + " " + noun + cond(n == 1, "", "s")
}

func timestamp(when time.Time) string { return when.UTC().Format(time.RFC3339) }

// duration returns how long something took: short times exactly, long ones
// roughly.
func duration(from, to time.Time) string {
	took := to.Sub(from)
	if took < 10*time.Second {
		return strconv.FormatFloat(took.Seconds(), 'f', 1, 64) + "\u00a0s"
	}
	return roughly(took)
}

// ago returns a time as people say it, also one in the future.
func ago(now, then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	passed := now.Sub(then)
	if passed < 0 {
		return "in " + roughly(-passed)
	}
	return roughly(passed) + " ago"
}

func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 90*time.Second:
		return strconv.Itoa(int(d.Seconds())) + "\u00a0s" // a unit stays with its number
	case d < 90*time.Minute:
		return strconv.Itoa(int(d.Minutes())) + "\u00a0min"
	case d < 2*day:
		return strconv.Itoa(int(d.Hours())) + "\u00a0h"
	}
	return count(int(d/day), "day")
}

func title(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func cond(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
