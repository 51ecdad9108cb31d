// Package snap stands for the snapshots on a manager's disk; see the package raft beside
// this module. Kargo has none.
package snap

import (
	"errors"

	"go.etcd.io/etcd/raft/v3/raftpb"
)

// ErrNoSnapshot says that there is none.
var ErrNoSnapshot = errors.New("Kargo has no snapshots of a manager")

// Snapshotter writes and reads snapshots. It always returns ErrNoSnapshot.
type Snapshotter struct{}

// New returns a Snapshotter.
func New(_ any, _ string) *Snapshotter { return &Snapshotter{} }

func (*Snapshotter) SaveSnap(raftpb.Snapshot) error  { return ErrNoSnapshot }
func (*Snapshotter) Load() (*raftpb.Snapshot, error) { return nil, ErrNoSnapshot }
