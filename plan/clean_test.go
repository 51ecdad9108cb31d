package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/plan"
)

func TestCleaningKeepsWhatARollbackNeeds(t *testing.T) {
	const a, b, c = "sha256:" + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"sha256:" + "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
		"sha256:" + "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
	running := live("web", "kargo-web_a", "app:3")
	running.Image, running.PreviousImage = "app:3@"+c, "app:2@"+b
	theirs := live("x", "theirs", "other:1")
	theirs.Spec.Labels, theirs.Image = nil, "other:1"
	good := stack("web", service("kargo-web_a", "app:1"))
	good.Services[0].Pinned = "app:1@" + a

	cleaning := plan.Cleaning(cluster(running, theirs), []kargo.Stack{good}, options().Instance, time.Hour)
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	old := now.Add(-2 * time.Hour)
	var got []string
	for _, image := range plan.MayGo(cleaning, []kargo.LocalImage{
		{ID: "runs", Names: []string{"app@" + c}, Since: old},
		{ID: "rollback of Swarm", Names: []string{"app:2", "app@" + b}, Since: old},
		{ID: "last good", Names: []string{"app@" + a}, Since: old},
		{ID: "old", Names: []string{"app:0"}, Since: old},
		{ID: "old, of a digest nobody names", Names: []string{"app@" + strings.Replace(a, "aaaa", "dddd", 1)}, Since: old},
		{ID: "old but used", Names: []string{"app:0.1"}, Since: old, Used: true},
		{ID: "young", Names: []string{"app:0.2"}, Since: now},
		{ID: "another's", Names: []string{"other:0"}, Since: old},
		{ID: "another's, too", Names: []string{"app:0.3", "mine/app:0.3"}, Since: old},
		{ID: "nameless", Since: old},
	}, now) {
		got = append(got, image.ID)
	}
	if want := []string{"old", "old, of a digest nobody names"}; !slices.Equal(got, want) {
		t.Errorf("may go: %q, want %q", got, want)
	}
}
