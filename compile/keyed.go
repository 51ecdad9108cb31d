package compile

import (
	"bytes"
	"slices"
	"sync"

	"kargo"
	"kargo/render"
)

// keyed keeps the stacks of one revision with the digests that their names show. A stack
// of the next revision that was rendered in the same way shares its services and configs
// with them. So whoever compares the two sees at once that they are the same.
type keyed struct {
	mutex  sync.Mutex
	key    []byte
	stacks map[string]keyedStack
}

type keyedStack struct {
	rendering any // as Provenance.Rendering returns it
	stack     kargo.Stack
}

// withKey does what render.WithKey does. A nil keyed keeps nothing.
func (k *keyed) withKey(stacks []kargo.Stack, origins *render.Provenance, key []byte) []kargo.Stack {
	if k == nil || origins == nil {
		return render.WithKey(stacks, key)
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if !bytes.Equal(k.key, key) {
		k.key, k.stacks = bytes.Clone(key), nil
	}
	all, kept := make([]kargo.Stack, len(stacks)), make(map[string]keyedStack, len(stacks))
	for i, stack := range stacks {
		rendering := origins.Rendering(stack)
		if before := k.stacks[stack.Name]; rendering != nil && before.rendering == rendering && sameGranted(before.stack, stack) {
			stack.Services, stack.Configs = before.stack.Services, before.stack.Configs
		} else {
			stack = render.WithKey([]kargo.Stack{stack}, key)[0]
		}
		all[i], kept[stack.Name] = stack, keyedStack{rendering, stack}
	}
	k.stacks = kept
	return all
}

// sameGranted reports whether the policy grants the services of two stacks the same. It
// may depend on other stacks.
func sameGranted(a, b kargo.Stack) bool {
	return slices.EqualFunc(a.Services, b.Services, func(a, b kargo.Service) bool {
		return slices.Equal(a.Granted, b.Granted)
	})
}
