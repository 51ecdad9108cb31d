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

// Seal names the source of the key that good renderings are sealed with: they
// hold what secrets the stacks hold. It must lie elsewhere than the history.
// Renderings that an earlier version left unsealed are removed.
func (s *Store) Seal(key func() ([]byte, error)) error {
	s.sealKey = key
	unsealed, err := filepath.Glob(filepath.Join(s.good, "*.json*"))
	for _, path := range unsealed {
		err = errors.Join(err, os.Remove(path))
	}
	return wrap("remove unsealed renderings", err)
}

// KeepGood keeps a stack as the last one that came up and stayed up, in the
// place of the one before.
func (s *Store) KeepGood(stack kargo.Stack) error {
	data, err := json.Marshal(stack)
	if err != nil {
		return wrap("encode good rendering", err)
	}
	seal, err := s.seal()
	if err != nil {
		return wrap("seal good rendering", err)
	}
	data = seal.Seal(nil, nil, data, []byte(stack.Name))
	if err := os.MkdirAll(s.good, 0o700); err != nil {
		return wrap("keep good rendering", err)
	}
	path := s.goodPath(stack.Name)
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
func (s *Store) Good(stack string) (*kargo.Stack, error) {
	data, err := os.ReadFile(s.goodPath(stack))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("read good rendering", err)
	}
	seal, err := s.seal()
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
func (s *Store) seal() (cipher.AEAD, error) {
	if s.sealKey == nil {
		return nil, errors.New("there is no key")
	}
	key, err := s.sealKey()
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// goodPath is safe for any name of a stack.
func (s *Store) goodPath(stack string) string {
	return filepath.Join(s.good, url.PathEscape(stack)+".sealed")
}
