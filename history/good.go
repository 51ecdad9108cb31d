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

	"kargo"
)

// Renderings are the last good renderings of stacks: a sealed file for each, in a
// directory beside the history. Unlike the history they need the disk: what
// cannot be read or written is an error.
type Renderings struct {
	dir string
	key func() ([]byte, error) // see Seal
}

// Seal sets the source of the key that renderings are sealed with. They hold the
// secrets that the stacks hold, so the key must lie elsewhere than the history.
// It is asked for at each use. Renderings that an earlier version left unsealed
// are removed.
func (r *Renderings) Seal(key func() ([]byte, error)) error {
	r.key = key
	unsealed, err := filepath.Glob(filepath.Join(r.dir, "*.json*"))
	for _, path := range unsealed {
		err = errors.Join(err, os.Remove(path))
	}
	return wrap("remove unsealed renderings", err)
}

// KeepGood keeps a stack as the last one that came up and stayed up, in the
// place of the one before.
func (r *Renderings) KeepGood(stack kargo.Stack) error {
	data, err := json.Marshal(stack)
	if err != nil {
		return wrap("encode good rendering", err)
	}
	seal, err := r.seal()
	if err != nil {
		return wrap("seal good rendering", err)
	}
	data = seal.Seal(nil, nil, data, []byte(stack.Name))
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return wrap("keep good rendering", err)
	}
	path := r.path(stack.Name)
	next := path + ".new"
	if err := writeDurably(next, data); err != nil {
		return wrap("keep good rendering", errors.Join(err, os.Remove(next)))
	}
	return wrap("keep good rendering", os.Rename(next, path))
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

// Good returns the last good rendering of a stack, or nil.
func (r *Renderings) Good(stack string) (*kargo.Stack, error) {
	data, err := os.ReadFile(r.path(stack))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("read good rendering", err)
	}
	seal, err := r.seal()
	if err != nil {
		return nil, wrap("open good rendering", err)
	}
	if data, err = seal.Open(nil, nil, data, []byte(stack)); err != nil {
		return nil, fmt.Errorf("open good rendering of stack %s: it was sealed with another key: %w", stack, err)
	}
	var good kargo.Stack
	if err := json.Unmarshal(data, &good); err != nil {
		return nil, fmt.Errorf("read good rendering of stack %s: %w", stack, err)
	}
	return &good, nil
}

// seal returns the cipher of good renderings: AES-256-GCM with a random nonce, the
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

// path returns a path that is safe for any name of a stack.
func (r *Renderings) path(stack string) string {
	return filepath.Join(r.dir, url.PathEscape(stack)+".sealed")
}
