package plan

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// choose makes the image of a change that is new to its service the one that
// goes out: the one that is known to run well, or what its registry says that
// the tag means. Where the registry has no such image, the hold says so: the
// version that runs is not given up for one that nobody can pull.
func (m maker) choose(change *kargo.Change, stack kargo.Stack, service kargo.Service) *kargo.Hold {
	container := change.Service.TaskTemplate.ContainerSpec
	if container == nil {
		return nil
	}
	if service.Pinned != "" {
		pin(change.Service, service.Pinned)
		return nil
	}
	written := container.Image
	if stack.Options.Resolve == kargo.ResolveNever || strings.Contains(written, "@") {
		return nil
	}
	switch image, asked := m.images[written]; {
	case !asked:
		change.Unresolved = written
	case image.Missing != "":
		return &kargo.Hold{
			Kind: kargo.KindService, Stack: stack.Name, Name: service.Name, Failed: true,
			Reason: fmt.Sprintf("there is no image %s (%s), so the stack stays as it is; the registry is asked again later, %s_RESOLVE=never goes without",
				written, m.Mask.Text(image.Missing), kargo.EnvName(stack.Name)),
		}
	case image.Pinned != "":
		change.Image = image.Pinned
		pin(change.Service, image.Pinned)
		place(change.Service, image.Platforms)
	}
	return nil
}

// pin makes a spec run exactly this image.
func pin(spec *swarm.ServiceSpec, image string) {
	container := *spec.TaskTemplate.ContainerSpec // the desired spec belongs to the caller
	container.Image = image
	spec.TaskTemplate.ContainerSpec = &container
}

// place lets Swarm use only nodes that the image is built for.
func place(spec *swarm.ServiceSpec, platforms []swarm.Platform) {
	placement := swarm.Placement{}
	if spec.TaskTemplate.Placement != nil {
		placement = *spec.TaskTemplate.Placement
	}
	placement.Platforms = platforms
	spec.TaskTemplate.Placement = &placement
}

// carryOver keeps what Swarm or a person added to the live spec and the
// workspace has no say in: the restart counter of `docker service update
// --force`, and the digest of an image whose name has not changed, so that an
// unrelated update never rolls out another build of the same tag. It answers
// whether the image is another one and has to be chosen.
func carryOver(spec *swarm.ServiceSpec, live kargo.LiveService) (another bool) {
	spec.TaskTemplate.ForceUpdate = live.Spec.TaskTemplate.ForceUpdate
	wanted, running := spec.TaskTemplate.ContainerSpec, live.Spec.TaskTemplate.ContainerSpec
	if wanted == nil || running == nil || wanted.Image != running.Image {
		return true
	}
	pin(spec, cmp.Or(live.Image, wanted.Image))
	if live.Spec.TaskTemplate.Placement != nil {
		place(spec, live.Spec.TaskTemplate.Placement.Platforms)
	}
	return false
}
