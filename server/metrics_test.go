package server_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/server"
)

// scrape is what /metrics says of Kargo, without what the machine decides.
func scrape(t *testing.T, s *server.Server) string {
	t.Helper()
	_, body := send(t, s.Handler(), request{"GET", "/metrics", withToken(), ""})
	body = regexp.MustCompile(`go_version="[^"]*"`).ReplaceAllString(body, `go_version="go"`)
	var lines []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "kargo_") && !strings.Contains(line, "_bucket{") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestMetrics(t *testing.T) {
	status := troubled()
	status.Head.Time = time.Now().Add(time.Hour) // a clock that runs ahead: no negative lag
	s, controller := newServer(status)
	s.Metrics = server.NewMetrics(controller.Status, func() map[string]uint64 {
		return map[string]uint64{"ServiceList": 12, "ServiceUpdate": 3}
	})
	s.Metrics.Round("render", "ok", 250*time.Millisecond)
	s.Metrics.Round(server.PhaseRound, "ok", time.Second)
	s.Metrics.Round(server.PhaseRound, "invalid", 2*time.Second)
	s.Metrics.Git("ls_remote", "ok", 50*time.Millisecond)
	send(t, s.Handler(), hook("github", secret, "push", push))
	send(t, s.Handler(), hook("gitlab", "wrong", "Push Hook", push))
	s.Metrics.Deployment(kargo.Deployment{Entry: kargo.Entry{Kind: kargo.EntryUpdate}, Outcome: kargo.OutcomeFailed})
	golden(t, "metrics.txt", scrape(t, s))
}

const operatingPage = "../docs/operating.md"

// The page for operators lists every metric, with its labels and the text of its help.
func TestMetricsAreDocumented(t *testing.T) {
	status := troubled()
	status.Frozen = frozen().Frozen
	s, controller := newServer(status)
	s.Metrics = server.NewMetrics(controller.Status, func() map[string]uint64 { return map[string]uint64{"ServiceList": 1} })
	s.Metrics.Round(server.PhaseRound, "ok", time.Second)
	s.Metrics.Git("fetch", "ok", time.Second)
	s.Metrics.Deployment(kargo.Deployment{Entry: kargo.Entry{Kind: kargo.EntryUpdate}})
	send(t, s.Handler(), hook("github", secret, "push", push))
	_, text := send(t, s.Handler(), request{"GET", "/metrics", withToken(), ""})

	want := "| metric | labels | what |\n|---|---|---|\n"
	for _, help := range regexp.MustCompile(`(?m)^# HELP (kargo_\w+) (.*)\n# TYPE .*\n(?:kargo_\w+)(?:\{(.*)\})?`).FindAllStringSubmatch(text, -1) {
		var labels []string
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(help[3], -1) {
			if label[1] != "le" { // of the buckets of a histogram
				labels = append(labels, "`"+label[1]+"`")
			}
		}
		want += "| `" + help[1] + "` | " + strings.Join(labels, ", ") + " | " + help[2] + " |\n"
	}
	page, err := os.ReadFile(operatingPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), "<!-- begin metrics (written by go test ./server -run TestMetricsAreDocumented -update) -->\n")
	got, after, ends := strings.Cut(rest, "<!-- end metrics -->")
	if !begins || !ends {
		t.Fatalf("%s has no table of metrics", operatingPage)
	}
	if *update {
		begin := strings.TrimSuffix(strings.TrimPrefix(string(page), before), rest)
		if err := os.WriteFile(operatingPage, []byte(before+begin+want+"<!-- end metrics -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	wantText(t, operatingPage, got, want)
}

// A stack that has gone leaves nothing behind.
func TestSeriesGoWithTheirStack(t *testing.T) {
	s, controller := newServer(healthy())
	if !strings.Contains(scrape(t, s), `stack="maps"`) {
		t.Fatal("maps is not there to begin with")
	}
	controller.status.Stacks = controller.status.Stacks[:1]
	if strings.Contains(scrape(t, s), `stack="maps"`) {
		t.Error("maps is still there")
	}
}

func TestRevisionLag(t *testing.T) {
	status := healthy()
	status.Applied, status.Head.Time = older, time.Now().Add(-90*time.Minute)
	s, _ := newServer(status)
	lag := regexp.MustCompile(`kargo_revision_lag_seconds (54\d\d)`)
	if text := scrape(t, s); !lag.MatchString(text) {
		t.Errorf("no lag of 5400 seconds in:\n%s", text)
	}
	s, _ = newServer(healthy())
	if text := scrape(t, s); !strings.Contains(text, "kargo_revision_lag_seconds 0\n") {
		t.Errorf("no lag of 0 in:\n%s", text)
	}
}

func TestMetricsOfNothing(t *testing.T) {
	s, _ := newServer(kargo.Status{})
	text := scrape(t, s)
	for _, absent := range []string{"timestamp", "lag", "revision_info"} {
		if strings.Contains(text, absent) {
			t.Errorf("%s without a value to show:\n%s", absent, text)
		}
	}
	var none *server.Metrics
	none.Round("render", "ok", time.Second) // a server without metrics
	none.Git("fetch", "ok", time.Second)
	none.Deployment(kargo.Deployment{})
}
