package gitsync

import (
	"errors"
	"fmt"
	"strings"

	"kargo"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// versionPrefix begins a ref that is a range of versions.
const versionPrefix = "semver:"

// tracked is what a Repository follows: Options.Ref, understood.
type tracked struct {
	names    []plumbing.ReferenceName // best first; none means the remote's HEAD
	versions *semver.Constraints      // the highest tag within
	commit   plumbing.Hash            // this one, for ever
}

// target is what a ref stands for.
type target struct {
	name   plumbing.ReferenceName // the full name; HEAD if that is detached, or nothing names the commit
	want   plumbing.Hash          // what to ask for: the tag object of an annotated tag
	commit plumbing.Hash
}

// parseRef accepts a short name or a full one by git's rules, a range of
// versions, or the full hash of a commit.
func parseRef(ref string) (tracked, error) {
	const hint = "give a branch, a tag, a full name such as refs/heads/main, a range such as \"semver:>=1.2 <2\" or the full hash of a commit; empty means the remote's HEAD"
	if versions, isRange := strings.CutPrefix(ref, versionPrefix); isRange {
		constraints, err := semver.NewConstraint(versions)
		if err != nil {
			return tracked{}, invalid("the ref is not a range of versions", "write \"semver:>=1.2 <2\", \"semver:~1.4\" or \"semver:1.x\"")
		}
		return tracked{versions: constraints}, nil
	}
	if ref == "" {
		return tracked{}, nil
	}
	if plumbing.IsHash(ref) {
		return tracked{commit: plumbing.NewHash(ref)}, nil
	}
	full := plumbing.NewBranchReferenceName(ref)
	if strings.HasPrefix(ref, "refs/") {
		full = plumbing.ReferenceName(ref)
	}
	if strings.HasPrefix(ref, "-") || full.Validate() != nil || !full.IsSafe() {
		return tracked{}, invalid("the ref is not a valid name", hint)
	}
	return tracked{names: fullNames(ref)}, nil
}

// fullNames are what a ref may stand for, best first: as for `git clone -b`, a
// branch comes before a tag.
func fullNames(ref string) []plumbing.ReferenceName {
	if strings.HasPrefix(ref, "refs/") {
		return []plumbing.ReferenceName{plumbing.ReferenceName(ref)}
	}
	return []plumbing.ReferenceName{plumbing.NewBranchReferenceName(ref), plumbing.NewTagReferenceName(ref)}
}

// shownAs is the ref of a revision: as it was asked for, if that is a name;
// else as it was found. A fixed commit needs no other name.
func (t tracked) shownAs(asked string, found target) string {
	switch {
	case t.isCommit():
		return ""
	case len(t.names) > 0:
		return asked
	}
	return found.name.Short()
}

func (t tracked) isCommit() bool { return !t.commit.IsZero() }

// choose picks what is tracked among the refs that a remote has.
func (t tracked) choose(asked string, refs *packp.AdvRefs) (target, error) {
	switch {
	case t.isCommit():
		return chooseCommit(t.commit, refs)
	case t.versions != nil:
		return chooseVersion(t.versions, asked, refs)
	case len(t.names) == 0:
		return chooseHead(refs)
	}
	for _, name := range t.names {
		if hash, exists := refs.References[name.String()]; exists {
			return targetOf(name, hash, refs), nil
		}
	}
	return target{}, missingRef(asked)
}

func targetOf(name plumbing.ReferenceName, hash plumbing.Hash, refs *packp.AdvRefs) target {
	found := target{name: name, want: hash, commit: hash}
	if peeled, annotated := refs.Peeled[name.String()]; annotated {
		found.commit = peeled
	}
	return found
}

func chooseHead(refs *packp.AdvRefs) (target, error) {
	if refs.Head == nil {
		return target{}, &kargo.Error{Fault: kargo.Unavailable, Hint: "name the branch to follow",
			Err: errors.New("the remote's HEAD names a branch that does not exist")}
	}
	found := target{name: plumbing.HEAD, want: *refs.Head, commit: *refs.Head}
	for _, symref := range refs.Capabilities.Get(capability.SymRef) {
		name, isHead := strings.CutPrefix(symref, "HEAD:")
		if isHead && plumbing.ReferenceName(name).Validate() == nil && plumbing.ReferenceName(name).IsSafe() {
			found.name = plumbing.ReferenceName(name)
		}
	}
	return found, nil
}

// chooseVersion takes the highest version of a range. Tags are versions if they
// have all three numbers, with or without a "v". Pre-releases count where the
// range names one (">=2.0.0-0"), which is the rule of the semver library.
func chooseVersion(versions *semver.Constraints, asked string, refs *packp.AdvRefs) (target, error) {
	var best *semver.Version
	var found target
	for name, hash := range refs.References {
		tag, isTag := strings.CutPrefix(name, "refs/tags/")
		if !isTag {
			continue
		}
		version, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
		if err != nil || !versions.Check(version) {
			continue
		}
		// v1.0.0 and 1.0.0 are the same version: the choice must not depend on
		// the order of a map.
		if best == nil || version.GreaterThan(best) || version.Equal(best) && name > found.name.String() {
			best, found = version, targetOf(plumbing.ReferenceName(name), hash, refs)
		}
	}
	if best == nil {
		return target{}, &kargo.Error{Fault: kargo.Unavailable, Hint: "tags count that are versions: v1.2.3 or 1.2.3",
			Err: fmt.Errorf("no tag is a version of the range %q", strings.TrimPrefix(asked, versionPrefix))}
	}
	return found, nil
}

// chooseCommit tells whether and how a remote gives out one commit: servers
// give what a ref names, and more only if they say so.
func chooseCommit(commit plumbing.Hash, refs *packp.AdvRefs) (target, error) {
	found := target{name: plumbing.HEAD, want: commit, commit: commit}
	for name, hash := range refs.References {
		if hash == commit {
			return found, nil
		}
		if refs.Peeled[name] == commit {
			found.want = hash
			return found, nil
		}
	}
	if refs.Head != nil && *refs.Head == commit || refs.Capabilities.Supports(capability.AllowReachableSHA1InWant) {
		return found, nil
	}
	return target{}, &kargo.Error{Fault: kargo.Unavailable,
		Hint: "make a tag of it, or allow it on the server: uploadpack.allowReachableSHA1InWant",
		Err:  fmt.Errorf("the server does not give out commit %s: no branch or tag is at it", commit)}
}

func missingRef(ref string) error {
	return &kargo.Error{Fault: kargo.Unavailable, Hint: "was the branch renamed or deleted?",
		Err: fmt.Errorf("couldn't find remote ref %q", ref)}
}

// localRefs are the refs of a local repository in the form in which a remote
// lists its own.
func localRefs(r *git.Repository) (*packp.AdvRefs, error) {
	refs := packp.NewAdvRefs()
	all, err := r.References()
	if err != nil {
		return nil, err
	}
	err = all.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() != plumbing.HashReference {
			return nil
		}
		commit, err := peel(r.Storer, ref.Hash())
		if err != nil {
			return nil // a broken ref that nobody may have asked for
		}
		refs.References[ref.Name().String()] = ref.Hash()
		if commit != ref.Hash() {
			refs.Peeled[ref.Name().String()] = commit
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	head, err := r.Reference(plumbing.HEAD, false)
	if err != nil {
		return nil, err
	}
	if head.Type() == plumbing.SymbolicReference {
		if err := refs.Capabilities.Add(capability.SymRef, "HEAD:"+head.Target().String()); err != nil {
			return nil, err
		}
	}
	if at, err := r.Reference(plumbing.HEAD, true); err == nil {
		hash := at.Hash()
		refs.Head = &hash
	}
	// Everything is at hand here.
	return refs, refs.Capabilities.Set(capability.AllowReachableSHA1InWant)
}
