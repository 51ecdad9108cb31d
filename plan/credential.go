package plan

import (
	"cmp"
	"fmt"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// renewCredential decides on a service that runs as it should. Where the
// credential for its image has changed, the service is sent again as it is: Swarm
// keeps the old credential with the spec, so a node that starts a task later
// could not pull the image. No task is restarted. Nothing is sent during an
// update, and for jobs, because Swarm would run them again.
func (m maker) renewCredential(c comparison) decision {
	live, now := c.live, m.Credentials[c.live.Name]
	if !m.renews(live) {
		return asItShouldBe()
	}
	spec := chosenImage{name: cmp.Or(live.Image, live.Spec.TaskTemplate.ContainerSpec.Image)}.into(live.Spec)
	update := kargo.UpdateService(c.stack.Name, live, spec, fmt.Sprintf(
		"credentials of %s changed; no task is restarted, and from now on `docker service rollback` returns to this same spec", now.Registry))
	update.Digest, update.Renews = SpecDigest(m.Keys.Specs, c.wanted), true
	return toChange(update)
}

// renews reports whether the credential of a service has changed, and may be sent now.
func (m maker) renews(live kargo.LiveService) bool {
	now, before := m.Credentials[live.Name], m.Memory.Sent[live.Name].Credential
	if now.Digest == "" || now.Digest == kargo.NoCredential || before == "" || before == now.Digest {
		return false
	}
	return !isJob(live.Spec.Mode) && live.Spec.TaskTemplate.ContainerSpec != nil && (live.Update == nil || ended(live.Update.State))
}

// ended reports whether an update, or a rollback, is over.
func ended(state swarm.UpdateState) bool {
	return state == swarm.UpdateStateCompleted || state == swarm.UpdateStateRollbackCompleted
}
