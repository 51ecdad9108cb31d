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

// LocalImages returns the images of the node that the client talks to, and reports
// which of them containers use.
func (c *Client) LocalImages(ctx context.Context) ([]kargo.LocalImage, error) {
	summaries, err := call(ctx, c, "ImageList", func(ctx context.Context) ([]image.Summary, error) {
		return c.api.ImageList(ctx, image.ListOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	// Listed after the images, so that a container that is created meanwhile counts.
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

// since returns when an image was last tagged on this node, else when it was made.
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

// imageNames returns the names of an image without Docker's placeholders.
func imageNames(summary image.Summary) []string {
	return slices.DeleteFunc(slices.Concat(summary.RepoTags, summary.RepoDigests), func(name string) bool {
		return strings.Contains(name, "<none>")
	})
}

// RemoveImage removes an image from the node by its names and without force: an
// image that a container uses meanwhile stays.
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
