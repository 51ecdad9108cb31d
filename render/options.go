package render

import (
	"errors"
	"slices"
	"strings"

	"kargo"
)

// options reads the stack variables that say how a stack is treated.
func (r *renderer) options(stack string) kargo.StackOptions {
	options := kargo.DefaultStackOptions()
	for _, known := range kargo.StackVariables {
		variable := known.Suffix.Of(stack)
		value := r.ws.Env[variable]
		if known.Set == nil || value == "" {
			continue
		}
		if err := known.Set(&options, value); err != nil {
			hint := ""
			var bad *kargo.Error
			if errors.As(err, &bad) {
				hint, err = bad.Hint, bad.Err
			}
			r.fail(r.variable(variable), hint, "%s %s", variable, err)
		}
	}
	return options
}

// oneOf is the variable's value, which must be one of the words; the first one
// where it is not set.
func (r *renderer) oneOf(variable string, words ...string) string {
	value := r.ws.Env[variable]
	if value == "" {
		return words[0]
	}
	if !slices.Contains(words, value) {
		r.fail(r.variable(variable), kargo.DidYouMean(value, words), "%s is %q, not one of %s", variable, value, strings.Join(words, ", "))
	}
	return value
}
