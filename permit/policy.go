package permit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kargo"
	"kargo/spelling"
)

// Names of the policies.
const (
	// Open permits everything and warns of what Baseline refuses. It refuses
	// only names that belong to somebody else.
	Open = "open"
	// Baseline refuses access beyond a service's own containers.
	Baseline = "baseline"
	// Restricted refuses what a common web application does not need.
	Restricted = "restricted"
)

// Words that a rule can be set to, beside a list of patterns.
const (
	wordAllow = "allow"
	wordWarn  = "warn"
	wordDeny  = "deny"
)

func isWord(text string) bool { return text == wordAllow || text == wordWarn || text == wordDeny }

// Policy is what an operator permits. The zero Policy is Open.
type Policy struct {
	base     string
	settings map[string]setting // by rule, over those of the base
	// exceptions are the rules that do not hold for a service, by its name.
	exceptions map[string][]string
}

// New returns one of the three policies by its name. The error is Invalid.
func New(name string) (Policy, error) {
	names := []string{Open, Baseline, Restricted}
	if !slices.Contains(names, name) {
		return Policy{}, invalid(spelling.DidYouMean(name, names), "there is no policy %q; the policies are %s", name, strings.Join(names, ", "))
	}
	return Policy{base: name}, nil
}

// Set returns the policy with one rule changed: to "allow", "warn", "deny", or to
// what is permitted, patterns separated by blanks or commas. A list replaces what
// the policy permits under that rule; everything else is then refused. The error
// is Invalid.
func (p Policy) Set(name, value string) (Policy, error) {
	if err := checkRule(name); err != nil {
		return p, err
	}
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
	if len(words) == 0 {
		return p, invalid("", "rule %s has no value; it takes allow, warn, deny or what it permits", name)
	}
	next := setting{patterns: words}
	switch words[0] {
	case wordAllow:
		next = setting{level: allow}
	case wordWarn:
		next = setting{level: warn, patterns: p.setting(name).patterns}
	case wordDeny:
		next = setting{level: refuse}
	}
	if len(words) > 1 && slices.ContainsFunc(words, isWord) {
		return p, invalid("", "rule %s takes allow, warn or deny alone, not %q", name, value)
	}
	p.settings = maps.Clone(p.settings)
	if p.settings == nil {
		p.settings = map[string]setting{}
	}
	p.settings[name] = next
	return p, nil
}

// Except returns the policy with rules lifted for one service, which has its name
// in Swarm. The error is Invalid.
func (p Policy) Except(service string, names ...string) (Policy, error) {
	for _, name := range names {
		if err := checkRule(name); err != nil {
			return p, err
		}
	}
	p.exceptions = maps.Clone(p.exceptions)
	if p.exceptions == nil {
		p.exceptions = map[string][]string{}
	}
	p.exceptions[service] = append(slices.Clone(p.exceptions[service]), names...)
	return p, nil
}

// Rules returns the names of all rules, in the order of docs/policy.md.
func Rules() []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}

// JudgesVolumes reports whether the policy refuses volumes of others, so that it matters
// which ones exist.
func (p Policy) JudgesVolumes() bool { return p.setting(ruleExternalVolumes).level == refuse }

// generation changes whenever the policies of a name come to permit something else:
// what an earlier program found permitted is judged anew.
const generation = 4

// Digest identifies a policy: equal policies have equal digests, and the zero
// policy has none.
func (p Policy) Digest() string {
	if p.name() == Open && len(p.settings)+len(p.exceptions) == 0 {
		return ""
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%d ", generation)
	// Maps print in order of their keys.
	fmt.Fprintf(hash, "%s %v %v", p.name(), p.settings, p.exceptions)
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

func (p Policy) name() string {
	if p.base == "" {
		return Open
	}
	return p.base
}

// setting returns the policy's setting for a rule.
func (p Policy) setting(name string) setting {
	if own, ok := p.settings[name]; ok {
		return own
	}
	r, _ := findRule(name)
	switch {
	case p.base == Baseline:
		return r.baseline
	case p.base == Restricted:
		return r.restricted
	case name == ruleForeign, r.baseline.level == allow:
		return r.baseline
	case r.silent:
		return always
	}
	return setting{level: warn, patterns: r.baseline.patterns}
}

func (p Policy) excepts(service, rule string) bool {
	return slices.Contains(p.exceptions[service], rule)
}

func checkRule(name string) error {
	if _, ok := findRule(name); ok {
		return nil
	}
	return invalid(spelling.DidYouMean(name, Rules()), "there is no rule %q", name)
}

func invalid(hint, format string, args ...any) error {
	return &kargo.Error{Fault: kargo.Invalid, Hint: hint, Err: fmt.Errorf(format, args...)}
}
