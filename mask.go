package kargo

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// DefaultSecretNames are the patterns (as of path.Match, upper case) of
// variables whose values are secret unless the workspace says otherwise.
var DefaultSecretNames = []string{
	"*_PASSWORD", "*_PASSWD", "*_TOKEN", "*_SECRET", "*_SECRET_*", "*_KEY", "*_CREDENTIALS",
	"PASSWORD", "TOKEN", "SECRET", "DB_URL", "*_DB_URL", "*_WEBHOOK_URL",
}

// shortestSecret is the length in bytes of the shortest value that is hidden in
// texts. A shorter one would hide ordinary text as well, and is no real secret.
const shortestSecret = 4

// urlPassword finds the password in addresses: scheme://user:password@host.
// The user's name may be missing.
var urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"']*:)([^\s/"']+)@`)

// Mask replaces secret values by digests. A reader sees that a value changed,
// but not the value. The digest is keyed, so nobody can guess a value from it.
// The same value has the same digest while the key is the same. The zero Mask
// hides by name only, with an empty key. Passwords in addresses are always
// hidden.
type Mask struct {
	key      []byte
	patterns []string
	names    map[string]bool // secret whatever the patterns say
	values   []string        // longest first, so that no part of one is left over
	blank    bool            // no digests
}

// NewMask hides the values of env whose names match one of the patterns
// (DefaultSecretNames if there are none), and those values wherever else they
// occur.
func NewMask(key []byte, env Environment, patterns ...string) Mask {
	return Mask{key: key, patterns: patterns}.With(env)
}

// With returns a Mask that hides the values of another environment as well: a
// service may run with older values than the workspace has.
func (m Mask) With(env Environment) Mask {
	var values []string
	for name, value := range env {
		if m.secretName(name) {
			values = append(values, value)
		}
		for _, match := range urlPassword.FindAllStringSubmatch(value, -1) {
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
	m.values = slices.Clone(m.values)
	for _, value := range values {
		if len(value) >= shortestSecret {
			m.values = append(m.values, value)
		}
	}
	slices.SortFunc(m.values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	m.values = slices.Compact(m.values)
	return m
}

// Blanked returns a Mask that hides the same without digests. It is for use
// without a key: from a digest without a key, a value could be guessed.
func (m Mask) Blanked() Mask {
	m.blank = true
	return m
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
	for _, value := range m.values {
		if strings.Contains(text, value) {
			text = strings.ReplaceAll(text, value, m.Digest(value))
		}
	}
	if !strings.Contains(text, "://") {
		return text
	}
	return urlPassword.ReplaceAllStringFunc(text, func(match string) string {
		parts := urlPassword.FindStringSubmatch(match)
		if strings.HasPrefix(parts[2], hidden) {
			return match
		}
		return parts[1] + m.Digest(parts[2]) + "@"
	})
}

func (m Mask) secretName(name string) bool {
	patterns := m.patterns
	if len(patterns) == 0 {
		patterns = DefaultSecretNames
	}
	name = EnvName(name)
	return m.names[name] || slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, err := path.Match(strings.ToUpper(pattern), name)
		return err == nil && matched
	})
}

// hidden is how each replacement of a secret begins.
const hidden = "***"

// Digest returns the replacement of a value that is secret as a whole.
func (m Mask) Digest(value string) string {
	if m.blank {
		return hidden
	}
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte(value))
	return hidden + hex.EncodeToString(mac.Sum(nil))[:8]
}
