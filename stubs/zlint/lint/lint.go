// Package lint has the types of settings for a linter of certificates. There is no lint.
package lint

import "errors"

// LintStatus says how much a lint found.
type LintStatus int

// Reserved is the status of a profile that wants no lint.
const Reserved LintStatus = 0

// LintResult is what one lint found.
type LintResult struct{ Status LintStatus }

// LintSource names where a lint comes from.
type LintSource string

// UnknownLintSource is the only source.
const UnknownLintSource LintSource = "Unknown"

// FromString makes it UnknownLintSource: no name is known.
func (s *LintSource) FromString(string) { *s = UnknownLintSource }

// SourceList is a list of sources.
type SourceList []LintSource

// FilterOptions say which lints are left out.
type FilterOptions struct {
	ExcludeNames   []string
	ExcludeSources SourceList
}

// Empty reports whether nothing is left out.
func (o FilterOptions) Empty() bool { return len(o.ExcludeNames)+len(o.ExcludeSources) == 0 }

// Registry is a set of lints.
type Registry interface {
	Filter(FilterOptions) (Registry, error)
}

// GlobalRegistry returns the registry without lints.
func GlobalRegistry() Registry { return none{} }

type none struct{}

func (none) Filter(FilterOptions) (Registry, error) {
	return nil, errors.New("Kargo has no linter of certificates")
}
