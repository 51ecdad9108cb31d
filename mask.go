package kargo

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"kargo/pattern"
)

// DefaultSecretNames are the patterns (as of path.Match, upper case) of
// variables whose values are secret unless the workspace says otherwise. They are
// broad: a value that is hidden without need costs little.
var DefaultSecretNames = []string{
	"*PASS*", "*PWD*", "*AUTH*", "*TOKEN*", "*SECRET*", "*KEY", "*KEYS", "*DSN*", "*CREDENTIAL*", "*JWT*", "*APIKEY*", "*PRIVATE*",
	"*SALT", "DB_URL", "*_DB_URL", "DATABASE_URL", "*_DATABASE_URL", "*WEBHOOK*",
}

// harmlessNames are the patterns of names that DefaultSecretNames match and whose
// values are no secrets: names of people and files, addresses, times and switches.
// The variables of stacks and services are harmless, too: a stack may be named auth.
var harmlessNames = append([]string{
	"*_USER", "*_FILE", "*_PATH", "*_DIR", "*_ENABLED", "*_DISABLED", "*_TIMEOUT", "*_TTL", "*_LIFETIME", "*_EXPIRY", "*_EXPIRES", "*_LENGTH",
	"*_HOST", "*_PORT", "*_DOMAIN", "*_REALM", "*_SCOPE", "*_SCOPES", "*_IMAGE", "*_TAG", "*_VERSION", "*_MODE", "*_TYPE", "*_METHOD",
	"*_PROVIDER", "*_ALGORITHM", "*_ISSUER", "*_AUDIENCE", "*_ADDRESS", "*_DEBUG", "*_LOG_LEVEL", "*_LEVEL", "*_CLIENT_ID",
	"*AUTHOR", "*AUTHORS", "*AUTHORITY", "PASSWORDLESS*", "*_PUBLIC_KEY", "*_NETWORK", "*_REPLICAS", "PWD", "OLDPWD",
	"*COMPASS*", "*PASSENGER*", "*BYPASS*", "*PASSIVE*", "*MONKEY", "*TURKEY", "*HOTKEY", "*_PASSTHROUGH", "KARGO_SECRETS", "CREDENTIAL_SPEC",
}, variablesOfStacks()...)

// variablesOfStacks returns the patterns of the variables that Kargo reads for each
// stack, service and node.
func variablesOfStacks() []string {
	patterns := []string{"*" + string(SuffixLabels)}
	for _, variable := range StackVariables {
		patterns = append(patterns, "*"+string(variable.Suffix))
	}
	for _, variable := range ServiceVariables {
		patterns = append(patterns, "*"+string(variable.Suffix))
	}
	return patterns
}

// shortestSecret is the length in bytes of the shortest value that is hidden in
// texts. A shorter one would hide ordinary text as well, and is no real secret.
const shortestSecret = 4

// urlPassword finds the password in addresses: scheme://user:password@host.
// The user's name may be missing.
var urlPassword = pattern.Lazy(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"']*:)([^\s/"']+)@`)

// urlUser finds a user without a password in the address of a web site: mostly a token.
var urlUser = pattern.Lazy(`(https?://)([^\s/:@"'?#]+)@`)

// namedValue finds values that have a name in a text: in the query of an address, as a
// flag of a command, and as a variable before a command.
var namedValue = pattern.Lazy(`([?&;]|(?:^|[\s"'\[(])(?:--?)?)([A-Za-z][A-Za-z0-9_.-]*)(=["']?)([^\s"'&#,;\])]+)`)

// authorization finds the credential in a header of HTTP.
var authorization = pattern.Lazy(`(?i)(authorization:\s*(?:basic|bearer|token)\s+)([^\s"']+)`)

// plainWords are values that are no secrets, whatever variable has them. To hide them
// in every text would make the text unreadable.
var plainWords = []string{"true", "false", "none", "null", "basic", "auto", "enabled", "disabled", "default", "required", "optional", "admin", "root"}

func isPlainWord(text string) bool { return slices.Contains(plainWords, strings.ToLower(text)) }

// Mask replaces secret values by digests. A reader sees that a value changed,
// but not the value. The digest is keyed, so nobody can guess a value from it.
// The same value has the same digest while the key is the same. Without a key there
// is no digest. The zero Mask hides by name only. Passwords in addresses are always
// hidden.
type Mask struct {
	key      []byte
	patterns []namePattern
	names    map[string]bool // secret whatever the patterns say
	values   []string        // longest first, so that no part of one is left over
}

// NewMask hides the values of env whose names match one of the patterns
// (DefaultSecretNames if there are none), and those values wherever else they
// occur. The key is that of the digests; nil if there is none.
func NewMask(key []byte, env Environment, patterns ...string) Mask {
	return Mask{key: key, patterns: namePatterns(patterns)}.With(env)
}

// With returns a Mask that hides the values of another environment as well: a
// service may run with older values than the workspace has.
func (m Mask) With(env Environment) Mask {
	var values []string
	for name, value := range env {
		if m.secretName(name) {
			values = append(values, value)
		}
		for _, match := range urlPassword().FindAllStringSubmatch(value, -1) {
			values = append(values, match[2])
		}
	}
	return m.withValues(values)
}

// WithSecrets returns a Mask that hides what is known to be secret for other
// reasons than its name: the variables of these names, and these values.
func (m Mask) WithSecrets(env Environment, names, values []string) Mask {
	m.names = maps.Clone(m.names)
	if m.names == nil {
		m.names = map[string]bool{}
	}
	values = slices.Clone(values)
	for _, name := range names {
		m.names[EnvName(name)] = true
		values = append(values, env[name])
	}
	return m.withValues(values)
}

func (m Mask) withValues(values []string) Mask {
	var added []string
	for _, value := range values {
		if len(value) >= shortestSecret && !isPlainWord(value) && !m.hides(value) {
			added = append(added, value)
		}
	}
	if len(added) == 0 {
		return m // most services run with the values that the workspace has
	}
	m.values = append(slices.Clone(m.values), added...)
	slices.SortFunc(m.values, longestFirst)
	m.values = slices.Compact(m.values)
	return m
}

// hides reports whether a value is one of those that the mask replaces.
func (m Mask) hides(value string) bool {
	_, found := slices.BinarySearchFunc(m.values, value, longestFirst)
	return found
}

// longestFirst is the order of a mask's values.
func longestFirst(a, b string) int {
	return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
}

// Value returns the value of a variable or label as it may be shown.
func (m Mask) Value(name, value string) string {
	if value != "" && m.secretName(name) {
		return m.Digest(value)
	}
	return m.Text(value)
}

// Text returns a text in which each known secret value is replaced.
func (m Mask) Text(text string) string {
	if text == "" {
		return ""
	}
	for _, value := range m.values {
		if strings.Contains(text, value) {
			text = strings.ReplaceAll(text, value, m.Digest(value))
		}
	}
	if strings.Contains(text, "=") {
		text = namedValue().ReplaceAllStringFunc(text, m.namedValue)
	}
	text = m.second(authorization(), text, "")
	if strings.Contains(text, "://") {
		text = m.second(urlPassword(), text, "@")
		text = m.second(urlUser(), text, "@")
	}
	return text
}

// second replaces what the second group of a pattern finds. after is what the pattern
// has behind it.
func (m Mask) second(pattern *regexp.Regexp, text, after string) string {
	return pattern.ReplaceAllStringFunc(text, func(match string) string {
		parts := pattern.FindStringSubmatch(match)
		if strings.HasPrefix(parts[2], hidden) {
			return match
		}
		return parts[1] + m.Digest(parts[2]) + after
	})
}

// namedValue returns a match of namedValue, with the value hidden where its name is
// that of a secret.
func (m Mask) namedValue(match string) string {
	parts := namedValue().FindStringSubmatch(match)
	if !isSecretName(EnvName(parts[2])) || strings.HasPrefix(parts[4], hidden) {
		return match
	}
	return parts[1] + parts[2] + parts[3] + m.Digest(parts[4])
}

// After returns a text of a list, such as an argument of a command, as it may be
// shown. The text before it may be a flag whose value it is.
func (m Mask) After(before, text string) string {
	isFlag := strings.HasPrefix(before, "-") && !strings.Contains(before, "=")
	if isFlag && text != "" && !strings.HasPrefix(text, "-") && isSecretName(EnvName(strings.TrimLeft(before, "-"))) {
		return m.Digest(text)
	}
	return m.Text(text)
}

// isSecretName reports whether a name, in the form of a variable's, is usually that
// of a secret.
func isSecretName(name string) bool {
	return matchesAny(usuallySecret, name) && !matchesAny(usuallyHarmless, name)
}

var (
	usuallySecret   = namePatterns(DefaultSecretNames)
	usuallyHarmless = namePatterns(harmlessNames)
)

func (m Mask) secretName(name string) bool {
	name = EnvName(name)
	switch {
	case m.names[name]:
		return true
	case len(m.patterns) > 0:
		return matchesAny(m.patterns, name)
	}
	return isSecretName(name)
}

// namePattern is a pattern as of path.Match, in upper case. Names of variables have no
// "/". So a text with "*" at its ends only is simply looked for, which is much faster:
// each new revision compares every variable with about a hundred patterns.
type namePattern struct {
	text          string
	before, after bool   // anything may stand before or after the text
	glob          string // the whole pattern, if it is another one; else ""
}

func namePatterns(patterns []string) []namePattern {
	compiled := make([]namePattern, 0, len(patterns))
	for _, pattern := range patterns {
		compiled = append(compiled, newNamePattern(strings.ToUpper(pattern)))
	}
	return compiled
}

func newNamePattern(pattern string) namePattern {
	text, before := strings.CutPrefix(pattern, "*")
	text, after := strings.CutSuffix(text, "*")
	if strings.ContainsAny(text, `*?[\`) {
		return namePattern{glob: pattern}
	}
	return namePattern{text: text, before: before, after: after}
}

func (p namePattern) matches(name string) bool {
	switch {
	case p.glob != "":
		matched, err := path.Match(p.glob, name)
		return err == nil && matched
	case p.before && p.after:
		return strings.Contains(name, p.text)
	case p.before:
		return strings.HasSuffix(name, p.text)
	case p.after:
		return strings.HasPrefix(name, p.text)
	}
	return name == p.text
}

func matchesAny(patterns []namePattern, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern namePattern) bool { return pattern.matches(name) })
}

// hidden is how each replacement of a secret begins.
const hidden = "***"

// Digest returns the replacement of a value that is secret as a whole.
func (m Mask) Digest(value string) string {
	if len(m.key) == 0 {
		return hidden
	}
	return hidden + KeyedDigest(m.key, value)[:8]
}
