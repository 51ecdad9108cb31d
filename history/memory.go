package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"kargo"
)

// Keys of the values. What is remembered of each service and each stack has a
// key of its own, so that one of them can be recorded without the others.
const (
	appliedKey     = "applied"
	resolvedKey    = "resolved"
	approvalKey    = "approval"
	attemptsKey    = "readings"
	refusedKey     = "refused-head"
	settingsKey    = "settings"
	stopsKey       = "stops"
	suspendedKey   = "suspended"
	frozenKey      = "frozen"
	liftedKey      = "freeze-lifted"
	tooManyKey     = "held-removals"
	formatKey      = "format"
	formerKey      = "mask-key"  // the key of digests, of an earlier version
	sentPrefix     = "sent/"     // and the name of the service
	rolloutsPrefix = "rollouts/" // and the name of the stack
)

// format is that of the file.
const format = 1

// values are what must be remembered, as JSON by key.
type values map[string]json.RawMessage

// add adds some values to others; null removes one.
func (v values) add(set values) {
	for key, value := range set {
		if string(value) == "null" {
			delete(v, key)
		} else {
			v[key] = value
		}
	}
}

// Memory returns what was recorded last; it is empty where nothing ever was.
func (s *Store) Memory() (kargo.Memory, error) {
	memory := kargo.Memory{Sent: kargo.Sent{}, Rollouts: map[string]kargo.Rollout{}}
	var errs []error
	for key, field := range single(&memory) {
		errs = append(errs, s.get(key, field))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	errs = append(errs, decodeAll(s.values, sentPrefix, memory.Sent), decodeAll(s.values, rolloutsPrefix, memory.Rollouts))
	return memory, errors.Join(errs...)
}

// single returns, by key, where those parts of the memory are that have one value each.
func single(memory *kargo.Memory) map[string]any {
	return map[string]any{
		appliedKey: &memory.Applied, resolvedKey: &memory.Resolved, refusedKey: &memory.RefusedHead, settingsKey: &memory.Settings,
		stopsKey: &memory.Stops, suspendedKey: &memory.Suspended, frozenKey: &memory.Frozen, liftedKey: &memory.FreezeLifted,
		tooManyKey: &memory.TooMany,
	}
}

// decodeAll adds the values whose keys begin with a prefix.
func decodeAll[V any](known values, prefix string, into map[string]V) error {
	for key, data := range known {
		name, found := strings.CutPrefix(key, prefix)
		if !found {
			continue
		}
		var value V
		if err := json.Unmarshal(data, &value); err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		into[name] = value
	}
	return nil
}

// changed returns those values of the memory that differ from what is recorded. The
// caller has the lock.
func (s *Store) changed(memory kargo.Memory) (values, error) {
	v, set := s.values, values{}
	var errs []error
	for key, field := range single(&memory) {
		errs = append(errs, v.compare(set, key, field))
	}
	errs = append(errs, s.compareSent(set, memory.Sent), compareAll(v, set, rolloutsPrefix, memory.Rollouts))
	return set, errors.Join(errs...)
}

// compare puts a value into set if it differs.
func (v values) compare(set values, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("record %s: %w", key, err)
	}
	if !bytes.Equal(data, v[key]) {
		set[key] = data
	}
	return nil
}

// sentText is what is remembered of a service, and the same as JSON.
type sentText struct {
	sent kargo.SentSpec
	text json.RawMessage
}

// compareSent does the same with what is remembered of each service. There are many, and
// hardly any differ, so that a value is encoded only if it is another one than last time.
func (s *Store) compareSent(set values, wanted kargo.Sent) error {
	for name, sent := range wanted {
		key := sentPrefix + name
		recorded := s.values[key]
		if last := s.sent[name]; last.sent == sent && last.text != nil && bytes.Equal(last.text, recorded) {
			continue
		}
		if err := s.values.compare(set, key, sent); err != nil {
			return err
		}
		text := recorded
		if differs, ok := set[key]; ok {
			text = differs
		}
		s.sent[name] = sentText{sent, text}
	}
	s.values.removeOthers(set, sentPrefix, func(name string) bool {
		_, stays := wanted[name]
		if !stays {
			delete(s.sent, name)
		}
		return stays
	})
	return nil
}

// compareAll does the same with each value of a map, and removes those that are
// not in it any more.
func compareAll[V any](known, set values, prefix string, wanted map[string]V) error {
	for name, value := range wanted {
		if err := known.compare(set, prefix+name, value); err != nil {
			return err
		}
	}
	known.removeOthers(set, prefix, func(name string) bool { _, stays := wanted[name]; return stays })
	return nil
}

// removeOthers removes the values whose keys begin with a prefix, unless they stay.
func (v values) removeOthers(set values, prefix string, stays func(name string) bool) {
	for key := range v {
		if name, found := strings.CutPrefix(key, prefix); found && !stays(name) {
			set[key] = json.RawMessage("null")
		}
	}
}

// approval of one plan by a person.
type approval struct {
	Plan string    `json:"plan"`
	By   string    `json:"by"`
	Time time.Time `json:"time"`
}

// approvalLasts is how long an approval waits for its plan. What was right an
// hour ago may be wrong by now.
const approvalLasts = time.Hour

// Approve notes that a person, by name, approved one plan. It takes the place of
// any earlier approval.
func (s *Store) Approve(plan, by string, at time.Time) error {
	return s.put(approvalKey, approval{Plan: plan, By: by, Time: at})
}

// Approved returns the ID of the plan whose approval is in force at a time, or
// "". An approval is in force for an hour.
func (s *Store) Approved(at time.Time) (plan string, err error) {
	var last approval
	if err := s.get(approvalKey, &last); err != nil || at.Sub(last.Time) > approvalLasts {
		return "", err
	}
	return last.Plan, nil
}

// Attempt notes that a reading begins, such as that of a revision, and returns
// how often it has begun without ending. A number above two means that it kills
// the controller.
func (s *Store) Attempt(reading string) (int, error) {
	begun, err := s.attempts()
	if err != nil {
		return 0, err
	}
	begun[reading]++
	return begun[reading], s.put(attemptsKey, begun)
}

// Survived notes that a reading has ended. Others that have begun stay counted:
// the revision in force is read at every start, before the one that may kill
// the controller.
func (s *Store) Survived(reading string) error {
	begun, err := s.attempts()
	if _, counted := begun[reading]; err != nil || !counted {
		return err
	}
	delete(begun, reading)
	return s.put(attemptsKey, begun)
}

// mostAttempts is how many readings are counted; all are forgotten when there
// are more.
const mostAttempts = 32

// attempts returns how often readings have begun without ending.
func (s *Store) attempts() (map[string]int, error) {
	begun := map[string]int{}
	if err := s.get(attemptsKey, &begun); err != nil {
		return nil, err
	}
	if len(begun) > mostAttempts {
		clear(begun)
	}
	return begun, nil
}

// get decodes a value, and leaves into as it is where none is recorded.
func (s *Store) get(key string, into any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decode(key, into)
}

// put records one value.
func (s *Store) put(key string, value any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(key, value)
}

// set records one value. The caller has the lock.
func (s *Store) set(key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("record %s: %w", key, err)
	}
	return s.record(entry{Set: values{key: data}})
}
