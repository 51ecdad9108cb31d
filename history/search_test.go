package history_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"kargo"
	"kargo/history"
)

// numbers returns those of deployments, in one line.
func numbers(t *testing.T) func(deployments []kargo.Deployment, err error) string {
	return func(deployments []kargo.Deployment, err error) string {
		t.Helper()
		must(t, err)
		all := []uint64{}
		for _, d := range deployments {
			all = append(all, d.Number)
		}
		return fmt.Sprint(all)
	}
}

// What is found is the same before and after the history is opened again, and what was
// forgotten is not found.
func TestFindingDeployments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	record(t, store, daysAgo(9, "aaa111", changed("shop", "1")), daysAgo(8, "aab222", changed("crm", "1"), kargo.StackResult{Name: "shop", Verdict: kargo.VerdictUnchanged}))
	three := daysAgo(7, "ccc333")
	three.Commits = []kargo.Commit{{Hash: "ccc333"}, {Hash: "ddd444"}}
	hold := kargo.Deployment{Entry: kargo.Entry{Kind: kargo.EntryHold, Note: "shop: backup, until noon"}}
	record(t, store, three, hold, daysAgo(6, "aaa111", changed("crm", "2")))
	planned := daysAgo(5, "eee555", changed("blog", "1"))
	planned, err := store.Begin(planned)
	must(t, err)
	must(t, store.Made(planned.Number, kargo.Change{Action: kargo.Create, Kind: kargo.KindNetwork, Stack: "wiki", Name: "wiki_default"}, nil, nil))
	expect := func(about string, store *history.Store, found [][2]string) {
		t.Helper()
		for at, pair := range found {
			if pair[0] != pair[1] {
				t.Errorf("%s, %d: found %s, want %s", about, at, pair[0], pair[1])
			}
		}
	}
	find := func(store *history.Store) [][2]string {
		named := func(start string) string {
			id, err := store.RevisionNamed(start)
			must(t, err)
			return string(id)
		}
		return [][2]string{
			{numbers(t)(store.DeploymentsAbout("shop", 0, 0)), "[4 1]"},
			{numbers(t)(store.DeploymentsAbout("shop", 4, 0)), "[1]"},
			{numbers(t)(store.DeploymentsAbout("crm", 0, 1)), "[5]"},
			{numbers(t)(store.DeploymentsAbout("wiki", 0, 0)), "[6]"},
			{numbers(t)(store.DeploymentsAbout("nosuch", 0, 0)), "[]"},
			{numbers(t)(store.DeploymentsOf("aa", 0)), "[5 2 1]"},
			{numbers(t)(store.DeploymentsOf("aa", 2)), "[5 2]"},
			{numbers(t)(store.DeploymentsOf("ddd4", 0)), "[3]"},
			{named("aa"), "aaa111"}, {named("aab"), "aab222"}, {named("ddd4"), ""},
		}
	}
	expect("at once", store, find(store))
	must(t, store.Close())
	store = open(t, path)
	expect("opened again", store, find(store))
	must(t, store.Record(planned, kargo.Memory{})) // it became another one
	store.Retain(history.Retention{Deployments: 1})
	gone, err := store.RevisionNamed("ccc")
	must(t, err)
	expect("with one deployment", store, [][2]string{
		{numbers(t)(store.DeploymentsAbout("wiki", 0, 0)), "[]"},
		{numbers(t)(store.DeploymentsAbout("blog", 0, 0)), "[6]"},
		{numbers(t)(store.DeploymentsOf("ccc", 0)), "[]"},
		{string(gone), ""},
	})
}
