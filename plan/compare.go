package plan

import (
	"cmp"
	"slices"
	"strings"

	"kargo"
)

// Differences returns how what runs differs from the desired stacks, as the changes
// that would end it. It holds nothing back: neither what waits, nor what a person has
// stopped, nor drift that is left as it is. Nobody carries these changes out.
func Differences(desired []kargo.Stack, live kargo.Cluster, opts Options) []kargo.Change {
	m := newMaker(StandIns{Stacks: desired}, live, opts)
	changes := m.sharedNetworks()
	for _, stack := range desired {
		objects := m.objects(stack)
		changes = slices.Concat(changes, objects.networks.changes(), objects.configs.changes())
		for _, service := range stack.Services {
			running, exists := m.index.Service(service.Name)
			if !exists {
				changes = append(changes, kargo.CreateService(stack.Name, service.Spec, "does not run"))
				continue
			}
			if c := m.compare(stack, service, running); len(c.different) > 0 {
				changes = append(changes, differs(stack.Name, service.Name, c.different))
			}
		}
	}
	for _, service := range m.unwanted() {
		changes = append(changes, kargo.RemoveService(service.stack, *service.LiveService, notWanted))
	}
	return changes
}

// Compare returns how stacks differ from what they were, as the changes from one to
// the other: by stack, and in a stack its networks, configs and services.
func Compare(before, after []kargo.Stack, mask kargo.Mask) []kargo.Change {
	old := map[string]kargo.Stack{}
	for _, stack := range before {
		old[stack.Name] = stack
	}
	var changes []kargo.Change
	for _, stack := range after {
		changes = append(changes, compareStacks(stack.Name, old[stack.Name], stack, mask)...)
		delete(old, stack.Name)
	}
	for _, stack := range before {
		if _, gone := old[stack.Name]; gone {
			changes = append(changes, compareStacks(stack.Name, stack, kargo.Stack{}, mask)...)
		}
	}
	return changes
}

func compareStacks(name string, before, after kargo.Stack, mask kargo.Mask) (changes []kargo.Change) {
	add := func(action kargo.Action, key kargo.ObjectKey, reason string) {
		changes = append(changes, kargo.Change{Action: action, Stack: name, Kind: key.Kind, Name: key.Name, Reason: reason})
	}
	was, is := objectsOf(before), objectsOf(after)
	for _, key := range is {
		if !slices.Contains(was, key) {
			add(kargo.Create, key, "new")
		}
	}
	old := map[string]kargo.Service{}
	for _, service := range before.Services {
		old[service.Name] = service
	}
	for _, service := range after.Services {
		earlier, existed := old[service.Name]
		delete(old, service.Name)
		if !existed {
			add(kargo.Create, kargo.ObjectKey{Kind: kargo.KindService, Name: service.Name}, "new")
		} else if different := differences(earlier.Spec, service.Spec, mask.With(environmentOf(service.Spec))); len(different) > 0 {
			changes = append(changes, differs(name, service.Name, different))
		}
	}
	for _, service := range before.Services {
		if _, gone := old[service.Name]; gone {
			add(kargo.Remove, kargo.ObjectKey{Kind: kargo.KindService, Name: service.Name}, notWanted)
		}
	}
	for _, key := range was {
		if !slices.Contains(is, key) {
			add(kargo.Remove, key, notWanted)
		}
	}
	return changes
}

// objectsOf returns the networks, configs and secrets of a stack that Kargo creates.
func objectsOf(stack kargo.Stack) []kargo.ObjectKey {
	var keys []kargo.ObjectKey
	for _, network := range stack.Networks {
		if !network.External && !network.Shared {
			keys = append(keys, kargo.ObjectKey{Kind: kargo.KindNetwork, Name: network.Name})
		}
	}
	for _, config := range stack.Configs {
		if !config.External {
			keys = append(keys, config.Key())
		}
	}
	slices.SortFunc(keys, func(a, b kargo.ObjectKey) int {
		return cmp.Or(strings.Compare(string(b.Kind), string(a.Kind)), strings.Compare(a.Name, b.Name)) // networks first
	})
	return keys
}

// differs returns the differences of a service as an update.
func differs(stack, service string, different []difference) kargo.Change {
	c := comparison{different: different}
	return kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Stack: stack, Name: service, Reason: c.reason(), Fields: c.fields()}
}
