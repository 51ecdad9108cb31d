// Package raft stands for etcd's Raft, by which the managers of a Swarm agree. Swarmkit's
// control API imports it to administer managers. Kargo runs no manager: it asks the API
// only to validate specs, with a store of its own that has no log. Whatever would start or
// read a log panics.
package raft

import (
	"context"
	"errors"

	"go.etcd.io/etcd/raft/v3/raftpb"
)

const noRaft = "Kargo has no Raft"

// None is the id of no node.
const None uint64 = 0

// Errors of a log.
var (
	ErrCompacted     = errors.New(noRaft)
	ErrSnapOutOfDate = errors.New(noRaft)
)

// Config has the settings of a node.
type Config struct {
	ID              uint64
	ElectionTick    int
	HeartbeatTick   int
	Storage, Logger any
	Applied         uint64
	MaxSizePerMsg   uint64
	MaxInflightMsgs int
	CheckQuorum     bool
}

// Peer is another node.
type Peer struct {
	ID      uint64
	Context []byte
}

// StateType is the role of a node.
type StateType int

// StateLeader is the role of a leader.
const StateLeader StateType = 1

// SoftState is who leads.
type SoftState struct {
	Lead      uint64
	RaftState StateType
}

// Progress is how far another node is.
type Progress struct {
	Match        uint64
	RecentActive bool
}

// Status is that of a node.
type Status struct {
	SoftState
	raftpb.HardState
	Progress map[uint64]Progress
}

// SnapshotStatus says what became of a snapshot.
type SnapshotStatus int

// What became of a snapshot.
const (
	SnapshotFinish SnapshotStatus = iota
	SnapshotFailure
)

// Ready is what a node wants done.
type Ready struct {
	*SoftState
	raftpb.HardState
	Entries, CommittedEntries []raftpb.Entry
	Snapshot                  raftpb.Snapshot
	Messages                  []raftpb.Message
}

// Node is a member of a group. There is none.
type Node interface {
	Tick()
	Stop()
	Advance()
	Campaign(context.Context) error
	Propose(context.Context, []byte) error
	ProposeConfChange(context.Context, raftpb.ConfChange) error
	ApplyConfChange(raftpb.ConfChange) *raftpb.ConfState
	Step(context.Context, raftpb.Message) error
	Ready() <-chan Ready
	Status() Status
	TransferLeadership(_ context.Context, from, to uint64)
	ReportUnreachable(uint64)
	ReportSnapshot(uint64, SnapshotStatus)
}

// StartNode panics.
func StartNode(*Config, []Peer) Node { panic(noRaft) }

// RestartNode panics.
func RestartNode(*Config) Node { panic(noRaft) }

// IsEmptySnap panics.
func IsEmptySnap(raftpb.Snapshot) bool { panic(noRaft) }

// MemoryStorage is a log. Whatever it is asked, it panics.
type MemoryStorage struct{}

// NewMemoryStorage panics.
func NewMemoryStorage() *MemoryStorage { panic(noRaft) }

func (*MemoryStorage) Append([]raftpb.Entry) error                    { panic(noRaft) }
func (*MemoryStorage) ApplySnapshot(raftpb.Snapshot) error            { panic(noRaft) }
func (*MemoryStorage) Compact(uint64) error                           { panic(noRaft) }
func (*MemoryStorage) FirstIndex() (uint64, error)                    { panic(noRaft) }
func (*MemoryStorage) LastIndex() (uint64, error)                     { panic(noRaft) }
func (*MemoryStorage) SetHardState(raftpb.HardState) error            { panic(noRaft) }
func (*MemoryStorage) Snapshot() (raftpb.Snapshot, error)             { panic(noRaft) }
func (*MemoryStorage) Entries(_, _, _ uint64) ([]raftpb.Entry, error) { panic(noRaft) }
func (*MemoryStorage) CreateSnapshot(uint64, *raftpb.ConfState, []byte) (raftpb.Snapshot, error) {
	panic(noRaft)
}
