package swarm

import (
	"context"
	"errors"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Images asks the registries of images what their tags mean. It asks through Docker,
// which knows its mirrors and certificates. The result has an entry for each name.
// The entry is empty where the registry cannot be asked. That is no error: the tag
// is then sent as it is, as Docker's own tools do. A registry that misses a deadline
// is not asked again in this call.
//
// An error means that the credentials cannot be read, or that ctx ended.
func (c *Client) Images(ctx context.Context, names ...string) (map[string]kargo.Image, error) {
	answers := make(map[string]kargo.Image, len(names))
	silent := map[string]bool{}
	for _, name := range names {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil || isCanonical(named) || silent[reference.Domain(named)] {
			answers[name] = kargo.Image{} // what is wrong with a name the daemon says better
			continue
		}
		auth, err := c.registryAuth(name)
		if err != nil {
			return nil, err
		}
		answer, err := c.askRegistry(ctx, reference.TagNameOnly(named), auth)
		if ctx.Err() != nil {
			return nil, classify(ctx.Err())
		}
		silent[reference.Domain(named)] = errors.Is(err, context.DeadlineExceeded)
		answers[name] = answer
	}
	return answers, nil
}

func isCanonical(named reference.Named) bool {
	_, pinned := named.(reference.Canonical)
	return pinned
}

// askRegistry looks up one image. The image is missing only if the registry says so.
// A registry that refuses the credentials or cannot be reached says nothing about
// the images that the nodes have.
func (c *Client) askRegistry(ctx context.Context, named reference.Named, auth string) (kargo.Image, error) {
	found, err := call(ctx, c, "DistributionInspect", func(ctx context.Context) (registry.DistributionInspect, error) {
		return c.api.DistributionInspect(ctx, reference.FamiliarString(named), auth)
	})
	if isNotFound(err) && !strings.Contains(err.Error(), "page not found") { // as a proxy says that lets nobody ask
		return kargo.Image{Missing: err.Error()}, nil
	}
	if err != nil {
		return kargo.Image{}, err
	}
	canonical, err := reference.WithDigest(named, found.Descriptor.Digest)
	if err != nil {
		return kargo.Image{}, err
	}
	return kargo.Image{Pinned: reference.FamiliarString(canonical), Platforms: platforms(found)}, nil
}

func platforms(found registry.DistributionInspect) []swarm.Platform {
	var known []swarm.Platform
	for _, platform := range found.Platforms {
		architecture := platform.Architecture
		if architecture == "arm" {
			// Nodes report "armv7l" and the like, which Swarm does not match
			// with "arm" (swarmkit#2294): any node then.
			architecture = ""
		}
		known = append(known, swarm.Platform{Architecture: architecture, OS: platform.OS})
	}
	return known
}
