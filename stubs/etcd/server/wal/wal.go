// Package wal stands for the log of a manager's disk; see the package raft beside this
// module. Kargo has no such log, and none can be opened.
package wal

import (
	"errors"

	"go.etcd.io/etcd/raft/v3/raftpb"
	"go.etcd.io/etcd/server/v3/wal/walpb"
)

var errNoLog = errors.New("Kargo has no log of a manager")

// WAL is a log. There is none.
type WAL struct{}

// Create always returns an error.
func Create(_ any, _ string, _ []byte) (*WAL, error) { return nil, errNoLog }

// Open always returns an error.
func Open(_ any, _ string, _ walpb.Snapshot) (*WAL, error) { return nil, errNoLog }

// Exist always returns false.
func Exist(string) bool { return false }

// Repair always returns false.
func Repair(any, string) bool { return false }

func (*WAL) Close() error                                { return errNoLog }
func (*WAL) ReleaseLockTo(uint64) error                  { return errNoLog }
func (*WAL) Save(raftpb.HardState, []raftpb.Entry) error { return errNoLog }
func (*WAL) SaveSnapshot(walpb.Snapshot) error           { return errNoLog }
func (*WAL) ReadAll() ([]byte, raftpb.HardState, []raftpb.Entry, error) {
	return nil, raftpb.HardState{}, nil, errNoLog
}
