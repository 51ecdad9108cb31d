package plan

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Cleaning returns what nodes may remove: images of the repositories that this
// instance's services use, unused for longer than olderThan. It keeps every
// image that runs or that a rollback may need. For that it counts the specs and
// previous specs of all services, also of those that are not Kargo's, and the
// good renderings.
func Cleaning(live kargo.Cluster, good []kargo.Stack, instance string, olderThan time.Duration) kargo.Cleaning {
	keep, repositories := map[string]bool{}, map[string]bool{}
	for _, service := range live.Services {
		keep[service.Image], keep[service.PreviousImage] = true, true
		keep[imageOf(service.Spec)] = true
		if service.Previous != nil {
			keep[imageOf(*service.Previous)] = true
		}
		if service.Spec.Labels[kargo.LabelInstance] == instance {
			repositories[repositoryOf(service.Image)] = true
		}
	}
	for _, stack := range good {
		for _, service := range stack.Services {
			keep[service.Pinned], keep[imageOf(service.Spec)] = true, true
		}
	}
	delete(keep, "")
	delete(repositories, "")
	return kargo.Cleaning{
		Repositories: slices.Sorted(maps.Keys(repositories)), Keep: slices.Sorted(maps.Keys(keep)), OlderThan: olderThan,
	}
}

func imageOf(spec swarm.ServiceSpec) string {
	if spec.TaskTemplate.ContainerSpec == nil {
		return ""
	}
	return spec.TaskTemplate.ContainerSpec.Image
}

// repositoryOf returns the name of an image without tag and digest, or "".
func repositoryOf(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	return reference.FamiliarName(named)
}

// MayGo returns the images of a node that may be removed. An image that also has
// a name in another repository stays: somebody else may need it.
func MayGo(cleaning kargo.Cleaning, images []kargo.LocalImage, now time.Time) []kargo.LocalImage {
	kept := map[string]bool{}
	for _, image := range cleaning.Keep {
		for _, name := range namesOf(image) {
			kept[name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(images), func(image kargo.LocalImage) bool {
		return image.Used || len(image.Names) == 0 || now.Sub(image.Since) < cleaning.OlderThan ||
			slices.ContainsFunc(image.Names, func(name string) bool {
				return kept[name] || !slices.Contains(cleaning.Repositories, repositoryOf(name))
			})
	})
}

// namesOf returns the names under which a node may have an image. For
// "redis:7@sha256:…" these are "redis:7" and "redis@sha256:…".
func namesOf(image string) []string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return nil
	}
	familiar := reference.FamiliarString(reference.TagNameOnly(named))
	tagged, digest, pinned := strings.Cut(familiar, "@")
	if !pinned {
		return []string{familiar}
	}
	return []string{tagged, repositoryOf(image) + "@" + digest}
}
