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
		"postgis":     "",
		"x":           "", // everything of one letter is near everything else
		"":            "",
	} {
		if got := spelling.DidYouMean(name, known); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
