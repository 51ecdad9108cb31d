package server

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"kargo"
)

//go:embed page
var pageFiles embed.FS

// pages returns the templates. Each user of one needs a clone, see pageSet. They are
// parsed when the first page is asked for: most commands show none.
var pages = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(pageFuncs).ParseFS(pageFiles, "page/*.html"))
})

var pageFuncs = template.FuncMap{
	"actionsOf":     actionsOf,
	"durations":     func() []string { return []string{"30m", "1h", "2h", "4h", "8h", "24h", "72h"} },
	"ago":           func(time.Time) string { panic("set in pageSets") },
	"commitAddress": func(kargo.RevisionID) string { panic("set in pageSets") },
	"revisionID":    func(commit string) kargo.RevisionID { return kargo.RevisionID(commit) },
	"json":          indented,
	"commit":        func(commit string) string { return kargo.RevisionID(commit).Short() },
	"count":         count,
	"duration":      duration,
	"image":         image,
	"lines":         planLines,
	"names":         func(names []string) string { return strings.Join(names, ", ") },
	"warnings":      warningLines,
	"open":          isOpen,
	"short":         kargo.ShortService,
	"sides":         sides,
	"stackNews":     stackNews,
	"textLines":     textLines,
	"taskTone":      taskTone,
	"timestamp":     timestamp,
	"title":         title,
	"tone":          tone,
}

// pageSet is a clone of the templates with a moment that they call now. A set is used
// again, because the first use of a clone is slow.
type pageSet struct {
	*template.Template
	now           time.Time
	commitAddress func(commit string) string
}

var pageSets = sync.Pool{New: func() any {
	set := &pageSet{Template: template.Must(pages().Clone())}
	set.Funcs(template.FuncMap{
		"ago":           func(then time.Time) string { return ago(set.now, then) },
		"commitAddress": func(id kargo.RevisionID) string { return set.commitAddress(id.Revision().Commit) },
	})
	return set
}}

// frame is what every page shows around its own part.
type frame struct {
	Title   string
	Tab     string // the part of the program that the page belongs to
	Status  kargo.Status
	Summary summary
	Skip    string // ID of the part that the keyboard reaches first; "" for all of it
	// Live has the page brought up to date when something changes.
	Live bool
	// Who looks at it; SignedIn reports that a session can be ended. Form is what its
	// forms send along.
	Who      identity
	SignedIn bool
	Form     string
	// Done is what the person has just asked for.
	Done string
}

func (s *Server) frame(r *http.Request, status kargo.Status) frame {
	who, _ := identityOf(r)
	f := frame{Status: status, Summary: summarize(status), Who: who, SignedIn: who.Session != "", Form: formToken(readSecret(s.Token), who)}
	if done, found := actions[r.URL.Query().Get("done")]; found {
		f.Done = done.done
	}
	return f
}

// summary is the state of everything, in one word and a sentence.
type summary struct {
	Tone string // "good", "busy", "warn", "bad", "idle": a colour
	Word string
	Text string
}

// render writes a page, but only if all of it could be made.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name string, view any) {
	set := pageSets.Get().(*pageSet)
	defer pageSets.Put(set)
	set.now = s.now()
	repository := s.Controller.Status().Repository
	set.commitAddress = func(commit string) string { return commitAddress(repository, s.CommitURL, commit) }
	var text bytes.Buffer
	if err := set.ExecuteTemplate(&text, name, view); err != nil {
		s.log().Error("a page cannot be made", "page", name, "error", err)
		answer(w, http.StatusInternalServerError, Problem{Fault: kargo.Internal, Message: "a bug; the log has more"})
		return
	}
	sendText(w, r, status, "text/html; charset=utf-8", text.Bytes())
}

// indented returns a value as JSON that a person can read.
func indented(value any) (string, error) {
	text, err := json.MarshalIndent(value, "", "  ")
	return string(text), err
}

// textLines splits a text at its line breaks.
func textLines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
}

// summarize returns the state of everything. What needs a person comes first.
func summarize(status kargo.Status) summary {
	sentence := sentenceOf(status)
	state := func(state kargo.StackState) bool { return len(status.InState(state)) > 0 }
	pending := len(status.Pending.Changes)
	switch {
	case status.Leader != "":
		return summary{"idle", "Standing by", sentence}
	case status.Problems.Err() != nil:
		return summary{"bad", "Refused", sentence}
	case status.SwarmTrouble != "":
		return summary{"bad", "Swarm away", sentence}
	case !status.Ready() && status.Fault == "" && state(kargo.StackProgressing):
		return summary{"busy", "First deployment", "No revision is in force yet; " + count(len(status.InState(kargo.StackProgressing)), "stack") + " to come up."}
	case !status.Ready() && status.Fault == "":
		return summary{"idle", "Starting", "No revision was applied yet."}
	case state(kargo.StackFailed):
		return summary{"bad", "Failed", sentence}
	case state(kargo.StackDegraded):
		return summary{"bad", "Degraded", sentence}
	case status.GitTrouble != "":
		return summary{"bad", "Git away", sentence}
	case status.DiskTrouble != "":
		return summary{"bad", "Disk trouble", sentence}
	case status.Fault != "":
		return summary{"bad", title(status.Fault), sentence}
	case status.Frozen != nil && status.Suspended == nil:
		return summary{"warn", "Frozen", sentence}
	case status.Suspended != nil:
		return summary{"warn", "Suspended", sentence}
	case pending > 0 || state(kargo.StackProgressing) || state(kargo.StackLeaving):
		return summary{"busy", "Rolling out", strings.TrimSuffix(sentence, ".") + cond(pending > 0, "; "+count(pending, "change")+" to go", "") + "."}
	case len(status.Pending.Held) > 0 || state(kargo.StackHeld):
		return summary{"warn", "Held back", sentence}
	}
	return summary{"good", "In sync", sentence}
}

// sentenceOf returns the sentence about everything, with a capital letter unless it begins
// with the name of a stack.
func sentenceOf(status kargo.Status) string {
	sentence := status.Sentence() + "."
	for _, stack := range status.Stacks {
		if strings.HasPrefix(sentence, stack.Name+" ") {
			return sentence
		}
	}
	return title(sentence)
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
	Name  string
	Words []string
	Swarm string // the same with Swarm's own names and paths
}

func planLines(changes []kargo.Change, held []kargo.Hold) []line {
	var lines []line
	for _, change := range changes {
		lines = append(lines, line{string(change.Action), marks[change.Action], change.Title(), change.Words(), change.String()})
	}
	for _, hold := range held {
		lines = append(lines, line{"hold", "‖", titleOf(hold), []string{hold.Reason}, hold.Name})
	}
	return lines
}

// titleOf names what a hold is about, as [kargo.Change.Title] does.
func titleOf(hold kargo.Hold) string {
	if hold.Kind == "" {
		return "stack " + hold.Name
	}
	return kargo.Change{Kind: hold.Kind, Stack: hold.Stack, Name: hold.Name}.Title()
}

func warningLines(warnings []kargo.Warning) []line {
	var lines []line
	for _, warning := range warnings {
		lines = append(lines, line{"hold", "!", "service " + warning.Service, []string{warning.Text}, ""})
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
		case kargo.VerdictHeld:
			names = append(names, stack.Name+" (held)")
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
	switch {
	case took < 10*time.Second:
		return strconv.FormatFloat(took.Seconds(), 'f', 1, 64) + "\u00a0s"
	case took >= time.Minute && took < time.Hour:
		return roughly(took) + " " + roughly(took%time.Minute)
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
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "\u00a0s" // a unit stays with its number
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "\u00a0min"
	case d < 2*day:
		return strconv.Itoa(int(d.Hours())) + "\u00a0h"
	}
	return count(int(d/day), "day")
}

// title returns a text with a capital letter at its begin.
func title(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

func cond(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
