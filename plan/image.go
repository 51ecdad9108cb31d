package plan

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// chosenImage is the image that is sent with a service.
type chosenImage struct {
	// name is the image to run. It is empty where the one in the spec is sent
	// as it is written.
	name string
	// platforms are those that the image is built for, where they are known.
	platforms []swarm.Platform
	known     bool
	// resolved is name where a registry said what the tag means.
	resolved string
	// unresolved is the image as written, where its registry is to be asked.
	unresolved string
	// missing is what the registry says where it has no such image.
	missing string
}

// newImage returns the image for a service whose image changes: the one that is
// known to run well, or the one that its registry returned for the tag.
func (m maker) newImage(stack kargo.Stack, service kargo.Service) chosenImage {
	container := service.Spec.TaskTemplate.ContainerSpec
	switch {
	case container == nil:
		return chosenImage{}
	case service.Pinned != "":
		return chosenImage{name: service.Pinned}
	case stack.Options.Resolve == kargo.ResolveNever, strings.Contains(container.Image, "@"):
		return chosenImage{}
	}
	image, asked := m.images[container.Image]
	switch {
	case !asked:
		return chosenImage{unresolved: container.Image}
	case image.Missing != "":
		return chosenImage{missing: image.Missing}
	case image.Pinned != "":
		return chosenImage{name: image.Pinned, resolved: image.Pinned, platforms: image.Platforms, known: true}
	}
	return chosenImage{} // the registry is out of reach
}

// sameImage returns the image that runs, with its digest, for a service whose
// image has not changed by name: an update for another reason must not roll out
// another build of the same tag. ok reports whether the image is the same.
func sameImage(wanted swarm.ServiceSpec, live kargo.LiveService) (image chosenImage, ok bool) {
	before, after := live.Spec.TaskTemplate.ContainerSpec, wanted.TaskTemplate.ContainerSpec
	if before == nil || after == nil || before.Image != after.Image {
		return chosenImage{}, false
	}
	image.name = cmp.Or(live.Image, after.Image)
	if placement := live.Spec.TaskTemplate.Placement; placement != nil {
		image.platforms, image.known = placement.Platforms, true
	}
	return image, true
}

// into returns a copy of a spec that runs the image, on nodes of its platforms
// only.
func (i chosenImage) into(spec swarm.ServiceSpec) swarm.ServiceSpec {
	if i.name != "" {
		container := *spec.TaskTemplate.ContainerSpec
		container.Image = i.name
		spec.TaskTemplate.ContainerSpec = &container
	}
	if i.known {
		placement := swarm.Placement{}
		if spec.TaskTemplate.Placement != nil {
			placement = *spec.TaskTemplate.Placement
		}
		placement.Platforms = i.platforms
		spec.TaskTemplate.Placement = &placement
	}
	return spec
}

// holdMissing holds a service whose image its registry does not have. The version
// that runs stays, because no node could pull the new one.
func (m maker) holdMissing(stack kargo.Stack, service kargo.Service, image chosenImage) decision {
	held := serviceHold(stack, service.Name, kargo.UntilOutside, fmt.Sprintf(
		"there is no image %s (%s), so the stack stays as it is; the registry is asked again later; to send the image without asking, set %s=never",
		service.Spec.TaskTemplate.ContainerSpec.Image, m.Mask.Text(image.missing), kargo.SuffixResolve.Of(stack.Name)))
	held.Failed = true
	return toHold(held)
}
