package spelling_test

import (
	"testing"

	"kargo/spelling"
)

func TestDidYouMean(t *testing.T) {
	known := []string{"redis", "redis-commander", "mongodb", "KARGO_REPO", "a"}
	for name, want := range map[string]string{
		"rediss":      "did you mean redis?",
		"reids":       "did you mean redis?",
		"mongo":       "did you mean mongodb?",
		"KARGO_REPOO": "did you mean KARGO_REPO?",
		"MONGODB":     "did you mean mongodb?",
		"postgis":     "",
		"x":           "", // everything of one letter is near everything else
		"":            "",
	} {
		if got := spelling.DidYouMean(name, known); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// The order of the candidates makes no difference.
func TestNearestOfEquals(t *testing.T) {
	for _, candidates := range [][]string{{"redis1", "redis2", "redis"}, {"redis2", "redis1"}} {
		if got := spelling.Nearest("redis3", candidates[:2], 2); got != "redis1" {
			t.Errorf("of %q the nearest is %q, want redis1", candidates[:2], got)
		}
	}
	if got := spelling.Nearest("redis3", []string{"redis2", "redis1", "redis3"}, 2); got != "redis3" {
		t.Errorf("the nearest is %q, want the name itself", got)
	}
}

func TestNearestAnyCase(t *testing.T) {
	known := []string{"Web_Stack", "WEB_STACK", "db_stack"}
	for name, want := range map[string]string{"web_stack": "WEB_STACK", "DB_STACKS": "db_stack", "none": ""} {
		if got := spelling.NearestAnyCase(name, known, 2); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
