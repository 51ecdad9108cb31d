package swarm

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/volume"

	"kargo"
)

// Volumes returns the volumes of the node whose engine is asked: Swarm knows none.
// Where a proxy in front of the engine hides them, it returns none.
func (c *Client) Volumes(ctx context.Context) ([]kargo.LiveVolume, error) {
	found, err := call(ctx, c, "VolumeList", func(ctx context.Context) (volume.ListResponse, error) {
		return c.api.VolumeList(ctx, volume.ListOptions{})
	})
	if errdefs.IsPermissionDenied(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	var volumes []kargo.LiveVolume
	for _, one := range found.Volumes {
		if one != nil {
			volumes = append(volumes, kargo.LiveVolume{Name: one.Name, Labels: one.Labels})
		}
	}
	return volumes, nil
}
