package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kargo"
)

// mostKept is how many renderings of a stack are kept to go back to.
const mostKept = 10

// Keep keeps a rendering that came up and stayed up, so that the stack can go back
// to it. The oldest of many is forgotten.
func (r *Renderings) Keep(stack kargo.Stack, revision kargo.RevisionID) error {
	kept := kargo.KeptRendering{Stack: stack, Revision: revision, Digest: stack.Digest(), Kept: time.Now().UTC()}
	data, err := json.Marshal(kept)
	if err != nil {
		return wrap("encode rendering", err)
	}
	seal, err := r.seal()
	if err != nil {
		return wrap("seal rendering", err)
	}
	dir := r.keptDir(stack.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return wrap("keep rendering", err)
	}
	path := filepath.Join(dir, kept.Digest+".sealed")
	next := path + ".new"
	if err := writeDurably(next, seal.Seal(nil, nil, data, []byte(stack.Name))); err != nil {
		return wrap("keep rendering", errors.Join(err, os.Remove(next)))
	}
	if err := os.Rename(next, path); err != nil {
		return wrap("keep rendering", err)
	}
	all, err := r.Kept(stack.Name)
	for _, old := range all[min(len(all), mostKept):] {
		err = errors.Join(err, os.Remove(filepath.Join(dir, old.Digest+".sealed")))
	}
	return wrap("keep rendering", err)
}

// Kept returns the renderings of a stack that it can go back to, the newest first.
// Those that were sealed with another key are left out.
func (r *Renderings) Kept(stack string) ([]kargo.KeptRendering, error) {
	entries, err := os.ReadDir(r.keptDir(stack))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("read renderings", err)
	}
	seal, err := r.seal()
	if err != nil {
		return nil, wrap("open renderings", err)
	}
	var all []kargo.KeptRendering
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".sealed" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(r.keptDir(stack), entry.Name()))
		if err != nil {
			return nil, wrap("read renderings", err)
		}
		if data, err = seal.Open(nil, nil, data, []byte(stack)); err != nil {
			continue
		}
		var kept kargo.KeptRendering
		if err := json.Unmarshal(data, &kept); err != nil {
			return nil, fmt.Errorf("read rendering of stack %s: %w", stack, err)
		}
		all = append(all, kept)
	}
	slices.SortFunc(all, func(a, b kargo.KeptRendering) int { return b.Kept.Compare(a.Kept) })
	return all, nil
}

// keptDir returns a directory that is safe for any name of a stack.
func (r *Renderings) keptDir(stack string) string {
	return filepath.Join(r.dir, "kept-"+url.PathEscape(stack))
}
