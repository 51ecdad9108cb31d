package swarmtest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/docker/docker/pkg/stdcopy"
)

// taskLogs returns one line of each task: which image it has started. The log of a task
// that has ended is gone. A log that is followed ends with the client.
func (e *Engine) taskLogs(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	image := ""
	for _, task := range e.tasks {
		if task.ID == r.PathValue("id") && !task.ended() && task.Spec.ContainerSpec != nil {
			image = task.Spec.ContainerSpec.Image
		}
	}
	e.mu.Unlock()
	if image == "" {
		http.Error(w, `{"message":"no such task"}`, http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusOK)
	line := fmt.Sprintf("%s %s has started\n", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Format(time.RFC3339Nano), image)
	_, _ = stdcopy.NewStdWriter(w, stdcopy.Stdout).Write([]byte(line))
	if r.FormValue("follow") != "" && r.FormValue("follow") != "0" {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}
