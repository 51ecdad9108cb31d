// Package pattern has regular expressions that cost nothing until they are used. The
// program has a hundred, and a process that reads one revision uses a few of them:
// compiling all at its start would take longer than reading does.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy returns a function that returns a regular expression, which its first call
// compiles. The function is safe for concurrent use. It panics if the text is no regular
// expression; a test of the program compiles every text.
func Lazy(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
