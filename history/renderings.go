package history

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kargo"
)

// mostKept is how many renderings of a stack are kept to go back to.
const mostKept = 10

// suffix is that of the file of a rendering.
const suffix = ".sealed"

// Renderings are the renderings of stacks that came up and stayed up: a sealed file
// for each, in a directory of its stack beside the history. Unlike the history they
// need the disk: what cannot be read or written is an error.
type Renderings struct {
	dir string
	key func() ([]byte, error) // see Seal
}

// Seal sets the source of the key that renderings are sealed with. They hold the
// secrets that the stacks hold, so the key must lie elsewhere than the history.
// It is asked for at each use. Renderings in the form of earlier versions are
// removed: some of them were not sealed.
func (r *Renderings) Seal(key func() ([]byte, error)) error {
	r.key = key
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

// Keep keeps a rendering that came up and stayed up, so that the stack can go back
// to it. The oldest of many is forgotten.
func (r *Renderings) Keep(stack kargo.Stack, revision kargo.RevisionID) error {
	kept := kargo.KeptRendering{Stack: stack, Revision: revision, Digest: stack.Digest(), Kept: time.Now().UTC()}
	if err := r.write(kept); err != nil {
		return wrap("keep rendering", err)
	}
	all, err := r.Kept(stack.Name)
	for _, old := range all[min(len(all), mostKept):] {
		err = errors.Join(err, os.Remove(r.path(stack.Name, old.Digest)))
	}
	return wrap("keep rendering", err)
}

func (r *Renderings) write(kept kargo.KeptRendering) error {
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	seal, err := r.seal()
	if err != nil {
		return err
	}
	path := r.path(kept.Stack.Name, kept.Digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	next := path + ".new"
	if err := writeDurably(next, seal.Seal(nil, nil, data, []byte(kept.Stack.Name))); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return os.Rename(next, path)
}

// writeDurably writes a file that is whole after a crash once it was renamed.
func writeDurably(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
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
// Those that were sealed with another key are left out.
func (r *Renderings) Kept(stack string) ([]kargo.KeptRendering, error) {
	entries, err := os.ReadDir(filepath.Dir(r.path(stack, "")))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, wrap("read renderings", err)
	}
	var all []kargo.KeptRendering
	for _, entry := range entries {
		digest, sealed := strings.CutSuffix(entry.Name(), suffix)
		if !sealed {
			continue
		}
		kept, err := r.read(stack, digest)
		switch {
		case errors.Is(err, errOtherKey):
		case err != nil:
			return nil, wrap("read renderings of stack "+stack, err)
		default:
			all = append(all, kept)
		}
	}
	slices.SortFunc(all, func(a, b kargo.KeptRendering) int { return b.Kept.Compare(a.Kept) })
	return all, nil
}

// errOtherKey is the error of a rendering that cannot be opened with the key: it was
// sealed with another one, or for another stack, or it was changed.
var errOtherKey = errors.New("it was sealed with another key")

func (r *Renderings) read(stack, digest string) (kept kargo.KeptRendering, err error) {
	data, err := os.ReadFile(r.path(stack, digest))
	if err != nil {
		return kept, err
	}
	seal, err := r.seal()
	if err != nil {
		return kept, err
	}
	if data, err = seal.Open(nil, nil, data, []byte(stack)); err != nil {
		return kept, fmt.Errorf("%w: %w", errOtherKey, err)
	}
	return kept, json.Unmarshal(data, &kept)
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
