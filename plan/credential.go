package plan

import (
	"cmp"
	"fmt"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// renewCredential sends a service as it is, because the credential changed that
// its nodes pull the image with: Swarm keeps the old one with the spec, and a
// node that has to start a task would pull in vain. Tasks that run are not
// touched. It is nil where nothing is known to have changed, while an update is
// on its way, and for jobs, which Swarm would run again.
func (m maker) renewCredential(stack kargo.Stack, live kargo.LiveService, digest string) *kargo.Change {
	now, before := m.Credentials[live.Name], m.Memory.Sent[live.Name].Credential
	if now.Digest == "" || now.Digest == kargo.NoCredential || before == "" || before == now.Digest {
		return nil
	}
	if isJob(live.Spec.Mode) || live.Spec.TaskTemplate.ContainerSpec == nil || live.Update != nil && !ended(live.Update.State) {
		return nil
	}
	spec := live.Spec
	pin(&spec, cmp.Or(live.Image, spec.TaskTemplate.ContainerSpec.Image))
	return &kargo.Change{
		Action: kargo.Update, Kind: kargo.KindService, Stack: stack.Name, Name: live.Name, ID: live.ID, Version: live.Version,
		Reason:  fmt.Sprintf("credentials of %s changed; no task is restarted, and `docker service rollback` leads back to this same spec from now on", now.Registry),
		Service: &spec, Digest: digest, Renews: true,
	}
}

// ended tells whether an update, or a rollback, is over.
func ended(state swarm.UpdateState) bool {
	return state == swarm.UpdateStateCompleted || state == swarm.UpdateStateRollbackCompleted
}
