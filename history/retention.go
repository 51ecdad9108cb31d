package history

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"kargo"
)

// Retention says which deployments are kept; older ones are forgotten. Zero in a field
// sets no limit.
//
// What tells about the present, or is needed to go back, is kept beyond the limits. These
// are, each time the newest: the entry of each kind, the entry of each kind about each
// stack that is in force or stopped, the deployment of each revision that something runs,
// and the deployment of each kept rendering.
type Retention struct {
	Deployments int           // how many
	Age         time.Duration // since they began
	Bytes       int64         // of the file; where it has them, half of them stay
}

// DefaultRetention is what is kept where the operator says nothing.
var DefaultRetention = Retention{Deployments: 1000}

// Retain forgets what need not be kept, now and after each new deployment. Until it is
// called everything is kept. The file is written anew when an eighth of it is
// forgotten, so it has forgotten deployments for a while.
func (s *Store) Retain(retention Retention) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retention = retention
	s.forget()
	s.shrink()
}

// forget takes the deployments out of the index that need not be kept. Where it cannot be
// known what is needed, it forgets nothing. The caller has the lock.
func (s *Store) forget() {
	over := s.overLimit(time.Now())
	if over == 0 {
		return
	}
	needed, err := s.needed()
	if err != nil {
		return
	}
	for _, number := range slices.Clone(s.index.numbers[:over]) {
		if !needed[number] {
			s.forgotten += s.index.remove(number)
		}
	}
	s.index.numbers = slices.DeleteFunc(s.index.numbers, s.index.gone)
}

// shrink writes the file anew where an eighth of it is forgotten. So a byte that is
// forgotten costs at most eight that are written.
func (s *Store) shrink() {
	if s.forgotten == 0 || s.forgotten < s.journal.end/8 {
		return
	}
	if err := s.rewrite(""); err != nil {
		s.journal.trouble = err
	}
}

// overLimit returns how many deployments, from the oldest on, are over a limit.
func (s *Store) overLimit(now time.Time) int {
	limit, numbers := s.retention, s.index.numbers
	over := 0
	if limit.Deployments > 0 {
		over = max(over, len(numbers)-limit.Deployments)
	}
	if limit.Age > 0 {
		for over < len(numbers) && s.index.old(numbers[over], now.Add(-limit.Age)) {
			over++
		}
	}
	if limit.Bytes > 0 && s.journal.end >= limit.Bytes {
		size := int64(0)
		for at, number := range slices.Backward(numbers) {
			if size += s.index.size(number); size > limit.Bytes/2 {
				return max(over, at+1)
			}
		}
	}
	return over
}

// needed returns the numbers of the deployments that are kept beyond the limits.
func (s *Store) needed() (map[uint64]bool, error) {
	var applied kargo.Applied
	var stops map[string]kargo.Stop
	if err := errors.Join(s.decode(appliedKey, &applied), s.decode(stopsKey, &stops)); err != nil {
		return nil, err
	}
	digests, err := s.digests()
	if err != nil {
		return nil, err
	}
	stacks, revisions := map[string]bool{"": true}, map[kargo.RevisionID]bool{applied.Revision.ID(): true}
	for name, stack := range applied.Stacks {
		stacks[name], revisions[stack.Changed] = true, true
	}
	for name, stop := range stops {
		stacks[name], revisions[stop.Revision] = true, true
	}
	needed := map[uint64]bool{s.index.newest: true}
	for topic, number := range s.index.latest {
		switch {
		case topic.digest != "":
			needed[number] = needed[number] || slices.Contains(digests[topic.stack], topic.digest)
		case topic.revision != "":
			needed[number] = needed[number] || revisions[topic.revision]
		default:
			needed[number] = needed[number] || stacks[topic.stack]
		}
	}
	return needed, nil
}

// decode decodes a value, and leaves into as it is where none is recorded. The caller has
// the lock.
func (s *Store) decode(key string, into any) error {
	if s.values[key] == nil {
		return nil
	}
	return wrap("read "+key, json.Unmarshal(s.values[key], into))
}

// digests returns those of the kept renderings, by stack. It opens none of them. No
// stack can go back to one that cannot be read.
func (r *Renderings) digests() (map[string][]string, error) {
	digests := map[string][]string{}
	directories, _ := os.ReadDir(r.dir)
	for _, directory := range directories {
		escaped, ofStack := strings.CutPrefix(directory.Name(), "kept-")
		if !ofStack {
			continue
		}
		stack, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, err
		}
		digests[stack] = r.KeptDigests(stack)
	}
	return digests, nil
}

// topic is what a deployment is about. Either a kind of entry, about a stack or in
// general; or a rendering of a stack; or a revision.
type topic struct {
	kind          kargo.EntryKind
	stack, digest string
	revision      kargo.RevisionID
}

// topics returns what a deployment is about.
func topics(d *kargo.Deployment) []topic {
	kind := cmp.Or(d.Kind, kargo.EntryUpdate)
	all := []topic{{kind: kind}}
	if !kind.IsNote() {
		all = append(all, topic{revision: d.Revision.ID()})
	}
	for _, name := range d.MayBeAbout() {
		all = append(all, topic{kind: kind, stack: name})
	}
	for _, result := range d.Stacks {
		if result.Digest != "" {
			all = append(all, topic{stack: result.Name, digest: result.Digest})
		}
	}
	return all
}

// describe notes what a deployment is about, and when it began.
func (i *index) describe(d *kargo.Deployment) {
	for _, topic := range topics(d) {
		i.latest[topic] = max(i.latest[topic], d.Number)
	}
	began := d.Started
	if began.IsZero() {
		began = d.Finished
	}
	i.began[d.Number] = began
}

// old reports whether a deployment began before a time. One that does not say when it
// began is not old.
func (i *index) old(number uint64, before time.Time) bool {
	began := i.began[number]
	return !began.IsZero() && began.Before(before)
}

// size returns how many bytes of the file a deployment takes.
func (i *index) size(number uint64) (size int64) {
	for _, at := range i.entries[number] {
		size += int64(at.length)
	}
	return size
}

// remove forgets a deployment and returns how many bytes it takes. The caller takes its
// number out.
func (i *index) remove(number uint64) int64 {
	size := i.size(number)
	delete(i.entries, number)
	delete(i.began, number)
	return size
}

// gone reports whether a deployment is not kept.
func (i *index) gone(number uint64) bool { return i.entries[number] == nil }

// tidy takes what is gone out of everything. That goes through the whole index, so it is
// done when the file is rewritten; until then, who looks something up skips what is gone.
func (i *index) tidy() {
	i.numbers = slices.DeleteFunc(i.numbers, i.gone)
	maps.DeleteFunc(i.latest, func(_ topic, number uint64) bool { return i.gone(number) })
	i.names.tidy(i.gone)
	i.revisions.tidy(i.gone)
	i.commits.tidy(i.gone)
}
