package history

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"kargo"
)

// mostKept is how many renderings of a stack are kept to go back to.
const mostKept = 10

// suffix is that of the file of a rendering.
const suffix = ".sealed"

// Renderings are the renderings of stacks that came up and stayed up: a sealed file
// for each, in a directory of its stack beside the history. As with the history, the
// disk stops nothing: a file that is damaged is set aside, and what cannot be written is
// kept in memory until it can.
type Renderings struct {
	dir string
	key func() ([]byte, error) // see Seal

	mu      sync.Mutex
	pending map[string][]byte // what is not written yet, by path
	size    int               // of pending, in bytes
	failure error             // of the last attempt to write; nil if it succeeded
	damaged int               // files that were set aside
	aside   string            // the last one of them
}

// Seal sets the source of the key that renderings are sealed with. They hold the
// secrets that the stacks hold, so the key must lie elsewhere than the history.
// It is asked for at each use. Renderings in the form of earlier versions are
// removed: some of them were not sealed.
func (r *Renderings) Seal(key func() ([]byte, error)) error {
	r.key = key
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.makeDirectory(r.dir); err != nil {
		r.failure = err // nothing can be there
		return nil
	}
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			err = errors.Join(err, os.Remove(filepath.Join(r.dir, entry.Name())))
		}
	}
	return wrap("remove renderings of an earlier version", err)
}

// mostTogether is how many files are written together.
const mostTogether = 100

// Keep keeps renderings that came up and stayed up, so that their stacks can go back to
// them. The stack and the revision of each must be set. The oldest of many of a stack is
// forgotten. An error means that there is no key, or no room in memory for what the disk
// does not take.
func (r *Renderings) Keep(renderings ...kargo.KeptRendering) error {
	for some := range slices.Chunk(renderings, mostTogether) {
		if err := r.add(some); err != nil {
			return wrap("keep rendering", err)
		}
	}
	for _, kept := range renderings {
		if err := r.forgetOldest(kept.Stack.Name); err != nil {
			return wrap("keep rendering", err)
		}
	}
	return nil
}

// forgetOldest forgets the oldest renderings of a stack that has too many.
func (r *Renderings) forgetOldest(stack string) error {
	if len(r.KeptDigests(stack)) <= mostKept {
		return nil
	}
	all, err := r.Kept(stack)
	for _, old := range all[min(len(all), mostKept):] {
		r.remove(r.path(stack, old.Digest))
	}
	return err
}

// add writes renderings, or keeps them in memory where the disk does not take them.
func (r *Renderings) add(renderings []kargo.KeptRendering) error {
	seal, err := r.seal()
	if err != nil {
		return err
	}
	for _, kept := range renderings {
		kept.Digest, kept.Kept = kept.Stack.Digest(), time.Now().UTC()
		data, err := json.Marshal(kept)
		if err != nil {
			return err
		}
		sealed := seal.Seal(nil, nil, data, []byte(kept.Stack.Name))
		sealed = binary.BigEndian.AppendUint32(sealed, crc32.Checksum(sealed, checksums))
		if err := r.await(r.path(kept.Stack.Name, kept.Digest), sealed); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush()
	return nil
}

// await keeps a file in memory until it is written.
func (r *Renderings) await(path string, sealed []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(path)
	if r.failure != nil && r.size+len(sealed) > maxPending {
		return r.failure
	}
	if r.pending == nil {
		r.pending = map[string][]byte{}
	}
	r.pending[path] = sealed
	r.size += len(sealed)
	return nil
}

// forget drops what is not written yet. The caller has the lock, as of the following.
func (r *Renderings) forget(path string) {
	r.size -= len(r.pending[path])
	delete(r.pending, path)
}

// flush writes what is not written yet, up to the first failure.
func (r *Renderings) flush() {
	r.failure = nil
	for paths := range slices.Chunk(slices.Sorted(maps.Keys(r.pending)), mostTogether) {
		var written int
		written, r.failure = r.write(paths)
		for _, path := range paths[:written] {
			r.forget(path)
		}
		if r.failure != nil {
			return
		}
	}
}

// newSuffix ends the name of a file until it is durable.
const newSuffix = ".new"

// write writes files that are whole after a crash, and returns how many: all before the
// first failure. All are written before any is made durable: then the first takes most of
// the others along, and these cost little. Nothing else is left, for the disk may be full.
func (r *Renderings) write(paths []string) (written int, err error) {
	var files []*os.File
	for _, path := range paths {
		var file *os.File
		if file, err = r.create(path + newSuffix); err != nil {
			break
		}
		if _, err = file.Write(r.pending[path]); err != nil {
			err = errors.Join(err, file.Close(), os.Remove(file.Name()))
			break
		}
		files = append(files, file)
	}
	var failed error
	for i, file := range files {
		if failed == nil {
			failed = file.Sync()
		}
		failed = errors.Join(failed, file.Close())
		if failed == nil {
			failed = os.Rename(file.Name(), paths[i])
		}
		if failed == nil {
			written++
		} else {
			failed = errors.Join(failed, os.Remove(file.Name()))
		}
	}
	return written, errors.Join(failed, err)
}

// create creates a file, and the directories that it needs where they are not there.
func (r *Renderings) create(path string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	file, err := os.OpenFile(path, flags, 0o600)
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return file, err
	}
	for _, dir := range []string{r.dir, filepath.Dir(path)} {
		if err := r.makeDirectory(dir); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, flags, 0o600)
}

// makeDirectory makes a directory. A file in its place is set aside.
func (r *Renderings) makeDirectory(dir string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		if err := r.setAside(dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(dir, 0o700)
}

// setAside gives a damaged file another name.
func (r *Renderings) setAside(path string) error {
	aside := fmt.Sprintf("%s.damaged-%d", path, time.Now().Unix())
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	r.damaged++
	r.aside = aside
	return nil
}

// remove removes a rendering. If that fails it is tried again when the next one is
// kept.
func (r *Renderings) remove(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(path)
	_ = os.Remove(path)
}

// trouble tries again to write what could not be written, and says what is wrong.
func (r *Renderings) trouble() (words []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		r.flush()
	}
	if r.damaged > 0 {
		words = append(words, fmt.Sprintf("kept renderings that were damaged: %d; the last one is set aside as %s", r.damaged, r.aside))
	}
	if r.failure != nil {
		words = append(words, "renderings that came up cannot be written and are kept in memory: "+r.failure.Error())
	}
	return words
}

// Rendering returns the rendering of a stack with a digest, or nil if it is not
// kept.
func (r *Renderings) Rendering(stack, digest string) (*kargo.Stack, error) {
	kept, err := r.read(stack, digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("read rendering of stack "+stack, err)
	}
	return &kept.Stack, nil
}

// Kept returns the renderings of a stack that it can go back to, the newest first.
// Those that were sealed with another key, or cannot be read, are left out. An error
// means that there is no key.
func (r *Renderings) Kept(stack string) ([]kargo.KeptRendering, error) {
	if _, err := r.seal(); err != nil {
		return nil, wrap("read renderings", err)
	}
	var all []kargo.KeptRendering
	for _, digest := range r.KeptDigests(stack) {
		if kept, err := r.read(stack, digest); err == nil {
			all = append(all, kept)
		}
	}
	slices.SortFunc(all, func(a, b kargo.KeptRendering) int { return b.Kept.Compare(a.Kept) })
	return all, nil
}

// KeptDigests returns the digests of the renderings of a stack that are there.
func (r *Renderings) KeptDigests(stack string) []string {
	dir := filepath.Dir(r.path(stack, ""))
	there := map[string]bool{}
	entries, _ := os.ReadDir(dir) // what is not there cannot be read either
	for _, entry := range entries {
		if digest, sealed := strings.CutSuffix(entry.Name(), suffix); sealed {
			there[digest] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for path := range r.pending {
		if filepath.Dir(path) == dir {
			there[strings.TrimSuffix(filepath.Base(path), suffix)] = true
		}
	}
	return slices.Sorted(maps.Keys(there))
}

// read returns a rendering that is kept. A damaged file is set aside, and is not there
// any more.
func (r *Renderings) read(stack, digest string) (kept kargo.KeptRendering, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := r.path(stack, digest)
	data, pending := r.pending[path]
	if !pending {
		if data, err = os.ReadFile(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return kept, fs.ErrNotExist
		}
	}
	seal, keyErr := r.seal()
	if keyErr != nil {
		return kept, keyErr
	}
	sealed, whole := checked(data)
	if !whole {
		sealed = data // an earlier version wrote no checksum
	}
	plain, openErr := seal.Open(nil, nil, sealed, []byte(stack))
	switch {
	case err == nil && openErr == nil:
		return kept, json.Unmarshal(plain, &kept)
	case whole:
		return kept, fmt.Errorf("it was sealed with another key: %w", openErr)
	}
	if asideErr := r.setAside(path); asideErr != nil {
		return kept, errors.Join(err, openErr, asideErr)
	}
	return kept, fs.ErrNotExist
}

// checked returns what stands before the checksum at the end of a file, and whether
// the checksum fits.
func checked(data []byte) (sealed []byte, whole bool) {
	end := len(data) - crc32.Size
	if end < 0 {
		return nil, false
	}
	return data[:end], binary.BigEndian.Uint32(data[end:]) == crc32.Checksum(data[:end], checksums)
}

// seal returns the cipher of renderings: AES-256-GCM with a random nonce, the
// stack's name authenticated along.
func (r *Renderings) seal() (cipher.AEAD, error) {
	if r.key == nil {
		return nil, errors.New("there is no key")
	}
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// path returns the path of a rendering, which is safe for any name of a stack.
func (r *Renderings) path(stack, digest string) string {
	return filepath.Join(r.dir, "kept-"+url.PathEscape(stack), digest+suffix)
}
