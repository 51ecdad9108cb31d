package kargo

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"
)

// DefaultSecretNames are the patterns (as of path.Match, upper case) of
// variables whose values are secret unless the workspace says otherwise.
var DefaultSecretNames = []string{
	"*_PASSWORD", "*_PASSWD", "*_TOKEN", "*_SECRET", "*_SECRET_*", "*_KEY", "*_CREDENTIALS",
	"PASSWORD", "TOKEN", "SECRET", "DB_URL", "*_DB_URL", "*_WEBHOOK_URL",
}

// Mask replaces secret values by digests, so that one sees *that* a value
// changed and not what it is. The digest is keyed: it cannot be guessed from
// outside, and the same value has the same digest as long as the key lives.
// The zero Mask hides by name only, with an empty key.
type Mask struct {
	key    []byte
	names  []string
	values []string // longest first, so that no part of one is left over
}

// NewMask hides the values of env whose names match one of the patterns
// (DefaultSecretNames if there are none), and those values wherever else they
// occur.
func NewMask(key []byte, env Environment, patterns ...string) Mask {
	return Mask{key: key, names: patterns}.With(env)
}

// With hides the values of another environment as well: those that a service
// runs with may be older than the workspace's.
func (m Mask) With(env Environment) Mask {
	m.values = slices.Clone(m.values)
	for name, value := range env {
		// A shorter value would blot out innocent text and cannot be a secret
		// worth the name.
		if len(value) >= 4 && m.secretName(name) {
			m.values = append(m.values, value)
		}
	}
	slices.SortFunc(m.values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	m.values = slices.Compact(m.values)
	return m
}

// Value is the value of a named variable or label as it may be shown.
func (m Mask) Value(name, value string) string {
	if value != "" && m.secretName(name) {
		return m.Digest(value)
	}
	return m.Text(value)
}

// Text is any text with every known secret value replaced.
func (m Mask) Text(text string) string {
	for _, value := range m.values {
		if strings.Contains(text, value) {
			text = strings.ReplaceAll(text, value, m.Digest(value))
		}
	}
	return text
}

func (m Mask) secretName(name string) bool {
	patterns := m.names
	if len(patterns) == 0 {
		patterns = DefaultSecretNames
	}
	name = EnvName(name)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, err := path.Match(pattern, name)
		return err == nil && matched
	})
}

// Digest stands for a value that is secret as a whole.
func (m Mask) Digest(value string) string {
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte(value))
	return "***" + hex.EncodeToString(mac.Sum(nil))[:8]
}
