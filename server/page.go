package server

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
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
	"notWell":   func(stacks []kargo.StackStatus) []kargo.StackStatus { return stacksBy(stacks, false) },
	"open":      isOpen,
	"stackNews": stackNews,
	"textLines": textLines,
	"timestamp": timestamp,
	"tasks":     tasksOf,
	"tone":      tone,
	"well":      func(stacks []kargo.StackStatus) []kargo.StackStatus { return stacksBy(stacks, true) },
}).ParseFS(pageFiles, "page/*.html"))

// overview is what the first page shows.
type overview struct {
	kargo.Status
	Title      string
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
	summary := summarize(status)
	view := overview{Status: status, Title: summary.Word + " – Kargo " + status.Instance, Summary: summary}
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

// stacksBy returns the stacks that are well, or all others, the worst first.
func stacksBy(stacks []kargo.StackStatus, well bool) []kargo.StackStatus {
	var found []kargo.StackStatus
	for _, state := range kargo.StackStates() {
		if (state == kargo.StackWell) == well {
			found = append(found, kargo.Status{Stacks: stacks}.InState(state)...)
		}
	}
	return found
}

// tasksOf returns how many tasks of a stack run, of those that should.
func tasksOf(stack kargo.StackStatus) string {
	var running, desired uint64
	for _, service := range stack.Services {
		running, desired = running+service.Running, desired+service.Desired
	}
	return fmt.Sprintf("%d/%d", running, desired)
}

// stackView is what the page of a stack shows.
type stackView struct {
	Title   string
	Stack   kargo.StackStatus
	Changes []kargo.Change
	Held    []kargo.Hold
	History Deployments
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
		notFound(w, r)
		return
	}
	view := stackView{Stack: status.Stacks[at], Title: name + " " + string(status.Stacks[at].State()) + " – Kargo " + status.Instance}
	for _, change := range status.Pending.Changes {
		if change.Stack == name {
			view.Changes = append(view.Changes, change)
		}
	}
	for _, hold := range status.Pending.Held {
		if hold.Stack == name {
			view.Held = append(view.Held, hold)
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
	s.render(w, "stack.html", view)
}

// moved reports whether a deployment was about a stack.
func moved(d kargo.Deployment, stack string) bool {
	return slices.ContainsFunc(d.Stacks, func(s kargo.StackResult) bool { return s.Name == stack && s.Verdict != kargo.VerdictUnchanged }) ||
		slices.ContainsFunc(d.Changes, func(c kargo.Change) bool { return c.Stack == stack }) ||
		d.Kind.IsNote() && slices.Contains(strings.FieldsFunc(d.Note, func(r rune) bool { return r == ' ' || r == ',' || r == ':' }), stack)
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
		return summary{"bad", "Failed", title(status.Sentence()) + "."}
	case worst == kargo.HealthDegraded:
		return summary{"bad", "Degraded", title(status.Sentence()) + "."}
	case status.Suspended != nil:
		return summary{"warn", "Suspended", title(status.Sentence()) + "."}
	case pending > 0 || worst == kargo.HealthProgressing:
		return summary{"busy", "Rolling out", title(status.Sentence()) + cond(pending > 0, "; "+count(pending, "change")+" to go", "") + "."}
	case held > 0:
		return summary{"warn", "Held back", title(status.Sentence()) + "."}
	}
	return summary{"good", "In sync", "What runs is what the repository says."}
}

// tone returns the colour of a health or an outcome.
func tone(word any) string {
	switch word {
	case kargo.HealthHealthy, kargo.OutcomeSucceeded, kargo.StackWell:
		return "good"
	case kargo.HealthProgressing, kargo.OutcomeRunning, kargo.OutcomeProgressing, kargo.StackProgressing:
		return "busy"
	case kargo.StackHeld, kargo.StackLeaving, kargo.StackOutOfSync:
		return "warn"
	case kargo.HealthDegraded, kargo.OutcomeFailed, kargo.OutcomeRefused, kargo.StackFailed, kargo.StackDegraded:
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
