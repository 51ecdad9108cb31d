// Package raftpb has the types of messages between managers that swarmkit names; see the
// package raft. No message is ever made, so their methods panic.
package raftpb

const noMessages = "Kargo has no messages of Raft"

// ConfState is who belongs to a group.
type ConfState struct{ Voters []uint64 }

// Types of changes of a group.
const (
	ConfChangeAddNode ConfChangeType = iota
	ConfChangeRemoveNode
	ConfChangeUpdateNode
)

// ConfChangeType says what a ConfChange changes.
type ConfChangeType int32

// ConfChange changes who belongs to a group.
type ConfChange struct {
	ID      uint64
	Type    ConfChangeType
	NodeID  uint64
	Context []byte
}

func (*ConfChange) ProtoMessage()            { panic(noMessages) }
func (*ConfChange) Reset()                   { panic(noMessages) }
func (*ConfChange) String() string           { panic(noMessages) }
func (*ConfChange) Marshal() ([]byte, error) { panic(noMessages) }
func (*ConfChange) Unmarshal([]byte) error   { panic(noMessages) }

// Types of entries.
const (
	EntryNormal EntryType = iota
	EntryConfChange
)

// EntryType says what is in an Entry.
type EntryType int32

// Entry is an entry of a log.
type Entry struct {
	Term, Index uint64
	Type        EntryType
	Data        []byte
}

// HardState is what a node must not forget.
type HardState struct{ Term, Vote, Commit uint64 }

// SnapshotMetadata says of when a Snapshot is.
type SnapshotMetadata struct {
	ConfState   ConfState
	Index, Term uint64
}

// Snapshot is a whole state.
type Snapshot struct {
	Data     []byte
	Metadata SnapshotMetadata
}

// Types of messages.
const (
	MsgProp MessageType = iota
	MsgSnap
	MsgVote
)

// MessageType says what a Message is about.
type MessageType int32

// Message is a message between managers.
type Message struct {
	Type           MessageType
	To, From, Term uint64
	Index, Commit  uint64
	Entries        []Entry
	Snapshot       Snapshot
}

func (*Message) Marshal() ([]byte, error)                 { panic(noMessages) }
func (*Message) MarshalToSizedBuffer([]byte) (int, error) { panic(noMessages) }
func (*Message) Unmarshal([]byte) error                   { panic(noMessages) }
func (*Message) Size() int                                { panic(noMessages) }
