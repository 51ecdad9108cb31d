// Package walpb has the type of a log's record that swarmkit names; see the package wal.
package walpb

import "go.etcd.io/etcd/raft/v3/raftpb"

// Snapshot says where a snapshot is in a log.
type Snapshot struct {
	Index, Term uint64
	ConfState   *raftpb.ConfState
}
