package history

import (
	"encoding/json"
	"fmt"
	"slices"

	"kargo"
)

// made is a change that was made for a deployment.
type made struct {
	Number uint64 `json:"number"` // of the deployment
	// Change is nil where only another one got under way.
	Change *kargo.Change `json:"change,omitempty"`
	// Next is the change that was under way from then on.
	Next *kargo.Change `json:"next,omitempty"`
	// Announced are changes that were about to be sent. It stands alone.
	Announced []kargo.Change `json:"announced,omitempty"`
}

// Begin records a new deployment and returns it with its number.
func (s *Store) Begin(d kargo.Deployment) (kargo.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Number = s.index.newest + 1
	if err := s.record(entry{Deployment: &d}); err != nil {
		return d, err
	}
	s.index.newest, s.announced = d.Number, nil
	s.forget()
	s.shrink()
	return d, nil
}

// Made records that a change of a deployment was made. It is one small entry,
// however large the deployment is. sent is what is remembered of a service from
// now on; nil forgets it. next is the change that is under way from now on, or
// nil: it is known of if the process ends before it is reported. Where next was
// announced, the entry outlives the process at once, and a loss of power as soon as
// another entry is recorded that is not of this kind.
func (s *Store) Made(number uint64, change kargo.Change, sent *kargo.SentSpec, next *kargo.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := entry{Made: &made{Number: number, Change: &change, Next: next}}
	if change.Kind == kargo.KindService {
		value, err := json.Marshal(sent)
		if err != nil {
			return fmt.Errorf("record in history: %w", err)
		}
		e.Set = values{sentPrefix + change.Name: value}
	}
	err := s.write(e, next == nil || !s.isAnnounced(*next))
	delete(s.announced, change.Key())
	return err
}

// isAnnounced reports whether a change was announced for the deployment that goes on, and
// not made since then. Only creations are: an object may be updated soon after it.
func (s *Store) isAnnounced(change kargo.Change) bool {
	return change.Action == kargo.Create && s.announced[change.Key()]
}

// Announce records changes of a deployment that are about to be sent, one after the
// other or side by side. So they are known of whatever happens, and each of them needs to
// be recorded durably only once.
func (s *Store) Announce(number uint64, changes []kargo.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.record(entry{Made: &made{Number: number, Announced: changes}}); err != nil {
		return err
	}
	s.announced = map[kargo.ObjectKey]bool{}
	for _, change := range changes {
		s.announced[change.Key()] = true
	}
	return nil
}

// Sending records which change of a deployment is under way from now on. As with Made, a
// change that was announced is known of already.
func (s *Store) Sending(number uint64, next kargo.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(entry{Made: &made{Number: number, Next: &next}}, !s.isAnnounced(next))
}

// Record records how far a deployment has come, and with it, in one entry, what
// must be remembered.
func (s *Store) Record(d kargo.Deployment, memory kargo.Memory) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, err := s.changed(memory)
	if err != nil {
		return err
	}
	s.announced = nil // the entry has what is known of the deployment
	return s.record(entry{Deployment: &d, Set: set})
}

// Deployment returns the deployment with that number, or nil where there is
// none: it never was, or it is older than those that are kept.
func (s *Store) Deployment(number uint64) (*kargo.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index.entries[number] == nil {
		return nil, nil
	}
	return s.assemble(number)
}

// Deployments returns the deployments with numbers below before, the newest
// first. 0 for before begins with the newest of all. limit is how many it
// returns at most; 0 means all. One that cannot be read is left out.
func (s *Store) Deployments(before uint64, limit int) ([]kargo.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readNewest(s.index.numbers, before, limit, nil), nil
}

// Unfinished returns the deployment that an earlier process left in the middle,
// or nil. Only the newest can be one; notes may have come after it.
func (s *Store) Unfinished() (*kargo.Deployment, error) {
	for before := uint64(0); ; {
		newest, err := s.Deployments(before, 1)
		switch {
		case err != nil || len(newest) == 0:
			return nil, err
		case newest[0].Finished.IsZero():
			return &newest[0], nil
		case !newest[0].Kind.IsNote():
			return nil, nil
		}
		before = newest[0].Number
	}
}

// assemble reads a deployment and the changes that were made since it was
// recorded as a whole.
func (s *Store) assemble(number uint64) (*kargo.Deployment, error) {
	var deployment *kargo.Deployment
	for _, at := range s.index.entries[number] {
		data, err := s.journal.read(at)
		if err != nil {
			return nil, fmt.Errorf("read deployment %d: %w", number, err)
		}
		var read entry
		if err := json.Unmarshal(data, &read); err != nil {
			return nil, fmt.Errorf("read deployment %d: %w", number, err)
		}
		if read.Deployment != nil {
			deployment = read.Deployment
			continue
		}
		advance(deployment, *read.Made)
	}
	return deployment, nil
}

// advance brings a deployment forward by what was made for it.
func advance(d *kargo.Deployment, by made) {
	if by.Announced != nil {
		d.Announced = by.Announced
		return
	}
	if by.Change != nil {
		d.Changes = append(d.Changes, *by.Change)
		d.Announced = slices.DeleteFunc(d.Announced, func(c kargo.Change) bool { return c.Key() == by.Change.Key() })
	}
	d.UnderWay = by.Next
}
