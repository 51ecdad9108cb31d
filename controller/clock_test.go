package controller_test

import (
	"testing"
	"time"

	"kargo"
	"kargo/controller"
)

// stopDuringRollout stops the controller during a rollout that no node takes, and moves
// the times that it stored of it.
func (m *matrix) stopDuringRollout(by time.Duration) {
	m.repo.commit("c0", fine.files()...)
	m.begin()
	m.push(fine)
	nowhere := fine
	nowhere.constraint = "node.labels.nosuch == true"
	m.last = nowhere
	m.repo.commit("c1", nowhere.files()...)
	m.loop.Nudge("test")
	m.live(5)
	m.stop()
	for name, rollout := range m.records.memory.Rollouts {
		rollout.Since, rollout.Sent = rollout.Since.Add(by), rollout.Sent.Add(by)
		m.records.memory.Rollouts[name] = rollout
	}
}

// A clock that was ahead left times in the future, and the process began again after
// the clock was set back.
func TestStoredTimesInTheFutureDelayNothing(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.stopDuringRollout(10 * time.Hour)
		m.begin()
		m.live(100)
		for _, problem := range m.problems() {
			t.Error(problem)
		}
		failure := m.loop.Status().Stacks[0].Failure
		if failure == nil {
			t.Fatal("the deadline of one minute has not come")
		}
		m.stop()
		rollout := m.records.memory.Rollouts["web"]
		again := *failure
		again.Cause, again.Again = kargo.CauseHost, time.Now().Add(30*time.Hour)
		rollout.Failed = &again
		m.records.memory.Rollouts["web"] = rollout
		writes := len(m.engine.Writes())
		m.begin()
		m.live(3700)
		if len(m.engine.Writes()) == writes {
			t.Error("the rendering was not tried again within the longest pause")
		}
	})
}

// The clock was set forward while Kargo was stopped: nobody saw that time pass.
func TestADeadlineDoesNotFireAtTheStart(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.stopDuringRollout(-10 * time.Hour)
		m.begin() // and 30 seconds
		if failure := m.loop.Status().Stacks[0].Failure; failure != nil {
			t.Fatalf("the deadline of one minute fired: %s", failure.Reason)
		}
		m.live(60)
		if m.loop.Status().Stacks[0].Failure == nil {
			t.Error("the deadline of one minute has not come")
		}
	})
}

// daily is a schedule of the time of day: once a day, at noon.
type daily struct{}

func (daily) Next(now time.Time) time.Time {
	noon := now.Truncate(24 * time.Hour).Add(12 * time.Hour)
	if !noon.After(now) {
		noon = noon.Add(24 * time.Hour)
	}
	return noon
}

func TestAScheduleFollowsTheClockThatWasSet(t *testing.T) {
	at := func(text string) time.Time {
		when, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	planned := at("2024-05-02 12:00:00")
	for _, test := range []struct{ why, now, want string }{
		{"nothing happened", "2024-05-02 08:00:00", "2024-05-02 12:00:00"},
		{"it is due", "2024-05-02 12:00:00", "2024-05-03 12:00:00"},
		{"the clock was set forward", "2024-05-02 20:00:00", "2024-05-03 12:00:00"},
		{"the clock was set back", "2024-05-01 08:00:00", "2024-05-01 12:00:00"},
	} {
		if got := controller.NextPoll(planned, at(test.now), daily{}); !got.Equal(at(test.want)) {
			t.Errorf("%s: git is asked at %s, want %s", test.why, got, test.want)
		}
	}
	now := time.Now()
	if got := controller.NextPoll(now.Add(time.Minute), now, controller.Every(time.Hour)); !got.Equal(now.Add(time.Minute)) {
		t.Errorf("an interval begins anew with each round: %s", got.Sub(now))
	}
}
