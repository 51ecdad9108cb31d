package plan

import (
	"cmp"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// The controller may be a service of the workspace that it deploys. Then some changes
// would end it, and nobody could make up for them.

// ownService returns the name of the service in which the controller of the instance
// runs, as its lease says; "" if it is no service of this Swarm.
func (m maker) ownService() string {
	return m.configs[kargo.ObjectKey{Kind: kargo.KindConfig, Name: kargo.LeaseConfig + m.Instance}].Labels[kargo.LabelLeaseService]
}

// isOwn reports whether the controller of the instance runs in a service.
func (m maker) isOwn(service string) bool { return service != "" && service == m.ownService() }

// harmsOwn holds an update of the controller's own service that it could not recover
// from.
func (m maker) harmsOwn(c comparison) (d decision, decided bool) {
	if !m.isOwn(c.live.Name) {
		return decision{}, false
	}
	const runs = "the controller runs in it"
	update := cmp.Or(c.spec.UpdateConfig, &swarm.UpdateConfig{})
	replicas := c.spec.Mode.Replicated
	switch {
	case modeName(c.live.Spec.Mode) != modeName(c.spec.Mode):
		return c.holdUntil(kargo.UntilRevision, runs+", and could not create it again in another mode; give the service another name"), true
	case replicas != nil && replicas.Replicas != nil && *replicas.Replicas == 0:
		return c.holdUntil(kargo.UntilRevision, runs+", and would end without replicas; take the stack out of the workspace instead"), true
	case c.tasksDiffer() && update.FailureAction != swarm.UpdateFailureActionRollback:
		return c.holdUntil(kargo.UntilRevision, runs+", and nobody would undo a version that does not start; set deploy.update_config.failure_action: rollback"), true
	}
	return decision{}, false
}

// ownRemoval returns the stack of the controller's own service, if the service would be
// removed, and why it stays.
func (m maker) ownRemoval() (stack, reason string) {
	own := m.ownService()
	live, exists := m.index.Service(own)
	if !exists || m.wanted[own] || !m.owns(live.Spec.Labels) {
		return "", ""
	}
	return live.Spec.Labels[kargo.LabelStack], "its removal waits for approval: the controller runs in service " + own
}

// ownLast puts the update of the controller's own service after all other changes,
// because it ends the controller. The next one goes on.
func (m maker) ownLast(changes []kargo.Change) []kargo.Change {
	own := func(c kargo.Change) bool { return c.Kind == kargo.KindService && m.isOwn(c.Name) }
	at := slices.IndexFunc(changes, own)
	if at < 0 {
		return changes
	}
	return append(slices.Delete(slices.Clone(changes), at, at+1), changes[at])
}
