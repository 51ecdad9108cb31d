package gitsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/utils/merkletrie"
)

// Pulled is the result of a Pull.
type Pulled struct {
	Branch        string
	Before, After string           // commits; equal where there was nothing new
	Commits       []kargo.Revision // those that are new, newest first
	// Files are the changes below the directory that was named: "changed
	// deploy/app.yml".
	Files []string
}

// maxHaves is how many of our commits the remote is told, newest first, so that it
// can send only what is missing.
const maxHaves = 64

// Pull updates the work tree that contains a directory to where its branch is at
// the remote, as `git pull --ff-only` does, without running a program. The
// repository knows the remote and the branch; opts say how to reach it.
//
// Changes that are not committed, and commits that the remote does not have, are a
// Conflict error, and nothing is changed. Untracked files are kept.
func Pull(ctx context.Context, dir string, opts Options) (Pulled, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return Pulled{}, &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: dir}, Err: errors.New("is not in a git repository"), Hint: "kargo pull updates a clone: make one with git clone"}
	}
	if err != nil {
		return Pulled{}, fmt.Errorf("open the repository of %s: %w", dir, err)
	}
	p := &pull{repo: repo}
	if err := p.prepare(dir); err != nil {
		return Pulled{}, err
	}
	return p.run(ctx, opts)
}

// pull is one run of Pull.
type pull struct {
	repo   *git.Repository
	tree   *git.Worktree
	branch *plumbing.Reference
	below  string // the directory, from the root of the work tree, with a slash at its end; or ""
}

// prepare makes sure that no work can be lost.
func (p *pull) prepare(dir string) (err error) {
	if p.tree, err = p.repo.Worktree(); err != nil {
		return fmt.Errorf("open the work tree of %s: %w", dir, err)
	}
	if p.branch, err = p.repo.Head(); err != nil {
		return fmt.Errorf("read HEAD of %s: %w", dir, err)
	}
	if !p.branch.Name().IsBranch() {
		return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: dir}, Err: errors.New("no branch is checked out"), Hint: "git switch BRANCH"}
	}
	below, err := filepath.Rel(p.tree.Filesystem.Root(), dir)
	if err != nil {
		return err
	}
	if below != "." {
		p.below = filepath.ToSlash(below) + "/"
	}
	status, err := p.tree.Status()
	if err != nil {
		return fmt.Errorf("look for local changes in %s: %w", dir, err)
	}
	for name, file := range status {
		if file.Worktree != git.Unmodified && file.Worktree != git.Untracked || file.Staging != git.Unmodified && file.Staging != git.Untracked {
			return &kargo.Error{Fault: kargo.Conflict, Where: kargo.Place{File: dir}, Err: fmt.Errorf("%s was changed here and is not committed", name),
				Hint: "commit it, or put it away with git stash"}
		}
	}
	return nil
}

func (p *pull) run(ctx context.Context, opts Options) (Pulled, error) {
	remote, err := p.remote(&opts)
	if err != nil {
		return Pulled{}, err
	}
	// Open needs a directory, and nothing in it is needed afterwards.
	if opts.Dir, err = os.MkdirTemp("", "kargo-pull-"); err != nil {
		return Pulled{}, err
	}
	defer os.RemoveAll(opts.Dir)
	r, err := Open(opts)
	if err != nil {
		return Pulled{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	var found target
	err = r.talk(ctx, func(session session, theirs storer.EncodedObjectStorer) error {
		var offered *capability.List
		if found, offered, err = r.tracked.find(ctx, session); err != nil {
			return err
		}
		return p.fetch(ctx, session, offered, found, theirs)
	})
	if err != nil {
		return Pulled{}, r.remote.Explain("pull from", err, r.opts.Timeout)
	}
	data, err := readObject(p.repo.Storer, plumbing.CommitObject, found.commit)
	if err != nil {
		return Pulled{}, err
	}
	if _, _, err := r.verify(p.repo.Storer, found, data); err != nil {
		return Pulled{}, err
	}
	return p.advance(remote, found.commit)
}

// remote sets the URL and the ref of opts to those of the branch's remote, and
// returns the name of the remote.
func (p *pull) remote(opts *Options) (string, error) {
	short := p.branch.Name().Short()
	settings, err := p.repo.Config()
	if err != nil {
		return "", fmt.Errorf("read the repository's configuration: %w", err)
	}
	name, merge := git.DefaultRemoteName, p.branch.Name()
	if tracked := settings.Branches[short]; tracked != nil {
		name, merge = cmp.Or(tracked.Remote, name), cmp.Or(tracked.Merge, merge)
	}
	var remote *config.RemoteConfig
	if remote = settings.Remotes[name]; remote == nil || len(remote.URLs) == 0 {
		return "", &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("the repository has no remote %q", name), Hint: "git remote add " + name + " URL"}
	}
	opts.URL, opts.Ref, opts.Path = remote.URLs[0], merge.String(), ""
	if address, err := wire.ParseAddress(opts.URL); err == nil && address.IsLocal() && !filepath.IsAbs(opts.URL) && !strings.Contains(opts.URL, "://") {
		opts.URL = filepath.Join(p.tree.Filesystem.Root(), opts.URL)
	}
	return name, nil
}

// talk opens a session with the remote. For a local repository, it passes the
// objects of the repository, too.
func (r *Repository) talk(ctx context.Context, talk func(session, storer.EncodedObjectStorer) error) error {
	if local, isLocal := r.origin.(local); isLocal {
		return local.talk(talk)
	}
	return r.remote.Fetch(ctx, func(session *wire.Session) error { return talk(session, nil) })
}

// fetch downloads what is missing of the target's history.
func (p *pull) fetch(ctx context.Context, session session, offered *capability.List, found target, theirs storer.EncodedObjectStorer) error {
	if p.repo.Storer.HasEncodedObject(found.want) == nil {
		return nil
	}
	request := packp.NewUploadPackRequestFromCapabilities(offered)
	request.Wants = []plumbing.Hash{found.want}
	// go-git cannot negotiate with these, nor store a thin pack.
	request.Capabilities.Delete(capability.MultiACK)
	request.Capabilities.Delete(capability.MultiACKDetailed)
	request.Capabilities.Delete(capability.ThinPack)
	if offered.Supports(capability.NoProgress) {
		if err := request.Capabilities.Set(capability.NoProgress); err != nil {
			return err
		}
	}
	commits, err := p.repo.Log(&git.LogOptions{From: p.branch.Hash()})
	if err != nil {
		return err
	}
	defer commits.Close()
	for len(request.Haves) < maxHaves {
		commit, err := commits.Next()
		if err != nil {
			break // the first commit, or the end of a shallow history
		}
		if theirs == nil || theirs.HasEncodedObject(commit.Hash) == nil {
			request.Haves = append(request.Haves, commit.Hash)
		}
	}
	response, err := session.UploadPack(ctx, request)
	if err != nil {
		return err
	}
	defer response.Close()
	return packfile.UpdateObjectStorage(p.repo.Storer, unwrap(response, request.Capabilities))
}

// advance moves the branch and the work tree to a commit.
func (p *pull) advance(remote string, next plumbing.Hash) (Pulled, error) {
	pulled := Pulled{Branch: p.branch.Name().Short(), Before: p.branch.Hash().String(), After: next.String()}
	before, err := p.repo.CommitObject(p.branch.Hash())
	if err != nil {
		return Pulled{}, err
	}
	after, err := p.repo.CommitObject(next)
	if err != nil {
		return Pulled{}, err
	}
	if before.Hash == after.Hash {
		return pulled, nil
	}
	if pulled.Commits, err = newCommits(before, after); err != nil {
		return Pulled{}, err
	}
	changes, err := p.changes(before, after)
	if err != nil {
		return Pulled{}, err
	}
	if pulled.Files, err = p.checkFiles(changes); err != nil {
		return Pulled{}, err
	}
	tracking := plumbing.NewHashReference(plumbing.NewRemoteReferenceName(remote, pulled.Branch), next)
	if err := p.repo.Storer.SetReference(tracking); err != nil {
		return Pulled{}, err
	}
	// No file is modified, so only files that the commits changed are written.
	if err := p.tree.Reset(&git.ResetOptions{Mode: git.MergeReset, Commit: next}); err != nil {
		return Pulled{}, fmt.Errorf("check out %s: %w", next, err)
	}
	return pulled, nil
}

// newCommits returns the commits from before (excluded) to after. It is a Conflict
// if before is not an ancestor of after.
func newCommits(before, after *object.Commit) ([]kargo.Revision, error) {
	forward, err := before.IsAncestor(after)
	if err != nil {
		return nil, fmt.Errorf("compare histories: %w", err)
	}
	if !forward {
		message := "there are commits here that the remote does not have"
		if backward, err := after.IsAncestor(before); err == nil && !backward {
			message = "the histories here and at the remote have diverged"
		}
		return nil, &kargo.Error{Fault: kargo.Conflict, Err: errors.New(message), Hint: "push or rebase them with git"}
	}
	var commits []kargo.Revision
	seen := map[plumbing.Hash]bool{}
	err = object.NewCommitPreorderIter(after, seen, []plumbing.Hash{before.Hash}).ForEach(func(commit *object.Commit) error {
		if old, err := commit.IsAncestor(before); err == nil && old {
			return nil
		}
		subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
		commits = append(commits, kargo.Revision{
			Commit: commit.Hash.String(), Author: commit.Author.Name, Subject: subject, Time: commit.Committer.When,
		})
		return nil
	})
	return commits, err
}

func (p *pull) changes(before, after *object.Commit) (object.Changes, error) {
	was, err := before.Tree()
	if err != nil {
		return nil, err
	}
	is, err := after.Tree()
	if err != nil {
		return nil, err
	}
	return object.DiffTree(was, is)
}

// checkFiles returns the changes in words. A change that would overwrite an
// untracked file is a Conflict.
func (p *pull) checkFiles(changes object.Changes) ([]string, error) {
	words := map[merkletrie.Action]string{merkletrie.Insert: "added", merkletrie.Delete: "removed", merkletrie.Modify: "changed"}
	var files []string
	for _, change := range changes {
		action, err := change.Action()
		if err != nil {
			return nil, err
		}
		name := cmp.Or(change.To.Name, change.From.Name)
		if action == merkletrie.Insert {
			if _, err := p.tree.Filesystem.Lstat(name); err == nil {
				return nil, &kargo.Error{Fault: kargo.Conflict, Where: kargo.Place{File: name}, Err: errors.New("is not committed here, and the remote adds a file of that name"),
					Hint: "move it away"}
			}
		}
		if inside, ok := strings.CutPrefix(name, p.below); ok {
			files = append(files, words[action]+" "+inside)
		}
	}
	return files, nil
}
