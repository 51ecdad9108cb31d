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

// versionPrefix is the start of a ref that is a range of versions.
const versionPrefix = "semver:"

// tracked is the ref that a Repository follows: Options.Ref, parsed.
type tracked struct {
	asked    string                   // Options.Ref
	names    []plumbing.ReferenceName // in order of preference; none means the remote's HEAD
	versions *semver.Constraints      // of which the highest tag is followed
	commit   plumbing.Hash            // a fixed one
}

// target is what a ref points to.
type target struct {
	name   plumbing.ReferenceName // the full name; HEAD if it is detached, or if no ref names the commit
	want   plumbing.Hash          // the object to request: of an annotated tag, the tag object
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

// fullNames returns the refs that a short name may mean, in order of preference. As
// with `git clone -b`, a branch comes before a tag.
func fullNames(ref string) []plumbing.ReferenceName {
	if strings.HasPrefix(ref, "refs/") {
		return []plumbing.ReferenceName{plumbing.ReferenceName(ref)}
	}
	return []plumbing.ReferenceName{plumbing.NewBranchReferenceName(ref), plumbing.NewTagReferenceName(ref)}
}

// shownAs returns the ref of a revision as people know it: the name that was asked
// for, or else the name that was found. A fixed commit needs no other name.
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

// choice finds the tracked ref among the refs of a repository. It sees them one by
// one and keeps one of them, because a list may be longer than the memory.
type choice struct {
	tracked

	head    *plumbing.Hash
	found   *target
	rank    int             // of a name, among tracked.names
	version *semver.Version // of a tag
}

// see considers a ref.
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

// seeCommit looks for a ref through which a remote provides the commit.
func (c *choice) seeCommit(ref wire.Ref) {
	if ref.Hash == c.commit || ref.Commit() == c.commit && c.found == nil {
		c.found = &target{name: plumbing.HEAD, want: ref.Hash, commit: c.commit}
	}
}

// seeVersion looks for the highest version of a range. A tag is a version if it has
// all three numbers, with or without a "v". Pre-releases count where the range
// names one (">=2.0.0-0"): this is the rule of the semver library.
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

// choose returns the tracked ref, after all refs were seen.
func (c *choice) choose(capabilities *capability.List) (target, error) {
	switch {
	case c.found != nil:
		return *c.found, nil
	case c.isCommit() && capabilities.Supports(capability.AllowReachableSHA1InWant):
		return target{name: plumbing.HEAD, want: c.commit, commit: c.commit}, nil
	case c.isCommit():
		return target{}, &kargo.Error{Fault: kargo.Unavailable,
			Hint: "tag it, or set uploadpack.allowReachableSHA1InWant on the server",
			Err:  fmt.Errorf("the server does not provide commit %s: no branch or tag points to it", c.commit)}
	case c.versions != nil:
		return target{}, &kargo.Error{Fault: kargo.Unavailable, Hint: "only tags such as v1.2.3 and 1.2.3 are versions",
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
		Err: fmt.Errorf("the remote has no ref %q", ref)}
}
