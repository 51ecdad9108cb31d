package gitsync

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// versionPrefix begins a ref that is a range of versions.
const versionPrefix = "semver:"

// tracked is what a Repository follows: Options.Ref, understood.
type tracked struct {
	asked    string                   // Options.Ref
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
		return tracked{asked: ref, versions: constraints}, nil
	}
	if ref == "" {
		return tracked{}, nil
	}
	if plumbing.IsHash(ref) {
		return tracked{asked: ref, commit: plumbing.NewHash(ref)}, nil
	}
	full := plumbing.NewBranchReferenceName(ref)
	if strings.HasPrefix(ref, "refs/") {
		full = plumbing.ReferenceName(ref)
	}
	if strings.HasPrefix(ref, "-") || full.Validate() != nil || !full.IsSafe() {
		return tracked{}, invalid("the ref is not a valid name", hint)
	}
	return tracked{asked: ref, names: fullNames(ref)}, nil
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
func (t tracked) shownAs(found target) string {
	switch {
	case t.isCommit():
		return ""
	case len(t.names) > 0:
		return t.asked
	}
	return found.name.Short()
}

func (t tracked) isCommit() bool { return !t.commit.IsZero() }

// choice picks what is tracked among the refs of a repository. It sees them one by
// one and keeps one of them, since a list may be longer than the memory.
type choice struct {
	tracked

	head    *plumbing.Hash
	found   *target
	rank    int             // of a name, among tracked.names
	version *semver.Version // of a tag
}

// see takes a ref into account.
func (c *choice) see(ref wire.Ref) {
	if ref.Name == plumbing.HEAD.String() {
		c.head = &ref.Hash
	}
	switch {
	case c.isCommit():
		c.seeCommit(ref)
	case c.versions != nil:
		c.seeVersion(ref)
	default:
		rank := slices.Index(c.names, plumbing.ReferenceName(ref.Name))
		if rank >= 0 && (c.found == nil || rank < c.rank) {
			c.take(ref)
			c.rank = rank
		}
	}
}

func (c *choice) take(ref wire.Ref) {
	c.found = &target{name: plumbing.ReferenceName(ref.Name), want: ref.Hash, commit: ref.Commit()}
}

// seeCommit looks for a ref by which a remote gives out the commit.
func (c *choice) seeCommit(ref wire.Ref) {
	if ref.Hash == c.commit || ref.Commit() == c.commit && c.found == nil {
		c.found = &target{name: plumbing.HEAD, want: ref.Hash, commit: c.commit}
	}
}

// seeVersion looks for the highest version of a range. Tags are versions if they
// have all three numbers, with or without a "v". Pre-releases count where the
// range names one (">=2.0.0-0"), which is the rule of the semver library.
func (c *choice) seeVersion(ref wire.Ref) {
	tag, isTag := strings.CutPrefix(ref.Name, "refs/tags/")
	if !isTag {
		return
	}
	version, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
	if err != nil || !c.versions.Check(version) {
		return
	}
	// v1.0.0 and 1.0.0 are the same version: the choice must not depend on the
	// order of the refs.
	if c.found == nil || version.GreaterThan(c.version) || version.Equal(c.version) && ref.Name > c.found.name.String() {
		c.take(ref)
		c.version = version
	}
}

// choose returns what was picked, when all refs were seen.
func (c *choice) choose(capabilities *capability.List) (target, error) {
	switch {
	case c.found != nil:
		return *c.found, nil
	case c.isCommit() && capabilities.Supports(capability.AllowReachableSHA1InWant):
		return target{name: plumbing.HEAD, want: c.commit, commit: c.commit}, nil
	case c.isCommit():
		return target{}, &kargo.Error{Fault: kargo.Unavailable,
			Hint: "make a tag of it, or allow it on the server: uploadpack.allowReachableSHA1InWant",
			Err:  fmt.Errorf("the server does not give out commit %s: no branch or tag is at it", c.commit)}
	case c.versions != nil:
		return target{}, &kargo.Error{Fault: kargo.Unavailable, Hint: "tags count that are versions: v1.2.3 or 1.2.3",
			Err: fmt.Errorf("no tag is a version of the range %q", strings.TrimPrefix(c.asked, versionPrefix))}
	case len(c.names) == 0:
		return c.chooseHead(capabilities)
	}
	return target{}, missingRef(c.asked)
}

func (c *choice) chooseHead(capabilities *capability.List) (target, error) {
	if c.head == nil {
		return target{}, &kargo.Error{Fault: kargo.Unavailable, Hint: "name the branch to follow",
			Err: errors.New("the remote's HEAD names a branch that does not exist")}
	}
	found := target{name: plumbing.HEAD, want: *c.head, commit: *c.head}
	for _, symref := range capabilities.Get(capability.SymRef) {
		name, isHead := strings.CutPrefix(symref, "HEAD:")
		if isHead && plumbing.ReferenceName(name).Validate() == nil && plumbing.ReferenceName(name).IsSafe() {
			found.name = plumbing.ReferenceName(name)
		}
	}
	return found, nil
}

func missingRef(ref string) error {
	return &kargo.Error{Fault: kargo.Unavailable, Hint: "was the branch renamed or deleted?",
		Err: fmt.Errorf("couldn't find remote ref %q", ref)}
}
