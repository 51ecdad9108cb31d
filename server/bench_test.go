package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"kargo"
	"kargo/history"
	"kargo/test/growth"
)

// fullHistory makes a history of so many deployments of the stacks of a status, one a minute.
func fullHistory(t testing.TB, deployments int) *history.Store {
	store, err := history.Open(filepath.Join(t.TempDir(), "history.journal"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	for number := range deployments {
		began := time.Date(2026, 1, 1, 0, number, 0, 0, time.UTC)
		d := kargo.Deployment{
			Revision: kargo.Revision{Commit: commitOf(number), Subject: "Raise the limits of the shop", Author: "Ann"},
			Trigger:  "webhook github", Started: began, Finished: began.Add(9 * time.Second), Outcome: kargo.OutcomeSucceeded,
			Changes: []kargo.Change{{Action: kargo.Update, Kind: kargo.KindService, Stack: "dbs", Name: "dbs_redis", Reason: "Image: web:1 -> web:2"}},
		}
		for i := range 10 {
			d.Stacks = append(d.Stacks, kargo.StackResult{Name: fmt.Sprintf("stack%d", i), Verdict: kargo.VerdictUnchanged, Digest: fmt.Sprintf("%064d", i)})
		}
		if _, err := store.Begin(d); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// commitOf returns the commit of a deployment of [fullHistory].
func commitOf(number int) string { return fmt.Sprintf("%08x%032d", number*2654435761%(1<<32), number) }

// BenchmarkHistory answers requests about a history of 10,000 deployments.
func BenchmarkHistory(b *testing.B) {
	const all = 10_000
	s, _ := newServer(healthy())
	s.History = fullHistory(b, all)
	handler := s.Handler()
	for _, path := range []string{
		"/deployments", "/deployments?shown=300", "/deployments?before=5000", "/deployments?stack=dbs", "/deployments?stack=nosuch", "/deployments?q=nosuch", "/deployments?author=nobody&before=9000",
		"/deployments/5000", "/revisions/" + commitOf(5000)[:12], "/stacks/dbs",
		"/api/v1/deployments?limit=500", "/api/v1/deployments/5000",
	} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				get(b, handler, path)
			}
		})
	}
}

// get asks for a page, which must come.
func get(t testing.TB, handler http.Handler, path string) {
	request := httptest.NewRequest(http.MethodGet, path, nil)
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK {
		t.Fatalf("%s is answered with %d: %s", path, recorder.Code, recorder.Body)
	}
}

// counted counts the deployments that are read of a history.
type counted struct {
	*history.Store
	read int
}

func (c *counted) Deployments(before uint64, limit int) ([]kargo.Deployment, error) {
	deployments, err := c.Store.Deployments(before, limit)
	c.read += len(deployments)
	return deployments, err
}

func (c *counted) DeploymentsAbout(stack string, before uint64, limit int) ([]kargo.Deployment, error) {
	deployments, err := c.Store.DeploymentsAbout(stack, before, limit)
	c.read += len(deployments)
	return deployments, err
}

func (c *counted) DeploymentsOf(start string, limit int) ([]kargo.Deployment, error) {
	deployments, err := c.Store.DeploymentsOf(start, limit)
	c.read += len(deployments)
	return deployments, err
}

// A page reads what it shows, and not the whole history.
func TestPagesReadNoMoreThanNeeded(t *testing.T) {
	const all = 300
	records := &counted{Store: fullHistory(t, all)}
	s, _ := newServer(healthy())
	s.History = records
	handler := s.Handler()
	for _, test := range []struct {
		path string
		most int // deployments that are read
	}{
		{"/deployments", 100},
		{"/deployments?before=200", 100},
		{"/deployments?stack=dbs", 100},
		{"/deployments?stack=nosuch", 0},
		{"/deployments/150", 20},
		{"/revisions/" + commitOf(10)[:12], 1},
		{"/stacks/dbs", 20},
		{"/stacks/maps", 0},
	} {
		records.read = 0
		if get(t, handler, test.path); records.read > test.most {
			t.Errorf("%s reads %d deployments of %d, more than %d", test.path, records.read, all, test.most)
		}
	}
}

// BenchmarkOverview and BenchmarkStatus ask for the page of all stacks, compressed, and for
// the status of the API.
func BenchmarkOverview(b *testing.B) { benchmarkStacks(b, "/") }
func BenchmarkStatus(b *testing.B)   { benchmarkStacks(b, "/api/v1/status") }

func benchmarkStacks(b *testing.B, path string) {
	for _, stacks := range []int{100, 300, 1000} {
		b.Run(fmt.Sprintf("%d stacks", stacks), func(b *testing.B) {
			ask := askOf(b, stacks, path)
			b.ReportAllocs()
			for b.Loop() {
				b.ReportMetric(float64(ask()), "bytes")
			}
		})
	}
}

// askOf returns a function that asks a controller of so many stacks for a path. It returns
// the length of the answer in bytes.
func askOf(t testing.TB, stacks int, path string) func() int {
	s, _ := newServer(many(stacks))
	handler := s.LocalHandler()
	return func() int {
		sent := httptest.NewRequest(http.MethodGet, path, nil)
		sent.Header.Set("Accept-Encoding", "gzip")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, sent)
		if recorder.Code != http.StatusOK {
			t.Fatalf("%s is answered with %d", path, recorder.Code)
		}
		return recorder.Body.Len()
	}
}

// What an answer about all stacks costs must grow with their number and no faster.
func TestCostOfAnswersGrowsWithTheStacks(t *testing.T) {
	for _, path := range []string{"/", "/api/v1/status", "/metrics"} {
		t.Run(path, func(t *testing.T) {
			askOf(t, 1, path)() // templates are parsed with the first page
			growth.Check(t, 100, func(stacks int) func() {
				ask := askOf(t, stacks, path)
				return func() { ask() }
			})
		})
	}
}
