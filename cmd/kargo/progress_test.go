package main

import (
	"strings"
	"testing"
	"time"

	"kargo"
)

// What services do is a line for each change where there is no terminal, and one line a
// service that changes in place where there is one.
func TestProgress(t *testing.T) {
	status := func(services ...kargo.ServiceStatus) kargo.Status {
		return kargo.Status{Stacks: []kargo.StackStatus{{Name: "shop", Health: kargo.HealthProgressing, Services: services}}}
	}
	service := func(name string, operation kargo.Operation, running uint64, message string) kargo.ServiceStatus {
		health := kargo.HealthHealthy
		if operation != "" {
			health = kargo.HealthProgressing
		}
		return kargo.ServiceStatus{Name: "kargo-shop_" + name, Health: health, Operation: operation, Running: running, Desired: 2, Message: message}
	}
	absent := kargo.ServiceStatus{Name: "kargo-shop_job", Health: kargo.HealthDegraded, Message: "does not run"}
	pictures := []kargo.Status{
		status(service("web", "", 2, ""), service("db", kargo.OperationRollingOut, 0, "1 of 2 tasks run\nmore"), absent),
		status(service("web", "", 2, ""), service("db", kargo.OperationRollingOut, 1, ""), absent),
		status(service("web", "", 1, ""), service("db", "", 2, ""), absent),
	}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	var lines strings.Builder
	plain := newProgress(screen{out: &lines})
	var terminal, picture strings.Builder
	live := newProgress(screen{out: &picture, terminal: &terminal, width: 40})
	live.began = began
	for i, status := range pictures {
		plain.show(status, began)
		picture.Reset()
		live.show(status, began.Add(time.Duration(i)*time.Second))
	}
	plain.clear()
	live.clear()

	if want := `shop/db  rolling out  0/2  1 of 2 tasks run
shop/job  waiting  0/0
shop/db  rolling out  1/2
shop/web  healthy  1/2
shop/db  healthy  2/2
`; lines.String() != want {
		t.Errorf("lines:\n%s\nwant:\n%s", lines.String(), want)
	}
	if want := "shop/web  healthy  1/2\nshop/db  healthy  2/2\nshop/job  waiting  0/0\nwaiting for 2s\n"; picture.String() != want {
		t.Errorf("the last picture:\n%s\nwant:\n%s", picture.String(), want)
	}
	// Each picture takes the place of the one before, and nothing is left at the end.
	if want := "\x1b[3A\x1b[J\x1b[3A\x1b[J\x1b[4A\x1b[J"; terminal.String() != want {
		t.Errorf("the cursor: %q, want %q", terminal.String(), want)
	}
}

// Who waits is told what failed since, and nothing of what had failed before, unless it is
// what they asked for.
func TestFailedSince(t *testing.T) {
	stack := func(name string, health kargo.Health, failedAt kargo.RevisionID) kargo.StackStatus {
		s := kargo.StackStatus{Name: name, Health: health}
		if failedAt != "" {
			s.Failure = &kargo.Failure{Revision: failedAt, Reason: "no such image"}
		}
		return s
	}
	before := kargo.Status{Stacks: []kargo.StackStatus{stack("shop", kargo.HealthHealthy, ""), stack("crm", kargo.HealthHealthy, "c1"), stack("ci", kargo.HealthDegraded, "")}}
	for _, test := range []struct {
		about, named string
		now          kargo.StackStatus
		want         string
	}{
		{"it failed before", "shop", stack("crm", kargo.HealthHealthy, "c1"), ""},
		{"it failed before, and is asked for", "crm", stack("crm", kargo.HealthHealthy, "c1"), "stack crm failed: no such image"},
		{"it failed before, and all are asked for", "all", stack("crm", kargo.HealthHealthy, "c1"), "stack crm failed: no such image"},
		{"it failed again", "shop", stack("crm", kargo.HealthHealthy, "c2"), "stack crm failed: no such image"},
		{"it failed now", "", stack("shop", kargo.HealthHealthy, "c2"), "stack shop failed: no such image"},
		{"it was degraded before", "", stack("ci", kargo.HealthDegraded, ""), ""},
		{"it is degraded now", "", stack("shop", kargo.HealthDegraded, ""), "stack shop is degraded: "},
		{"it is new", "", stack("new", kargo.HealthHealthy, "c2"), "stack new failed: no such image"},
	} {
		err := failedSince(before, test.named)(kargo.Status{Stacks: []kargo.StackStatus{test.now}})
		if got := errorText(err); got != test.want {
			t.Errorf("%s: %q, want %q", test.about, got, test.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
