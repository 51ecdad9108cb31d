package controller_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kargo"
)

// opsFiles is a workspace with a stack that the controller itself is a service of.
func opsFiles(image string) []string {
	return []string{
		".env=STACKS='ops dbs'\nOPS_STACK=controller\nDBS_STACK=db\n",
		"deploy/db.yml=services: {db: {image: 'app:1'}}\n",
		fmt.Sprintf("deploy/controller.yml=services: {kargo: {image: '%s', deploy: {update_config: {failure_action: rollback}}}}\n", image),
	}
}

const ownService = "kargo-ops_kargo"

// inOps is a replica that runs as a service of stack ops.
func (m *matrix) inOps(name string) *replica {
	return m.replicaIn(name, func(context.Context) (string, error) { return ownService, nil })
}

// An update of the controller itself ends it. If its new version does not start, Swarm
// goes back to the one before, which says so and does not try it again: the same
// process again, or another one that takes over, be it in the middle of its first round.
func TestABadVersionOfTheControllerItself(t *testing.T) {
	for _, next := range []string{"itself", "another", "another in the middle of a round"} {
		t.Run(next, func(t *testing.T) {
			inMatrix(t, func(m *matrix) {
				m.repo.commit("c0", opsFiles("app:1")...)
				one := m.inOps("one")
				m.live(60)
				m.repo.commit("c1", opsFiles("crash:1")...)
				one.source.commit("c1", opsFiles("crash:1")...)
				one.loop.Nudge("test")
				for range 100 {
					m.live(1)
					if service, _ := m.service(ownService); strings.HasPrefix(service.Spec.TaskTemplate.ContainerSpec.Image, "crash:1") {
						break
					}
				}
				one.stop() // by Swarm, which begins the update
				m.live(60)
				if service, _ := m.service(ownService); service.UpdateStatus == nil || !strings.HasPrefix(string(service.UpdateStatus.State), "rollback") {
					t.Fatalf("Swarm did not go back: %+v", service.UpdateStatus)
				}
				writes := len(m.engine.Writes())
				two := one
				switch next {
				case "itself":
					two = m.again(one)
				case "another":
					two = m.inOps("two")
				default:
					two = m.newReplica("two", one.service)
					two.link.late = true
					two.link.cut.Store(true)
					m.again(two)
				}
				m.live(300)
				two.stop()
				if more := m.engine.Writes()[writes:]; len(more) > 0 {
					t.Errorf("after the rollback Kargo wrote %q", more)
				}
				status := two.loop.Status()
				if failure := status.Stacks[0].Failure; failure == nil || !strings.Contains(failure.Reason, ownService) {
					t.Errorf("the status says %+v, and holds %v", failure, status.Pending.Held)
				}
			})
		})
	}
}

// Three replicas of the controller's own service update themselves, one after the other,
// in whatever order Swarm takes: the update is sent once, and the last one says that it
// succeeded.
func TestThreeReplicasUpdateThemselves(t *testing.T) {
	for name, order := range map[string][]int{"standbys first": {1, 2, 0}, "the leader first": {0, 1, 2}} {
		t.Run(name, func(t *testing.T) {
			inMatrix(t, func(m *matrix) {
				m.repo.commit("c0", opsFiles("app:1")...)
				var all []*replica
				for i := range 3 {
					all = append(all, m.inOps(fmt.Sprint("replica ", i)))
					m.live(10)
				}
				m.live(60)
				m.repo.commit("c1", opsFiles("app:2")...)
				for _, r := range all {
					r.source.commit("c1", opsFiles("app:2")...)
				}
				writes := len(m.engine.Writes())
				all[2].loop.Nudge("webhook test")
				updated := func() bool {
					service, _ := m.service(ownService)
					return strings.HasPrefix(service.Spec.TaskTemplate.ContainerSpec.Image, "app:2")
				}
				for i := 0; i < 60 && !updated(); i++ {
					m.live(1)
				}
				if !updated() {
					t.Fatal("the update was not sent")
				}
				for _, i := range order { // Swarm stops a task, and starts the new one
					all[i].stop()
					m.live(3)
					all[i] = m.again(all[i])
					m.live(10)
				}
				m.live(120)
				if got, want := strings.Join(m.engine.Writes()[writes:], ", "), "update service "+ownService; got != want {
					t.Errorf("Kargo wrote %q, want %q", got, want)
				}
				leaders := 0
				for _, r := range all {
					status := r.loop.Status()
					if status.Leader != "" {
						continue
					}
					leaders++
					if stack := status.Stacks[0]; status.Fault != "" || stack.Failure != nil || !stack.InSync || stack.Health != kargo.HealthHealthy {
						t.Errorf("%s leads and says %q, %+v", r.name, status.Message, stack)
					}
				}
				if leaders != 1 {
					t.Errorf("%d replicas lead", leaders)
				}
				for _, r := range all {
					r.stop()
				}
			})
		})
	}
}

func TestACommitThatForgetsTheController(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.repo.commit("c0", opsFiles("app:1")...)
		one := m.inOps("one")
		defer func() { one.stop() }()
		m.live(60)
		one.source.commit("c1", strings.Replace(opsFiles("app:1")[0], "ops ", "", 1), opsFiles("app:1")[1])
		one.loop.Nudge("test")
		m.live(60)
		if _, exists := m.service(ownService); !exists {
			t.Fatal("the controller has removed itself")
		}
		held := one.loop.Status().Pending.Held
		if len(held) != 1 || held[0].Until != kargo.UntilApproved || !strings.Contains(held[0].Reason, "the controller runs in service "+ownService) {
			t.Errorf("held are %v", held)
		}
	})
}

// What has failed is not tried again by the controller that takes over.
func TestAFailureSurvivesATakeOver(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.repo.commit("c0", fine.files()...)
		one := m.replica("one")
		m.live(60)
		crashes := fine
		crashes.one = "crash:1"
		one.source.commit("c1", crashes.files()...)
		m.repo.commit("c1", crashes.files()...)
		one.loop.Nudge("test")
		m.live(120)
		failure := one.loop.Status().Stacks[0].Failure
		if failure == nil {
			t.Fatal("a rendering that crashes has not failed")
		}
		two := m.replica("two")
		defer func() { two.stop() }()
		m.live(10)
		one.stop()
		writes := len(m.engine.Writes())
		m.live(300)
		for _, write := range m.engine.Writes()[writes:] {
			t.Errorf("after the take-over: %s", write)
		}
		if got := two.loop.Status().Stacks[0].Failure; got == nil || got.Reason != failure.Reason {
			t.Errorf("the failure is %+v, want %+v", got, failure)
		}
	})
}
