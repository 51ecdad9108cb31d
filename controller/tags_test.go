package controller_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kargo"
)

// shelf is a Registry in memory.
type shelf struct {
	*baton
	tags  map[string]string // by image
	err   error
	asked []string
	panic bool
}

func (s *shelf) Tags(_ context.Context, image string) ([]string, error) {
	s.hand()
	s.asked = append(s.asked, image)
	if s.panic {
		panic("a bug")
	}
	return strings.Fields(s.tags[image]), s.err
}

// Commit makes an edit the head, as the real one does, of a branch that has not
// moved.
func (r *repository) Commit(_ context.Context, edit kargo.Edit) (commit, branch string, err error) {
	r.hand()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edits = append(r.edits, edit)
	if r.notWritable != nil {
		return "", "", r.notWritable
	}
	if edit.Base != r.head {
		return "", "", kargo.Errorf(kargo.Conflict, "the branch has moved on")
	}
	var files []string
	for name, file := range r.commits[r.head] {
		content := file.Data
		if changed, ok := edit.Files[name]; ok {
			content = changed
		}
		files = append(files, name+"="+string(content))
	}
	commit = fmt.Sprintf("kargo%d", len(r.edits))
	r.setHead(commit, files...)
	return commit, "main", nil
}

// following is a workspace whose image follows tags.
func following(tag string, policy string) []string {
	files := app("app:${APP_TAG}", "web")
	files[0] = strings.Replace(files[0], ".env=", ".env=APP_TAG="+tag+" # the app\n", 1)
	return append(files, "kargo.yml=images: {APP_TAG: {image: app, "+policy+"}}\n")
}

func withShelf(w *world, tags string) *shelf {
	s := &shelf{baton: w.repo.baton, tags: map[string]string{"app": tags}}
	w.parts.Tags.Registry, w.parts.Tags.Committer = s, w.repo
	w.parts.Tags.Interval = time.Hour + 10*time.Second // never at the very time of a poll
	return s
}

// wantTags compares what the status says of images.
func (w *world) wantTags(want string) {
	w.t.Helper()
	var lines []string
	for _, image := range w.loop.Status().Images {
		line := fmt.Sprintf("%s %s newest %s behind %t", image.Variable, image.Current, image.Newest, image.Behind)
		if image.Commit != "" {
			line += " by " + image.Commit + " on " + image.Branch
		}
		if image.Error != "" {
			line += ": " + image.Error
		}
		lines = append(lines, line)
	}
	if got := strings.Join(lines, "\n"); got != want {
		w.t.Errorf("images:\n  %s\nwant:\n  %s", got, want)
	}
}

func TestANewerImageIsReported(t *testing.T) {
	run(t, func(w *world) {
		s := withShelf(w, "1.0 1.1 2.0")
		w.repo.commit("c1", following("1.0", "semver: 1.x")...)
		w.start()
		w.wantTags("APP_TAG 1.0 newest 1.1 behind true")
		since := w.loop.Status().Images[0].Since
		if len(s.asked) != 1 {
			t.Errorf("the registry was asked %d times at the start", len(s.asked))
		}

		// Rounds ask nobody; an interval does, and a person.
		w.pass(50 * time.Minute)
		if len(s.asked) != 1 {
			t.Errorf("the registry was asked %d times within an interval", len(s.asked))
		}
		s.tags["app"] = "1.0 1.1 1.2"
		w.pass(20 * time.Minute)
		w.wantTags("APP_TAG 1.0 newest 1.2 behind true")
		w.nudge("sync")
		if len(s.asked) != 3 {
			t.Errorf("the registry was asked %d times after an interval and a sync", len(s.asked))
		}
		if again := w.loop.Status().Images[0].Since; again != since || since.IsZero() {
			t.Errorf("behind since %s, and then since %s", since, again)
		}

		// Another revision is held against what is known already.
		w.repo.commit("c2", following("1.2", "semver: 1.x")...)
		w.nudge("webhook github")
		w.wantTags("APP_TAG 1.2 newest 1.2 behind false")
		w.repo.commit("c3", app("app:1.2", "web")...)
		w.nudge("webhook github")
		w.wantTags("")
		if len(s.asked) != 3 || len(w.repo.edits) != 0 {
			t.Errorf("asked %v, written %v", s.asked, w.repo.edits)
		}
	})
}

func TestANewerImageIsWrittenAndRolledOut(t *testing.T) {
	run(t, func(w *world) {
		s := withShelf(w, "1.0")
		w.repo.commit("c1", following("1.0", "semver: 1.x, write: true")...)
		w.start()
		s.tags["app"] = "1.0 1.1"
		w.pass(time.Hour)
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1.0" -> "app:1.1"`)
		w.wantTags("APP_TAG 1.1 newest 1.1 behind false by kargo1 on main")
		if len(w.repo.edits) != 1 {
			t.Fatalf("%d commits were made", len(w.repo.edits))
		}
		edit := w.repo.edits[0]
		got := fmt.Sprintf("upon %s: %s\n%s", edit.Base, edit.Message, edit.Files[".env"])
		want := "upon c1: Raise APP_TAG from 1.0 to 1.1\n\nAPP_TAG: 1.0 -> 1.1, the newest tag of app that fits semver \"1.x\"\n(kargo.yml:1).\n\n" +
			"APP_TAG=1.1 # the app\nIMAGE=app:${APP_TAG}\nSTACKS=\"web\"\nWEB_STACK=web\n"
		if got != want {
			t.Errorf("the edit is\n%s\nand should be\n%s", got, want)
		}
		w.wantHistory(
			"1 c1 by start: succeeded, 4 changes, web added",
			"2 kargo1 by newer images: succeeded, 1 changes, web changed")
		w.pass(3 * time.Hour)
		if len(w.repo.edits) != 1 {
			t.Errorf("%d commits were made in the end", len(w.repo.edits))
		}
	})
}

// Somebody pushed meanwhile: their commit is read, and the edit made upon it.
func TestSomebodyPushedMeanwhile(t *testing.T) {
	run(t, func(w *world) {
		s := withShelf(w, "1.0")
		w.repo.commit("c1", following("1.0", "semver: 1.x, write: true")...)
		w.parts.Behavior.Poll = longPoll{}
		w.start()
		w.repo.commit("c2", append(following("1.0", "semver: 1.x, write: true"), "README=theirs")...)
		s.tags["app"] = "1.0 1.1"
		w.pass(time.Hour + time.Minute)
		w.wantTags("APP_TAG 1.1 newest 1.1 behind false by kargo2 on main")
		if len(w.repo.edits) != 2 || w.repo.edits[0].Base != "c1" || w.repo.edits[1].Base != "c2" {
			t.Errorf("edits: %+v", w.repo.edits)
		}
		if theirs := w.repo.commits["kargo2"]["README"]; theirs == nil || string(theirs.Data) != "theirs" {
			t.Error("their commit is lost")
		}
	})
}

// longPoll asks git at the start only.
type longPoll struct{}

func (longPoll) Next(now time.Time) time.Time { return now.Add(1000 * time.Hour) }

// Whatever goes wrong with an image, rounds go on, and the status says it.
func TestNoRoundFailsForAnImage(t *testing.T) {
	run(t, func(w *world) {
		s := withShelf(w, "1.0 1.1")
		s.err = errors.New("the registry is away")
		w.repo.commit("c1", following("1.0", "semver: 1.x, write: true")...)
		w.start()
		w.wantTags("APP_TAG 1.0 newest  behind false: the registry is away")
		s.err, w.repo.notWritable = nil, kargo.Errorf(kargo.Unavailable, "this account may only read")
		w.nudge("sync")
		w.wantTags("APP_TAG 1.0 newest 1.1 behind true: this account may only read")
		tried := len(w.repo.edits)
		w.pass(30 * time.Minute)
		if len(w.repo.edits) != tried {
			t.Errorf("it was tried %d times within an interval", len(w.repo.edits)-tried)
		}
		s.tags["app"] = "9"
		w.nudge("sync")
		w.wantTags(`APP_TAG 1.0 newest  behind false: none of the 1 tags of app fits semver "1.x"`)
		s.panic = true
		w.nudge("sync")
		s.panic, s.tags["app"], w.repo.notWritable = false, "1.0 1.1", nil
		w.nudge("sync")
		w.wantTags("APP_TAG 1.1 newest 1.1 behind false by kargo" + fmt.Sprint(len(w.repo.edits)) + " on main")
		if status := w.loop.Status(); status.Fault != "" || !status.Stacks[0].InSync {
			t.Errorf("status: fault %q, %+v", status.Fault, status.Stacks[0])
		}
	})
}

// Nothing is written on top of a head that is refused, because nobody can know
// the result.
func TestNothingIsWrittenUponAnUnsoundHead(t *testing.T) {
	run(t, func(w *world) {
		s := withShelf(w, "1.0")
		w.repo.commit("c1", following("1.0", "semver: 1.x, write: true")...)
		w.start()
		w.repo.commit("bad", ".env=STACKS=web\n")
		w.nudge("webhook github")
		s.tags["app"] = "1.0 1.1"
		w.nudge("sync")
		w.wantTags("APP_TAG 1.0 newest 1.1 behind true: the newest commit is refused; nothing is written upon it")
		if len(w.repo.edits) != 0 {
			t.Errorf("written all the same: %+v", w.repo.edits)
		}
	})
}
