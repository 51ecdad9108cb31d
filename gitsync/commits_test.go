package gitsync_test

import (
	"fmt"
	"testing"

	"kargo/gitsync"
)

// All commits of a range are named, whether the history is kept or not. A host that
// provides no commits without files names the newest only.
func TestCommitsOfARange(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"local":                "third by Ada Lovelace, second by Ada Lovelace, complete true",
		"http with history":    "third by Ada Lovelace, second by Ada Lovelace, complete true",
		"http with filter":     "third by Ada Lovelace, second by Ada Lovelace, complete true",
		"http without history": "third by Ada Lovelace, complete false",
	} {
		t.Run(remote, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			o.git(o.bare, "config", "uploadpack.allowFilter", fmt.Sprint(remote == "http with filter"))
			address := o.bare
			if remote != "local" {
				address = serve(t, gitHandler(t, o.root))
			}
			repository := open(t, gitsync.Options{URL: address, Ref: "main", History: remote == "http with history"})
			sync(t, repository)
			first := o.head()
			o.commit("second", ".env", "STACKS=\n")
			third := o.commit("third", ".env", "STACKS=web\n")
			o.push("main")
			sync(t, repository)

			commits, complete, err := repository.Commits(deadline(t), first, third)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, commit := range commits {
				text += commit.Subject + " by " + commit.Author + ", "
			}
			wantText(t, "commits", text+fmt.Sprintf("complete %t", complete), want)

			next := o.commit("fourth", ".env", "STACKS=\n")
			o.push("main")
			sync(t, repository)
			commits, complete, err = repository.Commits(deadline(t), third, next)
			if err != nil || len(commits) != 1 || commits[0].Subject != "fourth" || !complete {
				t.Errorf("a range of one commit: %v, complete %t, error %v", commits, complete, err)
			}
		})
	}
}
