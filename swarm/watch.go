package swarm

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"kargo"
)

// Watch calls stirred for each change of an object, whoever made it. Managers
// send events of all kinds of objects but none of tasks: their state must be
// looked at. Watch returns when the stream breaks or ctx ends, always with an
// Unavailable error. It is for the caller to call it again, and to look at what
// it missed meanwhile.
func (c *Client) Watch(ctx context.Context, stirred func(kargo.Event)) error {
	// Docker's library reads the version in Events before it is negotiated, while
	// another call may be negotiating it. And Events has no deadline, so it would
	// not notice a silent daemon.
	if err := c.agreeOnVersion(ctx); err != nil {
		return fmt.Errorf("watch swarm events: %w", err)
	}
	c.count("Events")
	only := filters.NewArgs(filters.Arg("scope", "swarm"))
	for _, kind := range kinds {
		only.Add("type", string(kind.events))
	}
	// Docker's library keeps a goroutine until this context ends.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages, broken := c.api.Events(ctx, events.ListOptions{Filters: only})
	c.down.doubt() // what happened before is not known
	for {
		select {
		case message := <-messages:
			if nodeCameOrWent(message) {
				c.down.doubt()
			}
			if configMoved(message) {
				c.listedConfigs.drop()
			}
			stirred(event(message))
		case err := <-broken:
			if ctx.Err() != nil {
				err = ctx.Err() // rather than what became of the stream
			}
			return fmt.Errorf("watch swarm events: %w", classify(err))
		}
	}
}

// nodeCameOrWent reports whether an event says that a node joined, left, or has another
// state. Most events of nodes are about their labels or availability.
func nodeCameOrWent(message events.Message) bool {
	_, otherState := message.Actor.Attributes["state.new"]
	return message.Type == events.NodeEventType && (message.Action != events.ActionUpdate || otherState)
}

// configMoved reports whether an event is of a config that plans are about. Leases are
// written all the time.
func configMoved(message events.Message) bool {
	return message.Type == events.ConfigEventType && !strings.HasPrefix(event(message).Name, kargo.LeaseConfig)
}

func (c *Client) agreeOnVersion(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return classify(c.api.NewVersionError(ctx, minimumAPI, "counting the tasks of services"))
}

func event(message events.Message) kargo.Event {
	name := message.Actor.Attributes["name"]
	if name == "" {
		name = message.Actor.ID
	}
	return kargo.Event{Kind: kargo.Kind(message.Type), Name: name, Action: string(message.Action)}
}
