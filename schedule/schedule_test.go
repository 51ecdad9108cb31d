package schedule_test

import (
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/schedule"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// A window covers the times from its begin to its end, in its own time zone, also over
// a change of daylight saving time.
func TestAWindowCoversItsTimes(t *testing.T) {
	for _, c := range []struct{ window, now, until string }{
		{"0 18 * * FRI 60h", "2026-11-27T17:59:59Z", ""},
		{"0 18 * * FRI 60h", "2026-11-27T18:00:00Z", "2026-11-30T06:00:00Z"},
		{"0 18 * * FRI 60h", "2026-11-30T05:59:59Z", "2026-11-30T06:00:00Z"},
		{"0 18 * * FRI 60h", "2026-11-30T06:00:00Z", ""},
		{"CRON_TZ=Europe/Berlin 0 18 * * FRI 60h", "2026-11-27T17:00:00Z", "2026-11-30T05:00:00Z"},
		{"CRON_TZ=Europe/Berlin 0 18 * * * 1h", "2026-07-01T16:30:00Z", "2026-07-01T17:00:00Z"},
		{"@daily 30m the backup runs", "2026-07-01T00:10:00Z", "2026-07-01T00:30:00Z"},
		{"* 3 * * * 10m", "2026-07-01T03:59:30Z", "2026-07-01T04:09:00Z"}, // begins each minute: the last one counts
	} {
		w, err := schedule.Read(c.window)
		if err != nil {
			t.Errorf("%s: %v", c.window, err)
			continue
		}
		got := ""
		if until := w.Covers(at(t, c.now)); !until.IsZero() {
			got = until.UTC().Format(time.RFC3339)
		}
		if got != c.until {
			t.Errorf("%s at %s lasts until %q, want %q", c.window, c.now, got, c.until)
		}
	}
}

func TestTheWordsOfAWindow(t *testing.T) {
	w, err := schedule.Read("CRON_TZ=Europe/Berlin 0 18 * * FRI 60h no changes over the weekend")
	want := kargo.FreezeWindow{Cron: "0 18 * * FRI", Zone: "Europe/Berlin", Duration: "60h", Reason: "no changes over the weekend"}
	if err != nil || w.FreezeWindow != want {
		t.Errorf("%+v, %v", w.FreezeWindow, err)
	}
	if next := w.Next(at(t, "2026-11-26T12:00:00Z")); !next.Equal(at(t, "2026-11-27T17:00:00Z")) {
		t.Errorf("the next one begins at %s", next)
	}
}

// What can never be meant is refused, with the word that is wrong.
func TestWindowsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "there is no duration",
		"0 18 * * FRI":                         "there is no duration",
		"often 60h":                            "cron: expected exactly 5 fields",
		"0 18 30 2 * 1h":                       "never comes",
		"0 18 * * FRIDAY 1h":                   `cron: "FRIDAY" is neither a number nor a name such as JAN or MON`,
		"CRON_TZ=Mars/Olympus 0 18 * * FRI 1h": `there is no time zone "Mars/Olympus"`,
		"0 18 * * FRI 30s":                     "30s is not between 1m and 744h",
		"0 18 * * FRI 800h":                    "800h is not between",
		"0 * * * * 1h":                         "nothing would ever change",
		"0 18 * * * 25h":                       "nothing would ever change",
	} {
		if _, err := schedule.Read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := schedule.Parse("TZ=0"); err == nil {
		t.Error("TZ=0 is no schedule, and is accepted")
	}
}
