package pattern_test

import (
	"sync"
	"testing"

	"kargo/pattern"
)

func TestLazy(t *testing.T) {
	word := pattern.Lazy(`^[a-z]+$`)
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			if !word().MatchString("web") || word().MatchString("web 1") {
				t.Error("the pattern does not match as a regular expression does")
			}
		})
	}
	users.Wait()
	if first, second := word(), word(); first != second {
		t.Error("each call compiles the pattern again")
	}
}

// Only the use of a wrong pattern shows that it is wrong.
func TestLazyPanicsOnFirstUse(t *testing.T) {
	wrong := pattern.Lazy(`(`)
	defer func() {
		if recover() == nil {
			t.Error("a wrong pattern is accepted")
		}
	}()
	wrong()
}
