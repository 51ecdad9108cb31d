package swarmtest

import (
	"net/http"
	"slices"

	"github.com/docker/docker/api/types/volume"
)

// listVolumes shows the volumes that were created by a call. Those that tasks would
// make on their nodes are not there.
func (e *Engine) listVolumes(*http.Request) (answer, error) {
	return ok(volume.ListResponse{Volumes: e.volumes})
}

func (e *Engine) createVolume(r *http.Request) (answer, error) {
	var options volume.CreateOptions
	if err := decode(r, &options); err != nil {
		return answer{}, err
	}
	made := &volume.Volume{Name: options.Name, Driver: "local", Labels: options.Labels, Scope: "local"}
	if i := e.volumeAt(made.Name); i >= 0 {
		return created(e.volumes[i]) // as Docker does
	}
	e.volumes = append(e.volumes, made)
	return created(made)
}

func (e *Engine) removeVolume(r *http.Request) (answer, error) {
	i := e.volumeAt(r.PathValue("name"))
	if i < 0 {
		return answer{}, notFound("volume", r.PathValue("name"))
	}
	e.volumes = slices.Delete(e.volumes, i, i+1)
	return done(http.StatusNoContent)
}

func (e *Engine) volumeAt(name string) int {
	return slices.IndexFunc(e.volumes, func(v *volume.Volume) bool { return v.Name == name })
}
