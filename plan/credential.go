package plan

import (
	"cmp"
	"fmt"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// renewCredential decides on a service that runs as it should. It sends the
// service as it is where the credential has changed with which nodes pull its
// image: Swarm keeps the old one with the spec, and a node that has to start a
// task would pull in vain. Tasks that run are not touched. Nothing is sent where
// no change of the credential is known, during an update, and for jobs, which
// Swarm would run again.
func (m maker) renewCredential(c comparison) decision {
	live := c.live
	now, before := m.Credentials[live.Name], m.Memory.Sent[live.Name].Credential
	if now.Digest == "" || now.Digest == kargo.NoCredential || before == "" || before == now.Digest {
		return asItShouldBe()
	}
	container := live.Spec.TaskTemplate.ContainerSpec
	if isJob(live.Spec.Mode) || container == nil || live.Update != nil && !ended(live.Update.State) {
		return asItShouldBe()
	}
	spec := chosenImage{name: cmp.Or(live.Image, container.Image)}.into(live.Spec)
	update := kargo.UpdateService(c.stack.Name, live, spec, fmt.Sprintf(
		"credentials of %s changed; no task is restarted, and from now on `docker service rollback` returns to this same spec", now.Registry))
	update.Digest, update.Renews = SpecDigest(c.wanted), true
	return toChange(update)
}

// ended reports whether an update, or a rollback, is over.
func ended(state swarm.UpdateState) bool {
	return state == swarm.UpdateStateCompleted || state == swarm.UpdateStateRollbackCompleted
}
