package controller

import (
	"strings"
	"sync"
	"sync/atomic"

	"kargo"
)

// interest says which events of Swarm mean that something is to be done. Rounds
// write it, and the goroutine that reads events asks it.
type interest struct {
	// ignored are the objects that a rollout is moving, by Change.Key, with what is done
	// to them, a kargo.Action. Services are looked at anyway. Empty while nothing moves.
	ignored      sync.Map
	nodesMoved   atomic.Bool // there was an event of a node
	nodesChanged atomic.Bool // the same, for failed renderings
	beyond       atomic.Bool // there was an event that the services alone do not show
	// names are those of everything that Kargo wants or owns, by Change.Key, as
	// of the last look; nil before it.
	names atomic.Pointer[map[kargo.ObjectKey]bool]
}

// concerns reports whether an event may mean that something is to be done.
// Events of objects that Kargo itself is changing do not, nor those of objects
// of others, unless they have taken a name that Kargo wants, or one that only a
// controller gives.
func (i *interest) concerns(event kargo.Event) bool {
	if event.Kind == kargo.KindConfig && strings.HasPrefix(event.Name, kargo.LeaseConfig) {
		return false // it is renewed all the time
	}
	if event.Kind == kargo.KindNode { // one that has joined may have labels to get
		i.nodesMoved.Store(true)
		i.nodesChanged.Store(true)
	}
	if action, moving := i.ignored.Load(event.Key()); moving && ownDoing(event, action.(kargo.Action)) {
		return false
	}
	names := i.names.Load()
	if names == nil || event.Kind == kargo.KindNode || (*names)[event.Key()] {
		if event.Kind != kargo.KindNode && event.Kind != kargo.KindService {
			i.beyond.Store(true)
		}
		return true
	}
	// What a former leader had sent may arrive late: nobody wants it any more.
	late := event.Action == "create" && strings.HasPrefix(event.Name, kargo.StackPrefix)
	if late {
		i.beyond.Store(true)
	}
	return late
}

// ownDoing reports whether an event of an object may come from what is done to the object.
// Of a network, config or secret that is created, nobody else may do more than that. Swarm
// itself updates a network once, when it allocates it.
func ownDoing(event kargo.Event, action kargo.Action) bool {
	if action != kargo.Create || event.Kind == kargo.KindService {
		return true
	}
	return event.Action == "create" || event.Kind == kargo.KindNetwork && event.Action == "update"
}

// depth returns how much must be looked at because of the events since the last call:
// services alone do not show other objects, and not what was created that nobody wants.
func (i *interest) depth() depth {
	if i.beyond.Swap(false) {
		return lookEverywhere
	}
	return lookServices
}

// takeNodesMoved reports whether there was an event of a node since the last
// call.
func (i *interest) takeNodesMoved() bool { return i.nodesMoved.Swap(false) }

// takeNodesChanged is takeNodesMoved for those that no node took.
func (i *interest) takeNodesChanged() bool { return i.nodesChanged.Swap(false) }

// ignore makes the loop ignore events of an object that is about to be changed.
func (i *interest) ignore(change kargo.Change) { i.ignored.Store(change.Key(), change.Action) }

// moving returns the names of the services that are being changed.
func (i *interest) moving() []string {
	var names []string
	i.ignored.Range(func(key, _ any) bool {
		if object := key.(kargo.ObjectKey); object.Kind == kargo.KindService {
			names = append(names, object.Name)
		}
		return true
	})
	return names
}

// ignoreNothing ends that: nothing moves any more.
func (i *interest) ignoreNothing() { i.ignored.Clear() }

// note keeps the names of everything that is wanted, and of what was seen to be
// the instance's own.
func (i *interest) note(wanted []kargo.Stack, seen kargo.Cluster, instance string) {
	names := map[kargo.ObjectKey]bool{}
	add := func(kind kargo.Kind, name string) { names[kargo.ObjectKey{Kind: kind, Name: name}] = true }
	for _, stack := range wanted {
		for _, service := range stack.Services {
			add(kargo.KindService, service.Name)
		}
		for _, network := range stack.Networks {
			add(kargo.KindNetwork, network.Name)
		}
		for _, config := range stack.Configs {
			add(config.Kind(), config.Name)
		}
	}
	own := func(labels map[string]string) bool { return labels[kargo.LabelInstance] == instance }
	for _, service := range seen.Services {
		if own(service.Spec.Labels) {
			add(kargo.KindService, service.Name)
		}
	}
	for _, network := range seen.Networks {
		if own(network.Labels) {
			add(kargo.KindNetwork, network.Name)
		}
	}
	for _, config := range seen.Configs {
		if own(config.Labels) {
			add(config.Kind(), config.Name)
		}
	}
	i.names.Store(&names)
}
