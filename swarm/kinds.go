package swarm

import (
	"context"

	"github.com/docker/docker/api/types/events"

	"kargo"
)

// kinds has what this package does with each kind of object. A new kind needs a row
// here, a list in Observe and a place in package swarmtest. A test compares the rows
// with kargo.Kinds.
var kinds = map[kargo.Kind]struct {
	// events is Docker's word for the events of such objects.
	events events.Type
	// The writes of each action; nil where Swarm has none or Kargo makes none.
	create, update, remove writeFunc
}{
	// Nodes join and leave by themselves.
	kargo.KindNode:    {events.NodeEventType, nil, writer.updateNode, nil},
	kargo.KindService: {events.ServiceEventType, writer.createService, writer.updateService, writer.removeService},
	// Of a network, config or secret Swarm can change nothing that matters.
	kargo.KindNetwork: {events.NetworkEventType, writer.createNetwork, nil, writer.removeNetwork},
	kargo.KindConfig:  {events.ConfigEventType, writer.createConfig, nil, writer.removeConfig},
	kargo.KindSecret:  {events.SecretEventType, writer.createSecret, nil, writer.removeSecret},
}

// writeFunc carries out one change. The change is checked: it has the payload of
// its kind, and the id of an object that exists.
type writeFunc func(writer, context.Context, kargo.Change) error

// writeOf returns the write that carries out a change, or nil.
func writeOf(change kargo.Change) writeFunc {
	kind := kinds[change.Kind]
	switch change.Action {
	case kargo.Create:
		return kind.create
	case kargo.Update:
		return kind.update
	case kargo.Remove:
		return kind.remove
	}
	return nil
}
