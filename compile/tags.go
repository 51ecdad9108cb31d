package compile

import (
	"maps"
	"slices"

	"kargo"
)

// TagsToFollow returns the images of the stacks that follow their tags, each
// once.
func TagsToFollow(stacks []kargo.Stack) []string {
	var names []string
	for _, stack := range stacks {
		if stack.Options.Resolve != kargo.ResolveAlways {
			continue
		}
		for _, service := range stack.Services {
			if container := service.Spec.TaskTemplate.ContainerSpec; container != nil {
				names = append(names, container.Image)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// WithTags returns the stacks with digests in place of tags, for the stacks
// that follow their tags.
func WithTags(stacks []kargo.Stack, latest map[string]kargo.Image) []kargo.Stack {
	stacks = slices.Clone(stacks)
	for i, stack := range stacks {
		if stack.Options.Resolve != kargo.ResolveAlways {
			continue
		}
		stacks[i].Services = slices.Clone(stack.Services)
		for j, service := range stack.Services {
			stacks[i].Services[j] = withTag(service, latest)
		}
	}
	return stacks
}

func withTag(service kargo.Service, latest map[string]kargo.Image) kargo.Service {
	container := service.Spec.TaskTemplate.ContainerSpec
	if container == nil || latest[container.Image].Pinned == "" {
		return service
	}
	pinned := *container
	pinned.Image = latest[container.Image].Pinned
	service.Spec.TaskTemplate.ContainerSpec = &pinned
	if service.Spec.Labels[kargo.LabelImage] != "" {
		service.Spec.Labels = maps.Clone(service.Spec.Labels)
		service.Spec.Labels[kargo.LabelImage] = pinned.Image
	}
	return service
}
