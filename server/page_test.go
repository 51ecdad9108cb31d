package server_test

import (
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/server"

	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "write testdata anew")

// outline is a page as text that a person can compare: a line for each block,
// with its element, its class and what it says.
func outline(t *testing.T, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var walk func(node *html.Node, indent string)
	walk = func(node *html.Node, indent string) {
		name := node.Data
		switch name {
		case "section", "article", "details", "header", "footer", "table", "ul", "dl":
			text.WriteString(indent + label(node) + "\n")
			indent += "  "
		case "h1", "h2", "h3", "p", "li", "tr", "summary", "dt", "dd", "title", "span":
			text.WriteString(indent + label(node) + ": " + words(node) + "\n")
			return
		}
		for child := range node.ChildNodes() {
			walk(child, indent)
		}
	}
	walk(root, "")
	return text.String()
}

func label(node *html.Node) string {
	name := node.Data
	for _, attribute := range node.Attr {
		if attribute.Key == "class" {
			name += "." + strings.ReplaceAll(attribute.Val, " ", ".")
		}
	}
	return name
}

// words is all text below a node, with the tone of badges and cells apart.
func words(node *html.Node) string {
	var text strings.Builder
	for child := range node.Descendants() {
		if child.Type == html.TextNode {
			text.WriteString(child.Data)
			if tone, isBadge := strings.CutPrefix(label(child.Parent), "span.badge."); isBadge && child.Parent != node {
				text.WriteString(" (" + tone + ")")
			}
		}
		if (child.Data == "td" || child.Data == "th") && strings.TrimSpace(text.String()) != "" {
			text.WriteString(" | ")
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

func TestPages(t *testing.T) {
	rolling := healthy()
	rolling.Pending.Changes = rolledOut
	for _, c := range []struct {
		name   string
		path   string
		status kargo.Status
		change func(*server.Server)
	}{
		{"healthy", "/", healthy(), nil},
		{"troubled", "/", troubled(), nil},
		{"starting", "/", starting(), func(s *server.Server) { s.History = records{} }},
		{"rolling-out", "/", rolling, func(s *server.Server) { s.History = records{err: errors.New("the file is locked")} }},
		{"frozen", "/", frozen(), nil},
		{"standby", "/", standby(), nil},
		{"first", "/", first(), nil},
		{"settings-frozen", "/settings", frozen(), nil},
		{"stack", "/stacks/dbs", troubled(), nil},
		{"deployment", "/deployments/41", healthy(), nil},
		{"revision", "/revisions/9c1185a", healthy(), nil},
		{"compare", "/compare?from=41", healthy(), nil},
		{"rendering", "/stacks/dbs/rendering", healthy(), nil},
		{"why", "/stacks/dbs/why", healthy(), nil},
		{"settings", "/settings", healthy(), nil},
		{"nodes", "/nodes", healthy(), nil},
		{"deployments", "/deployments?outcome=failed&author=ada&q=leader+redis", healthy(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newServer(c.status)
			if c.change != nil {
				c.change(s)
			}
			response, page := send(t, s.Handler(), request{"GET", c.path, withToken(), ""})
			wantStatus(t, response, http.StatusOK)
			wantText(t, "type", response.Header.Get("Content-Type"), "text/html; charset=utf-8")
			golden(t, c.name+".txt", outline(t, page))
		})
	}
}

// golden compares with a file of testdata. -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, name, got, string(want))
}

// A revision is more than its commit: the shared layers are part of it.
func TestNewestRevisionDiffersInALayer(t *testing.T) {
	status := healthy()
	status.Applied.Layers = []kargo.LayerRevision{{Name: "base", Commit: "1111111111111111"}}
	status.Head = status.Applied
	status.Head.Layers = []kargo.LayerRevision{{Name: "base", Commit: "2222222222222222"}}
	s, _ := newServer(status)
	_, page := send(t, s.Handler(), request{"GET", "/", withToken(), ""})
	text := outline(t, page)
	if strings.Contains(text, "Applied, and the newest") {
		t.Errorf("the page calls a revision the newest whose layer is behind:\n%s", text)
	}
}

func TestNoSuchDeployment(t *testing.T) {
	s, _ := newServer(healthy())
	for _, number := range []string{"0", "99", "-1", "first", "18446744073709551616"} {
		response, _ := send(t, s.Handler(), request{"GET", "/deployments/" + number, withToken(), ""})
		wantStatus(t, response, http.StatusNotFound)
	}
}

func TestStaticFiles(t *testing.T) {
	s, _ := newServer(healthy())
	for path, want := range map[string]string{
		"/static/style.css":     "text/css; charset=utf-8",
		"/static/icon.svg":      "image/svg+xml",
		"/static/":              "application/json; charset=utf-8",
		"/static/overview.html": "application/json; charset=utf-8",
		"/static/missing.css":   "application/json; charset=utf-8",
		"/static/htmx.min.js":   "text/javascript; charset=utf-8",
		"/static/page.js":       "text/javascript; charset=utf-8",
	} {
		response, _ := send(t, s.Handler(), request{"GET", path, withToken(), ""})
		wantText(t, path, response.Header.Get("Content-Type"), want)
		if found := !strings.HasPrefix(want, "application/json"); (response.StatusCode == http.StatusOK) != found {
			t.Errorf("%s: status %d", path, response.StatusCode)
		}
	}
}

// TestS32 puts markup wherever text comes from outside: none of it may become
// an element or an attribute.
func TestS32HostileText(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}javascript:alert(1)`
	revision := kargo.Revision{Commit: evil, Ref: evil, Author: evil, Subject: evil, Time: now}
	hostile := kargo.Status{
		Version: evil, Instance: evil, Repository: evil, Head: revision, Applied: kargo.Revision{Commit: "other"},
		Fault: evil, Message: evil,
		Stacks: []kargo.StackStatus{{Name: evil, Health: evil, Message: evil, Revision: evil, Services: []kargo.ServiceStatus{
			{Name: evil, Image: evil, Health: evil, Message: evil}}}},
		Pending: kargo.PlanText{ID: evil, Held: []kargo.Hold{{Kind: evil, Name: evil, Reason: evil, Until: kargo.UntilApproved}}},
		Plan:    kargo.PlanText{ID: evil, Revision: evil, Changes: []kargo.Change{{Action: evil, Kind: evil, Name: evil, Reason: evil}}},
	}
	withProblems := hostile
	withProblems.Problems = kargo.Problems{{Where: kargo.Place{File: evil}, Message: evil, Hint: evil}, {Where: kargo.Place{File: evil}, Message: evil, Hint: evil, Warning: true}}
	deployment := kargo.Deployment{Number: 1, Revision: revision, Trigger: evil, Outcome: evil, PlanID: evil, Err: evil,
		Changes: hostile.Plan.Changes, Held: hostile.Pending.Held, Stacks: []kargo.StackResult{{Name: evil, Verdict: kargo.VerdictAdded}}}
	for _, status := range []kargo.Status{hostile, withProblems} {
		s, _ := newServer(status)
		s.History = records{deployments: []kargo.Deployment{deployment}}
		for _, path := range []string{"/", "/deployments", "/deployments/1"} {
			_, page := send(t, s.Handler(), request{"GET", path, withToken(), ""})
			root, err := html.Parse(strings.NewReader(page))
			if err != nil {
				t.Fatal(err)
			}
			seen := strings.Count(words(root), "<script>")
			if seen == 0 {
				t.Error("the hostile text is not shown at all")
			}
			for node := range root.Descendants() {
				if node.Type == html.ElementNode {
					checkElement(t, node)
				}
			}
		}
	}
}

// checkElement knows every element and attribute that a page may have.
func checkElement(t *testing.T, node *html.Node) {
	t.Helper()
	if slices.Contains([]string{"iframe", "object", "style", "base"}, node.Data) || node.Data == "script" && node.FirstChild != nil {
		t.Errorf("the page has a %s", node.Data)
	}
	for _, attribute := range node.Attr {
		switch attribute.Key {
		case "href", "src":
			if (!strings.HasPrefix(attribute.Val, "/") || strings.HasPrefix(attribute.Val, "//")) && !slices.Contains([]string{"#main", "#groups"}, attribute.Val) {
				t.Errorf("%s leads to %q", node.Data, attribute.Val)
			}
			if node.Data == "script" && !strings.HasPrefix(attribute.Val, "/static/") {
				t.Errorf("a script comes from %q", attribute.Val)
			}
		case "hx-ext", "sse-connect", "hx-get", "hx-trigger", "hx-select", "hx-swap", "hx-target", "hx-replace-url", "hx-sync", "action", "method":
			if strings.Contains(attribute.Val, "alert") {
				t.Errorf("%s has the attribute %s=%q", node.Data, attribute.Key, attribute.Val)
			}
		case "class", "id", "title", "lang", "name", "content", "charset", "rel", "type", "alt", "width", "height",
			"scope", "list", "datetime", "data-label", "aria-label", "aria-labelledby", "aria-hidden", "aria-current", "role", "tabindex",
			"defer", "data-tone", "open", "for", "value", "max", "placeholder", "autocomplete", "http-equiv":
		default:
			t.Errorf("%s has the attribute %s=%q", node.Data, attribute.Key, attribute.Val)
		}
	}
}

// The scripts of others are those that were reviewed.
func TestVendoredScriptsArePinned(t *testing.T) {
	sums, err := os.ReadFile("page/vendor/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("page/vendor/*.js")
	if err != nil || len(scripts) != 3 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(text), filepath.Base(script)); !strings.Contains(string(sums), line) {
			t.Errorf("%s is not the one of SHA256SUMS", script)
		}
	}
}

// 300 stacks are small on the wire, also for a slow line.
func TestOverviewOf300StacksIsSmall(t *testing.T) {
	s, _ := newServer(many(300))
	header := withToken()
	header["Accept-Encoding"] = "br, gzip"
	response, packed := send(t, s.Handler(), request{"GET", "/", header, ""})
	wantText(t, "encoding", response.Header.Get("Content-Encoding"), "gzip")
	if len(packed) > 100_000 {
		t.Errorf("%d bytes", len(packed))
	}
	reader, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(reader)
	if err != nil || strings.Count(string(page), `href="/stacks/`) != 303 {
		t.Errorf("%d stacks, %v", strings.Count(string(page), `href="/stacks/`), err)
	}
}

// One reason is said once: the failure, the message and the hold of a stack often say
// the same.
func TestAReasonIsSaidOnce(t *testing.T) {
	status := healthy()
	const reason = "dbs_redis: update paused due to failure of task 3bh39g6s"
	status.Stacks[0].Failure = &kargo.Failure{Revision: newest.ID(), Reason: reason, Time: at(time.Minute), Words: []string{reason, "log: no space left"}}
	status.Stacks[0].Message = "failed: " + reason
	status.Stacks[0].Services[0].Message, status.Stacks[0].Services[0].Health = reason, kargo.HealthDegraded
	status.Pending.Held = []kargo.Hold{{Stack: "dbs", Name: "dbs", Reason: "the rendering of 9c1185a5c5e9 failed: " + reason + "; the one before runs instead"}}
	s, _ := newServer(status)
	s.History = records{}
	for _, path := range []string{"/", "/stacks/dbs"} {
		_, page := send(t, s.Handler(), request{"GET", path, withToken(), ""})
		if count := strings.Count(page, reason); count != 1 {
			t.Errorf("%s says it %d times", path, count)
		}
		if !strings.Contains(page, "log: no space left") {
			t.Errorf("%s does not say what the task said", path)
		}
	}
}
