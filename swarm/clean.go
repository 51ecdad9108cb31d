package swarm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"kargo"
)

// LocalImages are the images of the node whose Docker this is, and whether
// containers are of them.
func (c *Client) LocalImages(ctx context.Context) ([]kargo.LocalImage, error) {
	summaries, err := call(ctx, c, "ImageList", func(ctx context.Context) ([]image.Summary, error) {
		return c.api.ImageList(ctx, image.ListOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	// Listed after the images: a container that is made meanwhile counts.
	containers, err := call(ctx, c, "ContainerList", func(ctx context.Context) ([]container.Summary, error) {
		return c.api.ContainerList(ctx, container.ListOptions{All: true})
	})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	images := make([]kargo.LocalImage, 0, len(summaries))
	for _, summary := range summaries {
		since, err := c.since(ctx, summary)
		if err != nil {
			return nil, err
		}
		images = append(images, kargo.LocalImage{
			ID: summary.ID, Names: imageNames(summary), Since: since, Size: summary.Size,
			Used: slices.ContainsFunc(containers, func(of container.Summary) bool { return of.ImageID == summary.ID }),
		})
	}
	return images, nil
}

// since is when an image was tagged here last, or made.
func (c *Client) since(ctx context.Context, summary image.Summary) (time.Time, error) {
	found, err := call(ctx, c, "ImageInspect", func(ctx context.Context) (image.InspectResponse, error) {
		return c.api.ImageInspect(ctx, summary.ID)
	})
	if isNotFound(err) {
		return time.Now(), nil // it went just now
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("look at image %s: %w", summary.ID, err)
	}
	made := time.Unix(summary.Created, 0)
	if found.Metadata.LastTagTime.After(made) {
		return found.Metadata.LastTagTime, nil
	}
	return made, nil
}

// imageNames are the names of an image without Docker's placeholders.
func imageNames(summary image.Summary) []string {
	return slices.DeleteFunc(slices.Concat(summary.RepoTags, summary.RepoDigests), func(name string) bool {
		return strings.Contains(name, "<none>")
	})
}

// RemoveImage takes an image off the node by its names, never by force: one
// that a container has come to use meanwhile stays.
func (c *Client) RemoveImage(ctx context.Context, local kargo.LocalImage) error {
	for _, name := range local.Names {
		err := c.write(ctx, "ImageRemove", func(ctx context.Context) error {
			_, err := c.api.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
			return err
		})
		if err != nil && !isNotFound(err) { // the last tag takes the digests along
			return fmt.Errorf("remove image %s: %w", name, err)
		}
	}
	return nil
}
