package plan

import (
	"crypto/sha256"
	"sync"

	"kargo"
)

// Comparisons keeps which services were found to run as they should, so that the next
// plan does not compare them again: most of what a plan costs is to compare services of
// which neither side has changed. The zero value knows none. Several goroutines may use it.
type Comparisons struct {
	mutex sync.Mutex
	// same are the comparisons that the present plan has met, earlier those of the one
	// before.
	same, earlier map[compared]bool
}

// compared is one comparison: it is between what Docker wrote of a service, and the
// service of that name in a stack of that digest.
type compared struct {
	live      [sha256.Size]byte
	stack     string
	protected bool // the stack is, which is a label of the service
}

// comparedOf returns what identifies a comparison, and false where that is not known.
func comparedOf(stack kargo.Stack, live kargo.LiveService) (compared, bool) {
	if live.Digest == [sha256.Size]byte{} {
		return compared{}, false
	}
	return compared{live: live.Digest, stack: stack.Digest(), protected: stack.Options.Protect}, true
}

// next begins a plan: what the plan before the last one met is forgotten.
func (k *Comparisons) next() {
	if k == nil {
		return
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.same, k.earlier = make(map[compared]bool, len(k.same)), k.same
}

// areSame reports whether a service is known to run as it should.
func (k *Comparisons) areSame(stack kargo.Stack, live kargo.LiveService) bool {
	if k == nil {
		return false
	}
	of, whole := comparedOf(stack, live)
	if !whole {
		return false
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if !k.same[of] && !k.earlier[of] {
		return false
	}
	k.same[of] = true
	return true
}

// note keeps a comparison that found no difference, if nothing but the two specs decided.
func (k *Comparisons) note(c comparison) {
	adapted := c.spec.TaskTemplate.ContainerSpec != c.wanted.TaskTemplate.ContainerSpec // to what lives, as fields that others manage are
	if k == nil || adapted || len(c.different) > 0 {
		return
	}
	of, whole := comparedOf(c.stack, c.live)
	if !whole {
		return
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.same == nil {
		k.same = map[compared]bool{}
	}
	k.same[of] = true
}
