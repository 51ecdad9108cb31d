package render

import (
	"strings"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// checkDeadline warns of a deadline that no rendering of the stack can meet.
func checkDeadline(s *rendering, stack kargo.Stack) {
	deadline, variable := stack.Options.Deadline, kargo.SuffixDeadline.Of(stack.Name)
	if deadline == 0 {
		return
	}
	if stable := stack.Options.Stable; stable >= deadline {
		s.report.Warn(s.ws.PlaceOf(variable), "make the deadline longer", "%s is %s, and a rendering is good after it has run for %s (%s)",
			variable, deadline, stable, kargo.SuffixStable.Of(stack.Name))
	}
	for _, service := range stack.Services {
		if first := firstCheck(service.Spec); first >= deadline {
			name := strings.TrimPrefix(service.Name, s.namespace+"_")
			s.report.Warn(s.files.Place("services", name, "healthcheck", "interval"), "make the interval shorter, or the deadline longer",
				"services.%s: its first health check comes after %s, and %s is %s: it would never come up in time", name, first, variable, deadline)
		}
	}
}

// firstCheck returns when the health of a new task is first checked, so that it may
// count as running; 0 if that is not known or nothing is checked. In a start period
// engines may check earlier than the interval says.
func firstCheck(spec swarm.ServiceSpec) time.Duration {
	container := spec.TaskTemplate.ContainerSpec
	if container == nil || container.Healthcheck == nil {
		return 0
	}
	check := container.Healthcheck
	if len(check.Test) == 0 || check.Test[0] == "NONE" || check.StartPeriod > 0 {
		return 0
	}
	return withDefault(check.Interval, 30*time.Second)
}
