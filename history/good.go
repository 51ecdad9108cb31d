package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"kargo"
)

// KeepGood keeps a stack as the last one that came up and stayed up, in the
// place of the one before.
func (s *Store) KeepGood(stack kargo.Stack) error {
	data, err := json.Marshal(stack)
	if err != nil {
		return wrap("encode good rendering", err)
	}
	if err := os.MkdirAll(s.good, 0o700); err != nil {
		return wrap("keep good rendering", err)
	}
	path := s.goodPath(stack.Name)
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return wrap("keep good rendering", err)
	}
	return wrap("keep good rendering", os.Rename(next, path))
}

// Good is the last good rendering of a stack, or nil.
func (s *Store) Good(stack string) (*kargo.Stack, error) {
	data, err := os.ReadFile(s.goodPath(stack))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("read good rendering", err)
	}
	var good kargo.Stack
	if err := json.Unmarshal(data, &good); err != nil {
		return nil, fmt.Errorf("read good rendering of stack %s: %w", stack, err)
	}
	return &good, nil
}

// goodPath is safe for any name of a stack.
func (s *Store) goodPath(stack string) string {
	return filepath.Join(s.good, url.PathEscape(stack)+".json")
}
