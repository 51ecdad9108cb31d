// Package history keeps what Kargo did and the little it must remember:
// deployments, the revision in force, the specs sent last, approvals. It is
// durable and crash-safe (one bbolt file), and it is a log, not a truth: what
// is wanted is in git, what runs is in Swarm. Losing the file costs one
// repeated attempt at something that Swarm had rolled back.
//
// Nothing secret is in that file: of plans only the masked lines are kept, of
// specs only digests. It holds the key of those digests, so it is readable by
// its owner only. Beside it, in files of their own, lie the last good
// renderings. They hold what the stacks hold, secrets included, and are sealed
// with a key that lies elsewhere: losing it costs the good renderings.
package history

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"kargo"
)

// Keep is how many deployments are kept; older ones are forgotten.
const Keep = 1000

// Store is an open history.
type Store struct {
	db   *bbolt.DB
	good string // directory of good renderings
	// sealKey answers the key that these are sealed with; see Seal.
	sealKey func() ([]byte, error)
	// Recovered is the path under which an unreadable file was put aside, if
	// Open met one.
	Recovered string
}

var (
	deploymentsBucket = []byte("deployments") // number, big endian → deployment
	stateBucket       = []byte("state")       // one key a value, below
)

// Keys of the state bucket.
const (
	appliedKey  = "applied"
	sentKey     = "sent"
	rolloutsKey = "rollouts"
	resolvedKey = "resolved"
	approvalKey = "approval"
	maskKey     = "mask-key"
	attemptsKey = "readings"
)

// Open opens or makes the history at path. It waits a second at most for
// another process to let go of it: two controllers must not share one. A file
// that cannot be read is put aside and a new one begun.
func Open(path string) (*Store, error) {
	s := &Store{}
	db, err := open(path)
	if unreadable(err) {
		s.Recovered = fmt.Sprintf("%s.unreadable-%d", path, time.Now().Unix())
		if err := os.Rename(path, s.Recovered); err != nil {
			return nil, fmt.Errorf("put unreadable history aside: %w", err)
		}
		db, err = open(path)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, &kargo.Error{
			Fault: kargo.Unavailable, Where: kargo.Place{File: path}, Err: errors.New("open history: another process has it"),
			Hint: "is `kargo serve` running with the same data directory?",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open history %s: %w", path, err)
	}
	s.db, s.good = db, filepath.Join(filepath.Dir(path), "good")
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare history %s: %w", path, err), db.Close())
	}
	return s, nil
}

func open(path string) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
}

func unreadable(err error) bool {
	return errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) ||
		errors.Is(err, berrors.ErrVersionMismatch)
}

func (s *Store) prepare() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{deploymentsBucket, stateBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		state := tx.Bucket(stateBucket)
		if state.Get([]byte(maskKey)) != nil {
			return nil
		}
		key := make([]byte, 32)
		rand.Read(key) // never fails
		return state.Put([]byte(maskKey), key)
	})
}

// Close lets go of the file.
func (s *Store) Close() error { return s.db.Close() }

// Key is the key of masked secrets, made once per history.
func (s *Store) Key() ([]byte, error) {
	var key []byte
	err := s.db.View(func(tx *bbolt.Tx) error {
		key = append(key, tx.Bucket(stateBucket).Get([]byte(maskKey))...)
		return nil
	})
	return key, wrap("read mask key", err)
}

// Begin stores a new deployment and answers it with its number.
func (s *Store) Begin(d kargo.Deployment) (kargo.Deployment, error) {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(deploymentsBucket)
		number, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		d.Number = number
		if number > Keep {
			if err := bucket.Delete(numberKey(number - Keep)); err != nil {
				return err
			}
		}
		return put(bucket, numberKey(number), d)
	})
	return d, wrap("record deployment", err)
}

// Record stores how far a deployment has come, and with it, in one
// transaction, what must be remembered.
func (s *Store) Record(d kargo.Deployment, memory kargo.Memory) error {
	return wrap("record deployment", s.db.Update(func(tx *bbolt.Tx) error {
		if err := put(tx.Bucket(deploymentsBucket), numberKey(d.Number), d); err != nil {
			return err
		}
		state := tx.Bucket(stateBucket)
		return errors.Join(
			put(state, []byte(appliedKey), memory.Applied),
			put(state, []byte(sentKey), memory.Sent),
			put(state, []byte(rolloutsKey), memory.Rollouts),
			put(state, []byte(resolvedKey), memory.Resolved))
	}))
}

// Deployment returns the deployment with that number, or nil where there is
// none: it never was, or it is older than those that are kept.
func (s *Store) Deployment(number uint64) (*kargo.Deployment, error) {
	var found *kargo.Deployment
	err := s.db.View(func(tx *bbolt.Tx) error {
		value := tx.Bucket(deploymentsBucket).Get(numberKey(number))
		if value == nil {
			return nil
		}
		found = &kargo.Deployment{}
		return json.Unmarshal(value, found)
	})
	if err != nil {
		return nil, fmt.Errorf("read deployment %d: %w", number, err)
	}
	return found, nil
}

// Deployments returns the deployments with numbers below before, the newest
// first. 0 for before begins with the newest of all. limit is how many it
// returns at most; 0 means all.
func (s *Store) Deployments(before uint64, limit int) ([]kargo.Deployment, error) {
	deployments := []kargo.Deployment{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(deploymentsBucket).Cursor()
		for key, value := lastBelow(cursor, before); key != nil; key, value = cursor.Prev() {
			if limit > 0 && len(deployments) == limit {
				return nil
			}
			var d kargo.Deployment
			if err := json.Unmarshal(value, &d); err != nil {
				return fmt.Errorf("deployment %d: %w", binary.BigEndian.Uint64(key), err)
			}
			deployments = append(deployments, d)
		}
		return nil
	})
	return deployments, wrap("read deployments", err)
}

// lastBelow moves to the last key below a number, and to the last of all for
// the number 0.
func lastBelow(cursor *bbolt.Cursor, number uint64) (key, value []byte) {
	if number > 0 {
		if key, _ := cursor.Seek(numberKey(number)); key != nil {
			return cursor.Prev()
		}
	}
	return cursor.Last()
}

// Unfinished is the deployment that an earlier process left in the middle, or
// nil. Only the newest can be one.
func (s *Store) Unfinished() (*kargo.Deployment, error) {
	newest, err := s.Deployments(0, 1)
	if err != nil || len(newest) == 0 || !newest[0].Finished.IsZero() {
		return nil, err
	}
	return &newest[0], nil
}

// Memory is what was recorded last; empty where nothing ever was.
func (s *Store) Memory() (kargo.Memory, error) {
	memory := kargo.Memory{Sent: kargo.Sent{}, Rollouts: map[string]kargo.Rollout{}}
	return memory, errors.Join(
		s.state(appliedKey, &memory.Applied),
		s.state(sentKey, &memory.Sent),
		s.state(rolloutsKey, &memory.Rollouts),
		s.state(resolvedKey, &memory.Resolved))
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
	return s.setState(approvalKey, approval{Plan: plan, By: by, Time: at})
}

// Approved returns the ID of the plan whose approval is in force at a time, or
// "". An approval is in force for an hour.
func (s *Store) Approved(at time.Time) (plan string, err error) {
	var last approval
	if err := s.state(approvalKey, &last); err != nil || at.Sub(last.Time) > approvalLasts {
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
	return begun[reading], s.setState(attemptsKey, begun)
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
	return s.setState(attemptsKey, begun)
}

// mostAttempts is how many readings are counted; all are forgotten when there
// are more.
const mostAttempts = 32

// attempts returns how often readings have begun without ending.
func (s *Store) attempts() (map[string]int, error) {
	begun := map[string]int{}
	if err := s.state(attemptsKey, &begun); err != nil {
		return nil, err
	}
	if len(begun) > mostAttempts {
		clear(begun)
	}
	return begun, nil
}

func (s *Store) state(key string, into any) error {
	return wrap("read "+key, s.db.View(func(tx *bbolt.Tx) error {
		if data := tx.Bucket(stateBucket).Get([]byte(key)); data != nil {
			return json.Unmarshal(data, into)
		}
		return nil
	}))
}

func (s *Store) setState(key string, value any) error {
	return wrap("record "+key, s.db.Update(func(tx *bbolt.Tx) error {
		return put(tx.Bucket(stateBucket), []byte(key), value)
	}))
}

func put(bucket *bbolt.Bucket, key []byte, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return bucket.Put(key, data)
}

func numberKey(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
