package controller

import (
	"context"
	"fmt"
	"maps"

	"kargo"
	"kargo/compile"
)

// planResolved is the plan with what registries say of the images in it. They
// are asked once a revision: a tag means one thing as long as the revision
// stays.
func (r *Reconciler) planResolved(ctx context.Context) (kargo.Plan, error) {
	next, err := r.makePlan()
	if err != nil {
		return next, err
	}
	if len(next.Unresolved) > 0 {
		images, err := r.askRegistries(ctx, next.Unresolved)
		if err != nil {
			return next, err
		}
		maps.Copy(r.resolved().Images, images)
		if next, err = r.makePlan(); err != nil {
			return next, err
		}
	}
	if r.noteAbsent(next) {
		return r.makePlan()
	}
	return next, nil
}

func (r *Reconciler) askRegistries(ctx context.Context, names []string) (map[string]kargo.Image, error) {
	images, err := measured(r.parts, "images", func() (map[string]kargo.Image, error) { return r.parts.Swarm.Images(ctx, names...) })
	if err != nil {
		return nil, fmt.Errorf("ask registries: %w", err)
	}
	return images, nil
}

// noteAbsent notes which stacks want an image that is not available, and reports
// whether any does: their last good rendering stands in, so that its drift is
// put right.
func (r *Reconciler) noteAbsent(next kargo.Plan) (any bool) {
	for _, hold := range next.Held {
		if _, known := r.memory.Absent[hold.Stack]; hold.Failed && !known {
			r.memory.Absent[hold.Stack], any = hold, true
		}
	}
	return any
}

// resolved are the images known for the desired revision.
func (r *Reconciler) resolved() *kargo.Resolved {
	known := &r.memory.Resolved
	if id := r.view.revision().ID(); known.Revision != id || known.Images == nil {
		known.Revision, known.Images = id, map[string]kargo.Image{}
	}
	return known
}

// forgetRefused has what Docker refused and what was not available tried again,
// where that is due.
func (r *Reconciler) forgetRefused(context.Context, *round) (goOn bool, err error) {
	if r.work.fresh || r.work.again {
		clear(r.memory.Refused)
		clear(r.memory.Absent)
		maps.DeleteFunc(r.resolved().Images, func(_ string, image kargo.Image) bool { return image.Pinned == "" })
	}
	r.work.again = false
	return true, nil
}

// followTags gives the stacks that follow their tags what these mean now. A
// tag that moved makes another rendering of the stack, which is rolled out,
// judged and taken back as one of another commit would be.
func (r *Reconciler) followTags(ctx context.Context, _ *round) (goOn bool, err error) {
	if !r.work.fresh && !r.work.again {
		return true, nil
	}
	latest := map[string]kargo.Image{}
	if !r.selection.isAll() {
		maps.Copy(latest, r.memory.Resolved.Latest) // of stacks that are not selected
	}
	if names := compile.TagsToFollow(r.view.rendered); len(names) > 0 {
		images, err := r.askRegistries(ctx, names)
		if err != nil {
			return false, err
		}
		for _, name := range names {
			latest[name] = images[name]
			if images[name].Pinned == "" { // away, or gone: what it meant last stays
				latest[name] = r.memory.Resolved.Latest[name]
			}
		}
	}
	r.memory.Resolved.Latest = latest
	r.view = r.view.withTags(latest)
	return true, nil
}

// credentials are those that services go with now, by service name.
func (r *Reconciler) credentials() map[string]kargo.Credential {
	known := map[string]kargo.Credential{}
	credential := r.parts.Effects.Credential
	if credential == nil {
		return known
	}
	for _, service := range r.sight.cluster.Services {
		container := service.Spec.TaskTemplate.ContainerSpec
		if container == nil || service.Spec.Labels[kargo.LabelInstance] != r.parts.Behavior.Instance {
			continue
		}
		found, err := credential(container.Image)
		if err != nil {
			r.parts.Log.Debug("cannot tell the credential of a service", "service", service.Name, "error", err)
			continue
		}
		known[service.Name] = found
	}
	return known
}

// rememberCredential notes what a service was sent with.
func (r *Reconciler) rememberCredential(change kargo.Change) {
	credential := r.parts.Effects.Credential
	if credential == nil || change.Service == nil || change.Service.TaskTemplate.ContainerSpec == nil {
		return
	}
	found, err := credential(change.Service.TaskTemplate.ContainerSpec.Image)
	if err != nil {
		return // it was not sent either
	}
	sent := r.memory.Sent[change.Name]
	sent.Credential = found.Digest
	r.memory.Sent[change.Name] = sent
}

// noteCredentials takes what services go with now for what they were sent with,
// where that is not known, as after the data directory was lost.
func (r *Reconciler) noteCredentials() {
	for name, credential := range r.credentials() {
		if sent := r.memory.Sent[name]; sent.Credential == "" {
			sent.Credential = credential.Digest
			r.memory.Sent[name] = sent
		}
	}
}
