package merge

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	names "github.com/distribution/reference"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/spelling"
)

// images reads which variables follow the tags of which images.
func (s *settingsReader) images(node *yaml.Node) {
	s.entries(node, "images", func(variable, settings *yaml.Node) {
		name := variable.Value
		if _, known := s.ws.Env[name]; !known {
			s.fail(variable, spelling.DidYouMean(name, slices.Collect(maps.Keys(s.ws.Lines))), "images.%s is not a variable of the environment", name)
			return
		}
		rule := kargo.ImageRule{Variable: name, Where: kargo.Place{File: settingsFile, Line: variable.Line}}
		at := map[string]*yaml.Node{}
		text := func(key string, into *string) func(*yaml.Node) {
			return func(value *yaml.Node) {
				at[key] = value
				if value.Kind != yaml.ScalarNode || value.Value == "" {
					s.fail(value, "", "images.%s.%s must be a word", name, key)
				}
				*into = value.Value
			}
		}
		before := len(s.problems)
		s.mapping(settings, "images."+name, map[string]func(*yaml.Node){
			"image": text("image", &rule.Image), "semver": text("semver", &rule.Semver), "pattern": text("pattern", &rule.Pattern),
			"write": func(value *yaml.Node) {
				if value.Decode(&rule.Write) != nil {
					s.fail(value, "", "images.%s.write must be true or false", name)
				}
				at["write"] = value
			},
		})
		if len(s.problems) == before {
			s.checkRule(rule, variable, at)
		}
		if len(s.problems) == before {
			s.ws.Images = append(s.ws.Images, rule)
		}
	})
	slices.SortFunc(s.ws.Images, func(a, b kargo.ImageRule) int { return strings.Compare(a.Variable, b.Variable) })
}

// checkRule refuses a rule that no tag can ever satisfy.
func (s *settingsReader) checkRule(rule kargo.ImageRule, variable *yaml.Node, at map[string]*yaml.Node) {
	what := "images." + rule.Variable
	named, err := names.ParseNormalizedNamed(rule.Image)
	switch {
	case rule.Image == "":
		s.fail(variable, "image: redis", "%s names no image", what)
	case err != nil:
		s.fail(at["image"], "", "%s.image: %v", what, err)
	case !names.IsNameOnly(named):
		s.fail(at["image"], "the tag is what the variable holds", "%s.image: %q has a tag or a digest", what, rule.Image)
	case (rule.Semver == "") == (rule.Pattern == ""):
		s.fail(variable, `semver: ">=7 <8", or pattern: '^(\d+\.\d+)-alpine$'`, "%s needs either semver or pattern", what)
	}
	if rule.Semver != "" {
		if _, err := semver.NewConstraint(rule.Semver); err != nil {
			s.fail(at["semver"], `as in ">=7 <8", "~1.4" or "1.x"`, "%s.semver: %q is not a range of versions", what, rule.Semver)
		}
	}
	if rule.Pattern != "" {
		if _, err := regexp.Compile(rule.Pattern); err != nil {
			s.fail(at["pattern"], "", "%s.pattern: %v", what, err)
		}
	}
	if rule.Write {
		s.checkWritable(rule.Variable, at["write"])
	}
}

// checkWritable refuses a rule with a commit that Kargo could not make.
func (s *settingsReader) checkWritable(variable string, at *yaml.Node) {
	// This tests whether the line can be changed; the value does not matter.
	plain := strings.Map(func(r rune) rune {
		if special(r) {
			return -1
		}
		return r
	}, s.ws.Env[variable])
	if err := Rewrite(*s.ws, s.user, map[string][]byte{}, variable, plain); err != nil {
		s.fail(at, "Kargo rewrites the line that assigns the variable; put a plain assignment into .env, or remove write", "images.%s.write: %v", variable, err)
	}
}
