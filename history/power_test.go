package history

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kargo"
)

// powered is a file that remembers what is durable, and whose disk may be full.
type powered struct {
	*os.File
	path    string
	durable []byte
	syncs   int
	failing error
}

func (p *powered) Sync() error {
	if p.failing != nil {
		return p.failing
	}
	p.syncs++
	content, err := os.ReadFile(p.path)
	p.durable = content
	return err
}

// withPower makes a history with an open deployment on a file that remembers what is
// durable.
func withPower(t *testing.T) (*Store, *powered, kargo.Deployment) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.journal")
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	file := &powered{File: store.journal.file.(*os.File), path: path}
	store.journal.file = file
	d, err := store.Begin(kargo.Deployment{Revision: kargo.Revision{Commit: "aaa"}})
	if err != nil {
		t.Fatal(err)
	}
	return store, file, d
}

// reopened opens what is durable as another history, and returns its deployment.
func reopened(t *testing.T, content []byte) *kargo.Deployment {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.journal")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if trouble := store.Trouble(); trouble != "" {
		t.Error(trouble)
	}
	left, err := store.Unfinished()
	if err != nil || left == nil {
		t.Fatal("no deployment is left: ", err)
	}
	return left
}

func creations(names ...string) (changes []kargo.Change) {
	for _, name := range names {
		changes = append(changes, kargo.Change{Action: kargo.Create, Kind: kargo.KindService, Name: name})
	}
	return changes
}

// known counts the changes that a deployment knows of, made or not.
func known(d *kargo.Deployment) map[string]bool {
	names := map[string]bool{}
	for _, change := range append(d.Changes, d.Announced...) {
		names[change.Name] = true
	}
	if d.UnderWay != nil {
		names[d.UnderWay.Name] = true
	}
	return names
}

// Before each change, the power fails: every change that was sent is known of.
func TestPowerFailsAmongAnnouncedChanges(t *testing.T) {
	store, file, d := withPower(t)
	defer store.Close()
	changes := creations("a", "b", "c", "d", "e")
	check := func(sent int) {
		t.Helper()
		left := known(reopened(t, file.durable))
		for _, change := range changes[:sent] {
			if !left[change.Name] {
				t.Errorf("%d changes were sent, and %s is not known of: %v", sent, change.Name, left)
			}
		}
	}
	syncs := file.syncs
	for i, change := range changes {
		var next *kargo.Change
		if i+1 < len(changes) {
			next = &changes[i+1]
		}
		var err error
		switch i {
		case 0:
			err = errors.Join(store.Announce(d.Number, changes[:3]), store.Sending(d.Number, change))
		case 2:
			err = store.Announce(d.Number, changes[3:])
		}
		check(i + 1) // the change is sent now
		if err = errors.Join(err, store.Made(d.Number, change, &kargo.SentSpec{Digest: "d"}, next)); err != nil {
			t.Fatal(err)
		}
		check(i + 1)
	}
	if left := reopened(t, file.durable); len(left.Changes) != 5 || left.UnderWay != nil || len(left.Announced) != 0 {
		t.Errorf("at the end, %v were made, %v and %v may have been", left.Changes, left.UnderWay, left.Announced)
	}
	if made := file.syncs - syncs; made != 3 { // two announcements, and the end
		t.Errorf("%d times on the disk, want 3", made)
	}
}

// The disk is full when what was written is to be made durable: nothing is lost, and it
// is written once more.
func TestWhatIsNotDurableIsWrittenAgain(t *testing.T) {
	store, file, d := withPower(t)
	defer store.Close()
	changes := creations("a", "b", "c")
	if err := store.Announce(d.Number, changes); err != nil {
		t.Fatal(err)
	}
	if err := store.Made(d.Number, changes[0], nil, &changes[1]); err != nil {
		t.Fatal(err)
	}
	file.failing = errors.New("no space left")
	if err := store.Made(d.Number, changes[1], nil, nil); err != nil {
		t.Fatal(err)
	}
	if store.Trouble() == "" {
		t.Error("the full disk is no trouble")
	}
	if left, err := store.Unfinished(); err != nil || len(left.Changes) != 2 {
		t.Errorf("in memory are %v, %v", left, err)
	}
	file.failing = nil
	if trouble := store.Trouble(); trouble != "" {
		t.Error(trouble)
	}
	if left := reopened(t, file.durable); len(left.Changes) != 2 {
		t.Errorf("on the disk are %v", left.Changes)
	}
}

// An object that was created is updated, in the same deployment or in a later one, or its
// creation is tried again: no announcement covers that any more.
func TestPowerFailsAfterAnnouncedChanges(t *testing.T) {
	update := kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Name: "a"}
	for name, test := range map[string]struct {
		before func(*Store, kargo.Deployment) error
		sent   kargo.Change
	}{
		"an update in the same round": {func(*Store, kargo.Deployment) error { return nil }, update},
		"a creation again, as it was removed": {func(s *Store, d kargo.Deployment) error {
			return s.Made(d.Number, creations("a")[0], nil, &creations("b")[0])
		}, creations("a")[0]},
		"a creation again, in the next round": {func(s *Store, d kargo.Deployment) error { return s.Record(d, kargo.Memory{}) }, creations("a")[0]},
		"a creation in the next deployment": {func(s *Store, d kargo.Deployment) error {
			d.Outcome = kargo.OutcomeSucceeded
			if err := s.Record(d, kargo.Memory{}); err != nil {
				return err
			}
			_, err := s.Begin(kargo.Deployment{Revision: kargo.Revision{Commit: "bbb"}})
			return err
		}, creations("b")[0]},
	} {
		t.Run(name, func(t *testing.T) {
			store, file, d := withPower(t)
			defer store.Close()
			err := errors.Join(store.Announce(d.Number, creations("a", "b")), test.before(store, d))
			left, err2 := store.Unfinished()
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			if err := store.Sending(left.Number, test.sent); err != nil {
				t.Fatal(err)
			}
			if under := reopened(t, file.durable).UnderWay; under == nil || under.Key() != test.sent.Key() || under.Action != test.sent.Action {
				t.Errorf("%v was sent, and %v is known", test.sent, under)
			}
		})
	}
}
