package gitsync

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// unfinished is the end of the names of everything that must be removed after a
// restart.
const unfinished = ".tmp"

// store is the directory of fetched commits: a bare repository for each, named by
// the hash of the commit. A repository with such a name is complete.
type store struct {
	dir  string
	keep int

	mu        sync.Mutex
	protected []string
}

func (s *store) path(commit string) string { return filepath.Join(s.dir, commit) }

func (s *store) has(commit string) bool {
	info, err := os.Stat(s.path(commit))
	return err == nil && info.IsDir()
}

func (s *store) remove(commit string) error { return os.RemoveAll(s.path(commit)) }

func (s *store) protect(commits []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.protected = slices.Clone(commits)
}

func (s *store) isProtected(commit string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.protected, commit)
}

// add calls fill with a new directory, and gives the directory its final name when
// it is complete and on the disk.
func (s *store) add(commit string, fill func(dir string) error) error {
	temporary := s.path(commit) + unfinished
	if err := makeDirectory(s.dir); err != nil { // somebody may have removed it
		return err
	}
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return err
	}
	err := fill(temporary)
	if err == nil {
		err = syncAll(temporary)
	}
	if err == nil { // it may exist already, fetched under another ref
		err = os.RemoveAll(s.path(commit))
	}
	if err == nil {
		err = os.Rename(temporary, s.path(commit))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return syncFile(s.dir)
}

// setAside is between the name of a directory and the time at which a file in its place
// was set aside.
const setAside = ".damaged-"

// SetAside returns the files that were in the place of a repository's directory, or in
// that of its history, and were given another name. They stay until somebody removes
// them.
func SetAside(dir string) []string {
	var files []string
	for _, place := range []string{dir, filepath.Join(dir, historyName)} {
		found, _ := filepath.Glob(escape(place) + setAside + "*") // the pattern is right
		files = append(files, found...)
	}
	return files
}

// escape returns a pattern that matches only the path.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// makeDirectory makes a directory. A file in its place is set aside.
func makeDirectory(dir string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		if err := os.Rename(dir, fmt.Sprintf("%s%s%d", dir, setAside, time.Now().Unix())); err != nil {
			return err
		}
	}
	return os.MkdirAll(dir, 0o700)
}

// touch marks a commit as the one that was used last. Where the disk does not take
// that, the commit is removed a little earlier.
func (s *store) touch(commit string) {
	now := time.Now()
	_ = os.Chtimes(s.path(commit), now, now)
}

// kept is a commit in a store.
type kept struct {
	commit string
	used   time.Time
}

// commits returns all commits, the one used last first.
func (s *store) commits() ([]kept, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var commits []kept
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || !plumbing.IsHash(entry.Name()) {
			continue
		}
		commits = append(commits, kept{entry.Name(), info.ModTime()})
	}
	slices.SortFunc(commits, func(a, b kept) int {
		return cmp.Or(b.used.Compare(a.used), strings.Compare(a.commit, b.commit))
	})
	return commits, nil
}

// newest returns the commit that was used last, and whether there is one.
func (s *store) newest() (commit string, known bool) {
	commits, err := s.commits()
	if err != nil || len(commits) == 0 {
		return "", false
	}
	return commits[0].commit, true
}

// prune removes all commits except the ones used last, the protected ones and
// current.
func (s *store) prune(current string) error {
	commits, err := s.commits()
	if err != nil {
		return err
	}
	commits = slices.DeleteFunc(commits, func(k kept) bool { return k.commit == current })
	for i, old := range commits {
		if i < s.keep-1 || s.isProtected(old.commit) {
			continue
		}
		if err := s.remove(old.commit); err != nil {
			return err
		}
	}
	return nil
}

// distrustedName is the name of a file in the directory of a store; see distrust.
const distrustedName = "distrusted"

// distrust has the next commit fetched as a whole, also by another process: what is on the
// disk may be damaged, or a server may not answer to what it is told of it.
func (s *store) distrust() error {
	err := os.WriteFile(filepath.Join(s.dir, distrustedName), nil, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there is no directory, and nothing in it
	}
	return err
}

// trust ends distrust: a commit was fetched as a whole.
func (s *store) trust() error {
	err := os.Remove(filepath.Join(s.dir, distrustedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// distrusted reports whether the next commit is to be fetched as a whole.
func (s *store) distrusted() bool {
	_, err := os.Stat(filepath.Join(s.dir, distrustedName))
	return !errors.Is(err, fs.ErrNotExist)
}

// removeUnfinished removes what an interrupted fetch has left. What cannot be removed
// is removed when the commit is fetched again.
func (s *store) removeUnfinished() {
	leftovers, _ := filepath.Glob(filepath.Join(s.dir, "*"+unfinished)) // the pattern is sound
	for _, leftover := range leftovers {
		_ = os.RemoveAll(leftover)
	}
}

// syncAll flushes a directory and everything in it to the disk.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFile(path)
	})
}

func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// discardable is the objects of a commit that can be fetched again.
type discardable struct {
	storer.EncodedObjectStorer
	discard func()
}

// discardOnDamage returns objects that are discarded once if one of them turns out to be
// damaged. The commit is fetched again then.
func discardOnDamage(objects storer.EncodedObjectStorer, discard func()) storer.EncodedObjectStorer {
	return &discardable{objects, sync.OnceFunc(discard)}
}

// reportDamage discards the objects of a commit after an error, unless the error is about the
// machine.
func reportDamage(objects storer.EncodedObjectStorer, err error) {
	var machine syscall.Errno
	if errors.As(err, &machine) && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if found, can := objects.(*discardable); can {
		found.discard()
	}
}

// openStorage opens the objects of a bare repository. They are read when they are
// needed; only small ones are kept in memory.
func openStorage(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir), newCache(), filesystem.Options{ExclusiveAccess: true})
}

// openToRead opens the objects of a bare repository, to read many of them. Packs stay open
// meanwhile: to open one takes many times as long as to read a small object. They are
// closed when nobody uses the objects any more.
func openToRead(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir), newCache(), filesystem.Options{ExclusiveAccess: true, MaxOpenDescriptors: mostOpenPacks})
}

// mostOpenPacks is how many packs of one repository stay open.
const mostOpenPacks = 8

func newCache() cache.Object {
	const memory = 8 << 20
	return cache.NewObjectLRU(memory)
}

// holds reports whether an object is there. Storage.HasEncodedObject does not see
// what is in a pack if the storage is open for exclusive access.
func holds(storage *filesystem.Storage, hash plumbing.Hash) bool {
	_, err := storage.EncodedObject(plumbing.AnyObject, hash)
	return err == nil
}
