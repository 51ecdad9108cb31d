package server_test

import (
	"fmt"
	"testing"
	"time"

	"kargo"
)

// platform is a Swarm of twelve stacks on an ordinary day: one failed and runs what ran
// before, one is held, one rolls out. The pictures in docs show it.
func platform() (kargo.Status, []kargo.Deployment) {
	revision := func(commit, author, subject string, ago time.Duration) kargo.Revision {
		return kargo.Revision{Commit: commit + "0000000000000000000000000000", Ref: "main", Author: author, Subject: subject, Time: at(ago)}
	}
	search := revision("ca9f15934049", "Ada Lovelace", "Give search more replicas", 2*time.Minute)
	checkout := revision("707ca9068998", "Grace Hopper", "Try the new checkout", 14*time.Minute)
	mail := revision("c0542412005a", "Grace Hopper", "Raise mail to 3.9", 22*time.Hour)
	moved := revision("e242ed3bffcc", "Ada Lovelace", "Move the stacks to the new Swarm", 49*time.Hour)

	status := kargo.Status{Version: "1.0.0", Instance: "production", Repository: "https://github.com/example/platform.git", Head: search, Applied: search,
		LastFetched: at(20 * time.Second), LastVerified: at(20 * time.Second), LastRound: at(20 * time.Second), NextRound: now.Add(40 * time.Second), Rounds: 4711}
	for _, stack := range []struct {
		name  string
		tasks uint64
		runs  kargo.Revision
	}{
		{"proxy", 1, moved}, {"dbs", 6, moved}, {"shop", 3, mail}, {"crm", 3, moved}, {"wiki", 1, moved}, {"blog", 1, moved}, {"search", 6, search},
		{"maps", 6, moved}, {"mail", 1, mail}, {"monitoring", 3, moved}, {"archive", 1, moved}, {"tickets", 3, moved},
	} {
		status.Stacks = append(status.Stacks, kargo.StackStatus{
			Name: stack.name, InSync: true, Health: kargo.HealthHealthy, Revision: stack.runs.ID(), LastVerified: at(20 * time.Second),
			Services: []kargo.ServiceStatus{{Name: stack.name + "_web", Image: stack.name + ":1", Running: stack.tasks, Desired: stack.tasks, Health: kargo.HealthHealthy, InSync: true}},
		})
	}
	stack := func(name string) *kargo.StackStatus {
		for i := range status.Stacks {
			if status.Stacks[i].Name == name {
				return &status.Stacks[i]
			}
		}
		panic("there is no stack " + name)
	}
	failure := &kargo.Failure{Revision: checkout.ID(), Time: at(12 * time.Minute), Reason: "shop_web: rollback completed: unhealthy: GET /health failed 3 times",
		Words: []string{"shop_web on worker-2: unhealthy: GET /health failed 3 times", "log: checkout: PAYMENT_URL is not set", "log: shutting down"}}
	stack("shop").InSync, stack("shop").Wanted, stack("shop").Failure = false, checkout.ID(), failure
	stop := &kargo.Stop{By: kargo.Person{Name: "ada", From: "192.0.2.7"}, Why: "the yearly report is being written", Since: at(time.Hour), Until: now.Add(3 * time.Hour)}
	stack("wiki").InSync, stack("wiki").Wanted, stack("wiki").Stop = false, search.ID(), stop
	service := &stack("search").Services[0]
	stack("search").Health, stack("search").Operation = kargo.HealthProgressing, kargo.OperationRollingOut
	service.Health, service.Operation, service.Running = kargo.HealthProgressing, kargo.OperationRollingOut, 4
	status.Pending = kargo.PlanText{ID: "5ebe2294ecd0", Changes: []kargo.Change{}, Held: []kargo.Hold{{Kind: kargo.KindService, Stack: "wiki", Name: "wiki_web", Until: kargo.UntilReleased,
		Reason: stop.String() + `; it would be updated: image "requarks/wiki:2.5" → "requarks/wiki:2.6"`}}}
	status.Freezes = []kargo.FreezeStatus{{FreezeWindow: kargo.FreezeWindow{Cron: "0 18 * * FRI", Zone: "Europe/Berlin", Duration: "60h", Reason: "no changes over the weekend",
		Where: kargo.Place{File: "kargo.yml", Line: 3}}, Of: kargo.FreezeOfWorkspace, Next: now.Add(2 * time.Hour)}}

	record := func(number uint64, of kargo.Revision, trigger string, outcome kargo.Outcome, stack string, verdict kargo.Verdict, changes int, began, took time.Duration) kargo.Deployment {
		d := kargo.Deployment{Number: number, Revision: of, Trigger: trigger, Outcome: outcome, Started: at(began), Stacks: []kargo.StackResult{{Name: stack, Verdict: verdict}}}
		if took > 0 {
			d.Finished = at(began - took)
		}
		for range changes {
			d.Changes = append(d.Changes, kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Stack: stack, Name: stack + "_web", Reason: "image"})
		}
		return d
	}
	held := kargo.Deployment{Number: 212, Revision: mail, Trigger: "hold", Outcome: kargo.OutcomeSucceeded, Started: at(time.Hour), Finished: at(time.Hour),
		Entry: kargo.Entry{Kind: kargo.EntryHold, By: stop.By, Note: "wiki " + stop.String()}}
	repaired := record(211, mail, "swarm event", kargo.OutcomeSucceeded, "maps", kargo.VerdictCorrected, 1, 5*time.Hour, 4*time.Second)
	repaired.Kind = kargo.EntryRepair
	return status, []kargo.Deployment{
		record(214, search, "webhook github", kargo.OutcomeProgressing, "search", kargo.VerdictChanged, 2, 40*time.Second, 0),
		record(213, checkout, "webhook github", kargo.OutcomeFailed, "shop", kargo.VerdictChanged, 3, 13*time.Minute, 48*time.Second),
		held, repaired,
		record(210, mail, "webhook github", kargo.OutcomeSucceeded, "mail", kargo.VerdictChanged, 1, 22*time.Hour, 31*time.Second),
		record(209, moved, "webhook github", kargo.OutcomeSucceeded, "proxy", kargo.VerdictChanged, 5, 49*time.Hour, 74*time.Second),
	}
}

// TestBrowserPictures holds the pages in the pictures of docs to the guidelines on
// accessibility. With -update it takes the pictures.
func TestBrowserPictures(t *testing.T) {
	page := needsBrowser(t).Page(t)
	status, deployments := platform()
	s, _ := newServer(status)
	s.History = records{deployments: deployments}
	address := withTheToken(t, s)
	for path, picture := range map[string]string{"/": "page", "/compare?from=213&to=214": "page-compare"} {
		page.Size(1280, 400, "light")
		page.Open(address + path)
		for _, fault := range page.Accessible() {
			t.Errorf("%s: %s", path, fault)
		}
		if *update {
			page.Picture(fmt.Sprintf("../docs/%s.png", picture))
		}
	}
}
