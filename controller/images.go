package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/docker/docker/api/types/mount"

	"kargo"
	"kargo/compile"
)

// planResolved returns the plan with the answers of registries about the images
// in it, and of the engine about the volumes. Registries are asked once for each
// revision, because a tag means one image as long as the revision is in force.
func (r *Reconciler) planResolved(ctx context.Context) (kargo.Plan, error) {
	r.sight.cluster.Volumes = nil
	next, err := r.makePlan()
	if err != nil {
		return next, err
	}
	if r.parts.Compiler.Policy.JudgesVolumes() && mountsVolumes(next) {
		if r.sight.cluster.Volumes, err = r.parts.Swarm.Volumes(ctx); err != nil {
			return next, fmt.Errorf("look for volumes of others: %w", err)
		}
		if next, err = r.makePlan(); err != nil {
			return next, err
		}
	}
	if len(next.Unresolved) > 0 {
		images, err := r.parts.askRegistries(ctx, next.Unresolved)
		if err != nil {
			return next, err
		}
		maps.Copy(r.resolved().Images, images)
		if next, err = r.makePlan(); err != nil {
			return next, err
		}
	}
	if noteAbsent(r.memory.Absent, next) {
		return r.makePlan()
	}
	return next, nil
}

// mountsVolumes reports whether a plan sends a service that mounts a volume by its name.
func mountsVolumes(next kargo.Plan) bool {
	return slices.ContainsFunc(next.Changes, func(change kargo.Change) bool {
		if change.Service == nil || change.Service.TaskTemplate.ContainerSpec == nil {
			return false
		}
		return slices.ContainsFunc(change.Service.TaskTemplate.ContainerSpec.Mounts, func(m mount.Mount) bool {
			return m.Type == mount.TypeVolume && m.Source != ""
		})
	})
}

func (p Parts) askRegistries(ctx context.Context, names []string) (map[string]kargo.Image, error) {
	images, err := measured(p, "images", func() (map[string]kargo.Image, error) { return p.Swarm.Images(ctx, names...) })
	if err != nil {
		return nil, fmt.Errorf("ask registries: %w", err)
	}
	return images, nil
}

// noteAbsent records which stacks want an image that is not available, and
// reports whether there are any. For these the last good rendering is used, so
// that their drift is corrected.
func noteAbsent(absent map[string]kargo.Hold, next kargo.Plan) (any bool) {
	for _, hold := range next.Held {
		if _, known := absent[hold.Stack]; hold.Failed && !known {
			absent[hold.Stack], any = hold, true
		}
	}
	return any
}

// resolved returns the images that are known for the desired revision.
func (r *Reconciler) resolved() *kargo.Resolved {
	known := &r.memory.Resolved
	if id := r.view.revision().ID(); known.Revision != id || known.Images == nil {
		known.Revision, known.Images = id, map[string]kargo.Image{}
	}
	return known
}

// forgetRefused makes the loop try again what Docker refused and what was not
// available, if that is due.
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
		images, err := r.parts.askRegistries(ctx, names)
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

// credentials returns the credentials that services are sent with now, by
// service name.
func (s *sight) credentials() map[string]kargo.Credential {
	known := map[string]kargo.Credential{}
	if s.parts.Effects.Credentials == nil {
		return known
	}
	credential := s.parts.Effects.Credentials()
	for _, service := range s.cluster.Services {
		container := service.Spec.TaskTemplate.ContainerSpec
		if container == nil || service.Spec.Labels[kargo.LabelInstance] != s.parts.Behavior.Instance {
			continue
		}
		found, err := credential(container.Image)
		if err != nil {
			s.parts.Log.Debug("cannot tell the credential of a service", "service", service.Name, "error", err)
			continue
		}
		known[service.Name] = found
	}
	return known
}

// credentialOf returns the digest of what a changed service was sent with; false
// where that is not known.
func (p Parts) credentialOf(change kargo.Change) (digest string, known bool) {
	if p.Effects.Credentials == nil || change.Service == nil || change.Service.TaskTemplate.ContainerSpec == nil {
		return "", false
	}
	found, err := p.Effects.Credentials()(change.Service.TaskTemplate.ContainerSpec.Image)
	return found.Digest, err == nil // where it cannot be read it was not sent either
}
