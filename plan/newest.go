package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"kargo"
)

// NewestTag returns the newest of an image's tags that fit a rule, and reports
// whether it is newer than the current one. A rule never leads to an older tag.
// Tags that are equally new, such as 7 and 7.0, count as one; the current one
// stays.
//
// An error means that no tag fits, or that the rule is malformed. Merging has
// checked the latter already.
func NewestTag(rule kargo.ImageRule, current string, tags []string) (newest string, behind bool, err error) {
	fits, err := candidates(rule)
	if err != nil {
		return "", false, err
	}
	var best rank
	for _, tag := range tags {
		found, ok := fits(tag)
		if !ok {
			continue
		}
		// Of equal tags the longest is the most exact.
		order := found.compare(best)
		if newest == "" || order > 0 || order == 0 && (len(tag) > len(newest) || len(tag) == len(newest) && tag > newest) {
			newest, best = tag, found
		}
	}
	if newest == "" {
		return "", false, fmt.Errorf("none of the %d tags of %s fits %s", len(tags), rule.Image, rule.Range())
	}
	now, comparable := fits(current)
	if rule.Semver != "" && !comparable { // a version beyond the range is one all the same
		version, err := semver.NewVersion(current)
		now, comparable = rank{version: version}, err == nil
	}
	switch {
	case !comparable: // "latest": what fits is what is asked for
		return newest, current != newest, nil
	case best.compare(now) <= 0:
		return current, false, nil
	}
	return newest, true, nil
}

// candidates returns a function that reports whether a tag fits a rule, and its
// rank.
func candidates(rule kargo.ImageRule) (func(tag string) (rank, bool), error) {
	if rule.Pattern != "" {
		pattern, err := regexp.Compile(rule.Pattern)
		if err != nil {
			return nil, err
		}
		return func(tag string) (rank, bool) {
			match := pattern.FindStringSubmatch(tag)
			if match == nil {
				return rank{}, false
			}
			if len(match) > 1 {
				return rankOf(match[1]), true
			}
			return rank{text: tag}, true
		}, nil
	}
	versions, err := semver.NewConstraint(rule.Semver)
	if err != nil {
		return nil, err
	}
	return func(tag string) (rank, bool) {
		version, err := semver.NewVersion(tag)
		return rank{version: version}, err == nil && versions.Check(version)
	}, nil
}

// rank orders tags: by version, or by text, which is less than any version.
type rank struct {
	version *semver.Version
	text    string
}

func rankOf(text string) rank {
	if version, err := semver.NewVersion(text); err == nil {
		return rank{version: version}
	}
	return rank{text: text}
}

func (r rank) compare(other rank) int {
	switch {
	case r.version != nil && other.version != nil:
		return r.version.Compare(other.version)
	case r.version != nil:
		return 1
	case other.version != nil:
		return -1
	}
	return compareNaturally(r.text, other.text)
}

// compareNaturally compares runs of digits by their value, and everything else
// letter by letter.
func compareNaturally(a, b string) int {
	for a != "" && b != "" {
		partA, partB := digits(a), digits(b)
		if partA == "" || partB == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		a, b = a[len(partA):], b[len(partB):]
		partA, partB = strings.TrimLeft(partA, "0"), strings.TrimLeft(partB, "0")
		if order := cmp.Or(cmp.Compare(len(partA), len(partB)), strings.Compare(partA, partB)); order != 0 {
			return order
		}
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns the digits that a text begins with.
func digits(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}
