package plan_test

import (
	"testing"

	"pgregory.net/rapid"

	"kargo"
	"kargo/plan"
)

// A network that somebody's container uses is held, with the container's name:
// to ask Swarm again and again does no good.
func TestNetworkInUseIsHeld(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { // for the world, which speaks to rapid
		w := newWorld(rt)
		before := stack("web", service("kargo-web_a", "app:1", on("kargo-web_net")), service("kargo-web_b", "app:1"))
		before.Networks = []kargo.Network{{Name: "kargo-web_net", Driver: "overlay", Attachable: true}}
		w.converge([]kargo.Stack{before})
		w.engine.Attach("kargo-web_net", "debugger")

		after := []kargo.Stack{stack("web", service("kargo-web_b", "app:1"))}
		opts := options()
		opts.Memory.Session = plan.NewSession()
		tries := 0
		for range 5 {
			err := w.client.Apply(rt.Context(), plan.Make(after, w.observe(), opts), nil, func(change kargo.Change, err error) {
				if err != nil {
					tries++
					opts.Memory.NoteFailure(change, err)
				}
			})
			if err != nil && kargo.FaultOf(err) != kargo.Conflict {
				rt.Fatal(err)
			}
		}
		want := "hold network kargo-web_net: its removal waits: network kargo-web_net is in use by container debugger; " +
			"remove it, or: docker network disconnect -f kargo-web_net debugger\n"
		if got := plan.Make(after, w.observe(), opts).String(); got != want || tries != 1 {
			rt.Errorf("after %d tries the plan is\n%swant\n%s", tries, got, want)
		}
	})
}
