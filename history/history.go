// Package history keeps what Kargo did and the little it must remember:
// deployments, the revision in force, the specs sent last, approvals. It is a
// log and not a truth: what is wanted is in git, what runs is in Swarm. Losing
// it costs one repeated attempt at something that Swarm had rolled back.
//
// A [Store] is one file, and of one process at a time. Its methods may be called
// from any goroutine. What a method has recorded is on the disk when it returns,
// and is there after a crash. Recording never fails because of the disk: a file
// that is damaged is set aside with what can be read of it kept, and what cannot
// be written is kept in memory until it can. [Store.Trouble] says so.
//
// Beside it lies an index, which only saves time: opening a history reads the deployments
// that are newer than it. It is made anew where it does not fit the file.
//
// Nothing secret is in the file: of plans only the masked lines are kept, of
// specs only keyed digests. Beside it, in files of their own, lie the last good
// renderings. They hold what the stacks hold, secrets included, and are sealed.
// The keys of the digests and of the renderings lie elsewhere: losing them costs
// the good renderings.
package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"kargo"
)

// Store is an open history, and the good renderings beside it.
type Store struct {
	Renderings

	mu        sync.Mutex
	journal   *journal
	values    values
	index     index
	retention Retention
	written   int64                    // bytes of the file when it was last rewritten
	forgotten int64                    // bytes of deployments that were forgotten since
	saved     int64                    // bytes of the file that the saved index covers
	damage    string                   // what happened to the file, in words; empty if nothing did
	announced map[kargo.ObjectKey]bool // see Announce
	sent      map[string]sentText      // what was recorded last, by service
}

// index says where each deployment stands in the journal: as a whole, and then
// each change that was made since; and what must be known of them all without
// reading them.
type index struct {
	entries map[uint64][]location
	numbers []uint64 // of the entries, ascending
	newest  uint64   // number of the last deployment, also of one that found no room
	began   map[uint64]time.Time
	latest  map[topic]uint64 // the newest deployment about each
	// names are the deployments that may be about a stack, revisions those of a
	// revision, and commits those that brought a commit.
	names     numbersBy[string]
	revisions numbersBy[kargo.RevisionID]
	commits   numbersBy[kargo.RevisionID]
}

func newIndex() index {
	return index{
		entries: map[uint64][]location{}, began: map[uint64]time.Time{}, latest: map[topic]uint64{},
		names: numbersBy[string]{}, revisions: numbersBy[kargo.RevisionID]{}, commits: numbersBy[kargo.RevisionID]{},
	}
}

// place notes where a deployment stands that is recorded as a whole. It takes the place
// of what was recorded of it before.
func (i *index) place(d *kargo.Deployment, at location) {
	if position, known := slices.BinarySearch(i.numbers, d.Number); !known {
		i.numbers = slices.Insert(i.numbers, position, d.Number)
	}
	i.entries[d.Number] = []location{at}
	i.newest = max(i.newest, d.Number)
	i.describe(d)
	i.sort(d)
}

// add notes where a change of a deployment stands.
func (i *index) add(m *made, at location) {
	if i.entries[m.Number] != nil {
		i.entries[m.Number] = append(i.entries[m.Number], at)
		if m.Change != nil && m.Change.Stack != "" {
			i.names.add(m.Change.Stack, m.Number)
		}
	}
	i.newest = max(i.newest, m.Number)
}

// entry is one line of the journal. Everything in it counts at once.
type entry struct {
	// Deployment takes the place of what was recorded of it before.
	Deployment *kargo.Deployment `json:"deployment,omitempty"`
	// Made is a change that was made since.
	Made *made `json:"made,omitempty"`
	// Set are values by key; null removes one.
	Set values `json:"set,omitempty"`
}

// Open opens or makes the history at path. Where another process has it, Open
// waits a second and then returns an Unavailable error with a hint. A file that
// is damaged is no error, see [Store.Trouble]; one that cannot be read is.
func Open(path string) (*Store, error) {
	s := &Store{
		Renderings: Renderings{dir: filepath.Join(filepath.Dir(path), "good")},
		values:     values{}, index: newIndex(), sent: map[string]sentText{},
	}
	saved := readIndex(path + indexSuffix)
	journal, damaged, err := openJournal(path, reading{known: saved.Covers, use: s.take, begin: func(known bool) {
		if known {
			s.index, s.values = saved.restore()
			s.saved = saved.Covers.Bytes
		}
	}})
	if errors.Is(err, errLocked) {
		return nil, busy(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	s.journal = journal
	if damaged > 0 {
		s.setAside(damaged)
	}
	s.saveIndex()
	if s.values[formatKey] == nil { // a new file, which must not stay empty
		if err := s.set(formatKey, format); err != nil {
			return nil, errors.Join(err, s.journal.close())
		}
	}
	if s.values[formerKey] != nil {
		s.forgetUnkeyed()
	}
	return s, nil
}

// forgetUnkeyed forgets what an earlier version recorded and nobody should read: the
// key of its digests, and digests of specs that had no key. The file is written anew.
func (s *Store) forgetUnkeyed() {
	maps.DeleteFunc(s.values, func(key string, _ json.RawMessage) bool {
		return key == formerKey || strings.HasPrefix(key, sentPrefix)
	})
	if err := s.rewrite(""); err != nil {
		s.journal.trouble = err
	}
}

// take notes one entry of the file.
func (s *Store) take(at location, data []byte) error {
	var read entry
	if err := json.Unmarshal(data, &read); err != nil {
		return errDamaged
	}
	switch {
	case read.Deployment != nil:
		s.index.place(read.Deployment, at)
	case read.Made != nil:
		if s.index.entries[read.Made.Number] == nil {
			return errDamaged // the deployment it belongs to is lost
		}
		s.index.add(read.Made, at)
	}
	s.values.add(read.Set)
	return nil
}

// setAside keeps the damaged file under another name, and makes a new one of
// what could be read of it.
func (s *Store) setAside(damaged int) {
	aside := fmt.Sprintf("%s.damaged-%d", s.journal.path, time.Now().Unix())
	s.damage = fmt.Sprintf("the history was damaged: %d of its entries cannot be read; the damaged file is %s", damaged, aside)
	if err := s.rewrite(aside); err != nil {
		s.journal.trouble = err
	}
}

// Trouble tries again to write what could not be written, and says in words what
// is wrong with the files: "the history cannot be written …". It is empty if
// nothing is. Damage is said as long as the process lives.
func (s *Store) Trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal.trouble != nil {
		s.renew()
		if s.journal.inPlace() == nil {
			s.journal.trouble = s.journal.flush(true)
		}
	}
	var words []string
	if s.damage != "" {
		words = append(words, s.damage)
	}
	if err := s.journal.trouble; err != nil {
		words = append(words, "the history cannot be written and is kept in memory: "+err.Error())
	}
	return strings.Join(append(words, s.Renderings.trouble()...), "; ")
}

// Close writes what is not written yet and lets go of the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.journal.close()
	s.saveIndex()
	return wrap("close history", err)
}

// record appends one entry, which is durable when it returns, and a deployment's part of
// it to what is known. The caller has the lock.
func (s *Store) record(e entry) error { return s.write(e, true) }

// write does the same. An entry that is not durable is lost with the power.
func (s *Store) write(e entry, durable bool) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("record in history: %w", err)
	}
	s.values.add(e.Set)
	s.renew()
	at, kept := s.journal.append(data, durable)
	switch {
	case !kept:
	case e.Deployment != nil:
		s.index.place(e.Deployment, at)
	case e.Made != nil:
		s.index.add(e.Made, at)
	}
	s.saveIndex()
	return nil
}

// smallest is the size in bytes below which a file is not rewritten.
const smallest = 4 << 20

// renew writes the file anew where it has to be: it is not there, another one is
// in its place, something found no room, or most of it counts no longer. Each
// byte is rewritten once for each byte that is appended, so the cost of a
// change does not grow with the history.
func (s *Store) renew() {
	aside := ""
	if err := s.journal.inPlace(); err != nil {
		if _, err := os.Lstat(s.journal.path); err == nil { // somebody else's file
			aside = fmt.Sprintf("%s.replaced-%d", s.journal.path, time.Now().Unix())
		}
		if errors.Is(err, errGone) {
			s.damage = err.Error() + "; it was written again"
		}
	} else if !s.journal.overflow && s.journal.end < s.largest() {
		return
	}
	s.forget()
	if err := s.rewrite(aside); err != nil {
		s.journal.trouble = err
	}
}

// largest is the size in bytes from which on the file is rewritten.
func (s *Store) largest() int64 {
	size := max(smallest, 2*s.written)
	if s.retention.Bytes > 0 {
		size = max(min(size, s.retention.Bytes), 2*s.written)
	}
	return size
}

// rewrite makes a new file of all that counts.
func (s *Store) rewrite(aside string) error {
	placed := map[uint64][]location{}
	err := s.journal.rewrite(aside, func(add func([]byte) (location, error)) error {
		if len(s.values) > 0 {
			if _, err := addEntry(add, entry{Set: s.values}); err != nil {
				return err
			}
		}
		for _, number := range s.index.numbers {
			deployment, err := s.assemble(number)
			if err != nil {
				continue // it cannot be read, now or later
			}
			at, err := addEntry(add, entry{Deployment: deployment})
			if err != nil {
				return err
			}
			placed[number] = []location{at}
		}
		return nil
	})
	if err == nil {
		s.index.entries, s.written, s.forgotten, s.saved = placed, s.journal.end, 0, 0
		s.index.tidy()
	}
	return err
}

func addEntry(add func([]byte) (location, error), e entry) (location, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return location{}, err
	}
	return add(data)
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
