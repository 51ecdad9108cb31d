package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kargo"
	"kargo/plan"
)

func TestNewestTag(t *testing.T) {
	semver := func(rule string) kargo.ImageRule { return kargo.ImageRule{Image: "redis", Semver: rule} }
	pattern := func(rule string) kargo.ImageRule { return kargo.ImageRule{Image: "redis", Pattern: rule} }
	for _, c := range []struct {
		name          string
		rule          kargo.ImageRule
		current, tags string
		want          string // the newest, "behind" if it is newer, or the error
	}{
		{"a range", semver(">=7 <8"), "7.0", "6.2 7.0 7.2 7.10 8.0 latest", "7.10 behind"},
		{"nothing newer", semver(">=7 <8"), "7.10", "7.0 7.10 8.0", "7.10"},
		{"beyond the range already", semver("<8"), "8.1", "7.0 7.2", "8.1"},
		{"equal versions are no news", semver("7.x"), "7.2", "7 7.2 7.2.0", "7.2"},
		{"of equals the most exact", semver("7.x"), "7.1", "7 7.2 7.2.0", "7.2.0 behind"},
		{"a v in front", semver("^1.2"), "v1.2.3", "v1.2.3 v1.3.0", "v1.3.0 behind"},
		{"no pre-releases unless asked for", semver(">=1"), "1.0.0", "1.0.0 1.1.0-rc.1 1.1.0-alpine", "1.0.0"},
		{"pre-releases that are asked for", semver(">=1.0.0-0"), "1.0.0", "1.0.0 1.1.0-rc.2 1.1.0-rc.10", "1.1.0-rc.10 behind"},
		{"a tag that is no version", semver("7.x"), "latest", "7.0 7.2 latest", "7.2 behind"},
		{"none fits", semver(">=9"), "7.0", "7.0 8.0", `none of the 2 tags of redis fits semver ">=9"`},
		{"no tags at all", semver(">=9"), "7.0", "", `none of the 0 tags of redis fits semver ">=9"`},
		{"no range", semver("seven"), "7.0", "7.0", `improper constraint: "seven"`},

		{"a group is compared as a version", pattern(`^(\d+\.\d+)-alpine$`), "7.2-alpine", "7.2-alpine 7.10-alpine 7.11 8.0-bookworm", "7.10-alpine behind"},
		{"a release after its candidates", pattern(`^v(.+)$`), "v1.0.0-rc1", "v1.0.0-rc1 v1.0.0 v1.0.0-rc2", "v1.0.0 behind"},
		{"a group that is a version beats one that is none", pattern(`^r-(.*)$`), "r-x9", "r-x9 r-1.0", "r-1.0 behind"},
		{"without a group in natural order", pattern(`^20\d\d-`), "2024-9", "2024-9 2024-10 2023-12 nightly", "2024-10 behind"},
		{"long numbers", pattern(`^build-\d+$`), "build-99999999999999999999", "build-99999999999999999999 build-100000000000000000000", "build-100000000000000000000 behind"},
		{"the current one is another flavour", pattern(`^(.+)-alpine$`), "7.2", "7.2 7.2-alpine", "7.2-alpine behind"},
		{"no pattern", pattern(`(`), "7", "7", "error parsing regexp: missing closing ): `(`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			newest, behind, err := plan.NewestTag(c.rule, c.current, strings.Fields(c.tags))
			got := newest
			if behind {
				got += " behind"
			}
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// The order in which a registry lists its tags has no effect, a tag that was chosen
// is chosen again, and no tag is older than the current one.
func TestNewestTagIsSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.SliceOfN(rapid.StringMatching(`v?[0-9]{1,2}(\.0?[0-9]){0,2}(-[a-z][0-9])?`), 1, 8).Draw(t, "tags")
		rule := rapid.SampledFrom([]kargo.ImageRule{
			{Image: "i", Semver: ">=0.0.0-0"}, {Image: "i", Semver: "*"}, {Image: "i", Pattern: "."}, {Image: "i", Pattern: `^v?(.*)$`},
		}).Draw(t, "rule")
		current := rapid.SampledFrom(tags).Draw(t, "current")
		answer := func(current string, tags []string) string {
			newest, behind, err := plan.NewestTag(rule, current, tags)
			return fmt.Sprint(newest, behind, err)
		}
		first := answer(current, tags)
		if again := answer(current, rapid.Permutation(tags).Draw(t, "other order")); again != first {
			t.Fatalf("in another order: %s, %s", first, again)
		}
		newest, _, err := plan.NewestTag(rule, current, tags)
		if err != nil {
			return
		}
		if !slices.Contains(tags, newest) {
			t.Fatalf("%s was never listed", newest)
		}
		if next, behind, err := plan.NewestTag(rule, newest, tags); next != newest || behind || err != nil {
			t.Fatalf("%s is the newest, and then %s is (%v, %v)", newest, next, behind, err)
		}
	})
}
