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

// Cleaning is what nodes may clean away, so that whatever runs goes on and
// whatever may be rolled back to can be: every spec and previous spec in the
// Swarm, theirs and other people's, and the good renderings count.
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

// repositoryOf is the name of an image without tag and digest, or "".
func repositoryOf(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	return reference.FamiliarName(named)
}

// MayGo are the images of a node that may be removed. One that has a name of
// another repository, too, is somebody else's as well, and stays.
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

// namesOf are the names under which a node may have an image: of
// "redis:7@sha256:…" it may have either part.
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
