package gitsync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"kargo"
	"kargo/gitsync/signature"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

const (
	// mostSubmodules is how many submodules one commit may have, because each is a
	// fetch.
	mostSubmodules = 32
	// longestModulesFile bounds .gitmodules in bytes; it is read before the files
	// are checked.
	longestModulesFile = 1 << 20
	// keepOfSubmodule is how many commits of a submodule stay on disk. It is larger
	// than for the main repository because they are not protected.
	keepOfSubmodule = 20
)

// submodules fetches the submodules of one commit from the hosts that the operator
// allows.
type submodules struct {
	ctx     context.Context
	main    *Repository
	objects storer.EncodedObjectStorer
	root    plumbing.Hash // of the whole commit
	fetched int
	urls    map[string]string // by path from the root; read at the first use
}

// submodule is the directory that a gitlink points to.
type submodule struct {
	objects storer.EncodedObjectStorer
	tree    plumbing.Hash
}

// errNotAllowed is the error of a submodule on a host that is not allowed. It
// matters only inside the workspace's folders.
var errNotAllowed = errors.New("the submodule is not fetched")

// open returns the content of a submodule. An error is errNotAllowed, Invalid, or
// that of the fetch.
func (s *submodules) open(where string, commit plumbing.Hash) (*submodule, error) {
	if s == nil || len(s.main.opts.SubmoduleHosts) == 0 || s.main.opts.Dir == "" {
		return nil, errNotAllowed
	}
	if s.urls == nil {
		if err := s.readURLs(); err != nil {
			return nil, err
		}
	}
	address, known := s.urls[path.Join(s.main.opts.Path, where)]
	if !known {
		return nil, refusal(where, errors.New("the submodule is not in .gitmodules"))
	}
	repository, err := s.repository(address, commit)
	var wrong *kargo.Error
	if errors.As(err, &wrong) {
		return nil, &kargo.Error{Fault: wrong.Fault, Where: kargo.Place{File: where}, Hint: wrong.Hint, Err: fmt.Errorf("fetch submodule: %w", wrong.Err)}
	}
	if err != nil {
		return nil, err
	}
	if s.fetched++; s.fetched > mostSubmodules {
		return nil, tooMuch("more than %d submodules", mostSubmodules)
	}
	found, err := repository.content(s.ctx, commit)
	if err != nil {
		return nil, repository.remote.Explain("fetch submodule "+where+" from", err, repository.opts.Timeout)
	}
	return found, nil
}

// readURLs reads .gitmodules of the commit.
func (s *submodules) readURLs() error {
	s.urls = map[string]string{}
	listing, err := readListing(s.objects, s.root, ".")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(listing.Entries, func(e object.TreeEntry) bool { return e.Name == ".gitmodules" })
	if i < 0 || listing.Entries[i].Mode == filemode.Symlink || !listing.Entries[i].Mode.IsFile() {
		return nil
	}
	hash := listing.Entries[i].Hash
	if size, err := s.objects.EncodedObjectSize(hash); err != nil || size > longestModulesFile {
		return errors.Join(err, refusal(".gitmodules", fmt.Errorf("the file has %d bytes, the limit is %d", size, longestModulesFile)))
	}
	data, err := readObject(s.objects, plumbing.BlobObject, hash)
	if err != nil {
		return err
	}
	modules := config.NewModules()
	if err := modules.Unmarshal(data); err != nil {
		return refusal(".gitmodules", errors.New(kargo.PrintableLine(err.Error())))
	}
	for _, module := range modules.Submodules {
		s.urls[module.Path] = module.URL
	}
	return nil
}

// repository opens the repository at an address of .gitmodules, if its host is
// allowed. It gets the credentials of the main repository only on the same host.
func (s *submodules) repository(address string, commit plumbing.Hash) (*Repository, error) {
	if strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../") {
		address = s.main.address.Relative(address)
	}
	parsed, err := wire.ParseAddress(address)
	if err != nil || !parsed.IsEncrypted() || !parsed.IsOn(s.main.opts.SubmoduleHosts) {
		return nil, errNotAllowed
	}
	opts := s.main.opts
	if !parsed.SameHost(s.main.address) {
		opts.Access = opts.Access.WithoutCredentials()
	}
	digest := sha256.Sum256([]byte(parsed.String()))
	opts.URL, opts.Ref, opts.Path, opts.Keep = address, commit.String(), "", keepOfSubmodule
	opts.Dir = filepath.Join(s.main.opts.Dir, "submodules", hex.EncodeToString(digest[:8]))
	// The signature covers the main commit, which names the submodule's commit by
	// its hash.
	opts.Signatures = signature.Rules{}
	opts.SubmoduleHosts, opts.History = nil, false
	return Open(opts)
}

// content fetches a commit, unless it is on disk, and returns what it holds.
func (r *Repository) content(ctx context.Context, hash plumbing.Hash) (*submodule, error) {
	objects, data, err := r.commitOf(ctx, hash)
	if err != nil && ctx.Err() == nil && !errors.As(err, new(*kargo.Error)) { // it may be damaged
		if again, discardErr := r.origin.discard(hash); !again || discardErr != nil {
			return nil, errors.Join(err, discardErr)
		}
		objects, data, err = r.commitOf(ctx, hash)
	}
	if err != nil {
		return nil, err
	}
	decoded := &object.Commit{}
	if err := decoded.Decode(encoded(plumbing.CommitObject, data)); err != nil {
		return nil, err
	}
	return &submodule{discardOnDamage(objects, func() { _, _ = r.origin.discard(hash) }), decoded.TreeHash}, nil
}

// commitOf fetches a commit, unless it is on disk, and returns it as it is encoded.
func (r *Repository) commitOf(ctx context.Context, hash plumbing.Hash) (storer.EncodedObjectStorer, []byte, error) {
	objects, _, err := r.origin.get(ctx, hash, target{})
	if err != nil {
		return nil, nil, err
	}
	data, err := readObject(objects, plumbing.CommitObject, hash)
	return objects, data, err
}

// notFetched returns the error of a submodule inside the workspace's folders
// that is not fetched.
func notFetched(where string) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: where}, Err: errNotAllowed,
		Hint: "commit the files themselves, or ask the operator to allow its host with --submodule-hosts"}
}
