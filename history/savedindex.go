package history

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"time"

	"kargo"
)

// covered is a part of the journal, from its beginning: so many bytes, with a checksum.
type covered struct {
	Bytes int64
	Sum   uint32
}

// savedIndex is what a file beside the journal keeps, so that opening a long history reads
// no deployment: the index and the values, of as much of the journal as it covers. The
// journal stays the truth. An index that is damaged, or of another journal, or of one that
// is damaged, does not count.
type savedIndex struct {
	Version int
	Covers  covered
	Values  map[string][]byte
	Newest  uint64
	Entries []savedEntry
	Latest  []savedTopic

	Names     map[string][]uint64
	Revisions map[string][]uint64
	Commits   map[string][]uint64
}

// savedVersion is that of the form of a saved index. One of another version does not count.
const savedVersion = 1

type savedEntry struct {
	Number uint64
	Began  int64   // nanoseconds since 1970; 0 if it is not known
	At     []int64 // offsets and lengths, by turns
}

type savedTopic struct {
	Kind, Stack, Digest, Revision string
	Number                        uint64
}

// saveAfter is how many bytes of the journal an index need not cover: these are read
// entry by entry when it is opened.
const saveAfter = 256 << 10

// indexSuffix is what the name of the index has behind that of the journal.
const indexSuffix = ".index"

// saveIndex writes the index where the one on the disk has become old: each byte of the
// journal costs a few bytes of it in the long run. It is not written while anything is
// wrong with the journal, so that the next process finds the same. Without it everything
// works, so an error of the disk is none. The caller has the lock.
func (s *Store) saveIndex() {
	j := s.journal
	if j.end-s.saved < max(saveAfter, j.end/8) || s.damage != "" || j.trouble != nil || j.torn || len(j.pending) > 0 {
		return
	}
	s.saved = j.end // also where it fails: it is not tried again at each change
	var data bytes.Buffer
	data.Write(make([]byte, 4)) // of the checksum
	if gob.NewEncoder(&data).Encode(s.index.saved(covered{j.end, j.sum}, s.values)) != nil {
		return
	}
	content := data.Bytes()
	binary.BigEndian.PutUint32(content, crc32.Checksum(content[4:], checksums))
	path := j.path + indexSuffix
	next := path + ".new"
	if os.WriteFile(next, content, 0o600) != nil || os.Rename(next, path) != nil {
		_ = os.Remove(next)
	}
}

// readIndex reads the saved index; its version is 0 where there is none that counts.
func readIndex(path string) (saved savedIndex) {
	content, err := os.ReadFile(path)
	if err != nil || len(content) < 4 || binary.BigEndian.Uint32(content) != crc32.Checksum(content[4:], checksums) {
		return savedIndex{}
	}
	if gob.NewDecoder(bytes.NewReader(content[4:])).Decode(&saved) != nil || saved.Version != savedVersion {
		return savedIndex{}
	}
	return saved
}

func (i *index) saved(covers covered, known values) savedIndex {
	saved := savedIndex{
		Version: savedVersion, Covers: covers, Values: map[string][]byte{}, Newest: i.newest,
		Names: i.names, Revisions: map[string][]uint64{}, Commits: map[string][]uint64{},
	}
	for key, value := range known {
		saved.Values[key] = value
	}
	for _, number := range i.numbers {
		entry := savedEntry{Number: number}
		if began := i.began[number]; !began.IsZero() {
			entry.Began = began.UnixNano()
		}
		for _, at := range i.entries[number] {
			entry.At = append(entry.At, at.offset, int64(at.length))
		}
		saved.Entries = append(saved.Entries, entry)
	}
	for topic, number := range i.latest {
		saved.Latest = append(saved.Latest, savedTopic{string(topic.kind), topic.stack, topic.digest, string(topic.revision), number})
	}
	for id, numbers := range i.revisions {
		saved.Revisions[string(id)] = numbers
	}
	for id, numbers := range i.commits {
		saved.Commits[string(id)] = numbers
	}
	return saved
}

// restore returns the index and the values that were saved.
func (saved savedIndex) restore() (index, values) {
	i, known := newIndex(), values{}
	for key, value := range saved.Values {
		known[key] = value
	}
	i.newest = saved.Newest
	i.numbers = make([]uint64, 0, len(saved.Entries))
	for _, entry := range saved.Entries {
		i.numbers = append(i.numbers, entry.Number)
		i.began[entry.Number] = time.Time{}
		if entry.Began != 0 {
			i.began[entry.Number] = time.Unix(0, entry.Began)
		}
		at := make([]location, 0, len(entry.At)/2)
		for pair := range slices.Chunk(entry.At, 2) {
			at = append(at, location{pair[0], int(pair[1])})
		}
		i.entries[entry.Number] = at
	}
	for _, topicOf := range saved.Latest {
		i.latest[topic{kargo.EntryKind(topicOf.Kind), topicOf.Stack, topicOf.Digest, kargo.RevisionID(topicOf.Revision)}] = topicOf.Number
	}
	maps.Copy(i.names, saved.Names)
	for id, numbers := range saved.Revisions {
		i.revisions[kargo.RevisionID(id)] = numbers
	}
	for id, numbers := range saved.Commits {
		i.commits[kargo.RevisionID(id)] = numbers
	}
	return i, known
}
