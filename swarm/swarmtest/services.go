package swarmtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/api/types/swarm"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// service is a service with what Swarm keeps and does not show.
type service struct {
	swarm.Service
	// generation counts the specs. previous is the generation of PreviousSpec: a
	// rollback returns to tasks of that generation.
	generation, previous uint64
	// template is the task template and the ports as one text. A task made from
	// another template is replaced.
	template string
	// allocated is set once the service has its addresses, which is a change of its own.
	allocated bool
	rollout   rollout
}

// setSpec replaces the spec in force.
func (s *service) setSpec(spec swarm.ServiceSpec, generation uint64) {
	s.Spec, s.generation = spec, generation
	s.template = templateOf(spec)
	s.rollout = rollout{}
}

// templateOf returns the parts of a spec whose change makes Swarm replace tasks. The
// placement is not in it: a task on a node that meets the placement stays.
func templateOf(spec swarm.ServiceSpec) string {
	task := spec.TaskTemplate
	task.Placement = nil
	var endpoint swarm.EndpointSpec
	if spec.EndpointSpec != nil {
		endpoint = *spec.EndpointSpec
	}
	text, err := json.Marshal([]any{task, endpoint})
	if err != nil {
		panic("swarmtest: encode a task template: " + err.Error())
	}
	return string(text)
}

func isJob(mode swarm.ServiceMode) bool { return mode.ReplicatedJob != nil || mode.GlobalJob != nil }

func serviceID(s *service) string   { return s.ID }
func serviceName(s *service) string { return s.Spec.Name }

func (e *Engine) serviceAt(id string) (int, error) {
	i := find(e.services, id, serviceID, serviceName)
	if i < 0 {
		return i, notFound("service", id)
	}
	return i, nil
}

func (e *Engine) listServices(r *http.Request) (answer, error) {
	only, err := filtersOf(r)
	if err != nil {
		return answer{}, err
	}
	withStatus := r.URL.Query().Get("status") == "true" || r.URL.Query().Get("status") == "1"
	listed := []swarm.Service{}
	for _, s := range e.services {
		if !matches(only, s.ID, s.Spec.Name, s.Spec.Labels) {
			continue
		}
		shown := s.Service
		if withStatus {
			shown.ServiceStatus = e.status(s)
		}
		listed = append(listed, shown)
	}
	return ok(listed)
}

// status counts tasks as Swarm does: of a job those of the current run only, of a
// global service as many as are desired.
func (e *Engine) status(s *service) *swarm.ServiceStatus {
	var status swarm.ServiceStatus
	switch mode := s.Spec.Mode; {
	case mode.Replicated != nil:
		status.DesiredTasks = *mode.Replicated.Replicas
	case mode.ReplicatedJob != nil:
		status.DesiredTasks = *mode.ReplicatedJob.MaxConcurrent
	}
	global := s.Spec.Mode.Global != nil || s.Spec.Mode.GlobalJob != nil
	for _, t := range e.tasks {
		if t.ServiceID != s.ID || s.JobStatus != nil && t.JobIteration.Index != s.JobStatus.JobIteration.Index {
			continue
		}
		complete := t.Status.State == swarm.TaskStateComplete
		switch {
		case s.JobStatus != nil && complete:
			status.CompletedTasks++
		case t.Status.State == swarm.TaskStateRunning:
			status.RunningTasks++
		}
		if global && (t.DesiredState == swarm.TaskStateRunning || t.DesiredState == swarm.TaskStateComplete && !complete) {
			status.DesiredTasks++
		}
	}
	return &status
}

func (e *Engine) inspectService(r *http.Request) (answer, error) {
	i, err := e.serviceAt(r.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return ok(e.services[i].Service)
}

func (e *Engine) createService(r *http.Request) (answer, error) {
	var spec swarm.ServiceSpec
	if err := decode(r, &spec); err != nil {
		return answer{}, err
	}
	if err := e.accept(&spec, nil); err != nil {
		return answer{}, err
	}
	if slices.ContainsFunc(e.services, func(s *service) bool { return strings.EqualFold(s.Spec.Name, spec.Name) }) {
		return answer{}, refuse(http.StatusConflict,
			"rpc error: code = AlreadyExists desc = name conflicts with an existing object: service %s already exists", spec.Name)
	}
	s := &service{}
	s.ID, s.Meta = e.newID(), e.newMeta()
	s.setSpec(spec, e.index)
	if isJob(spec.Mode) {
		s.JobStatus = &swarm.JobStatus{LastExecution: e.now()}
	}
	e.services = append(e.services, s)
	e.wrote(events.ServiceEventType, events.ActionCreate, s.ID, spec.Name)
	return created(swarm.ServiceCreateResponse{ID: s.ID})
}

// accept checks a spec and writes Swarm's defaults into it.
func (e *Engine) accept(spec *swarm.ServiceSpec, current *service) error {
	if err := e.resolveNetworks(spec); err != nil {
		return err
	}
	if err := normalize(spec); err != nil {
		return err
	}
	if err := validateSpec(spec); err != nil {
		return err
	}
	if err := e.checkIngress(spec); err != nil {
		return err
	}
	if err := e.checkPorts(spec, current); err != nil {
		return err
	}
	return e.checkReferences(spec.TaskTemplate.ContainerSpec)
}

func (e *Engine) updateService(r *http.Request) (answer, error) {
	version, err := versionOf(r, "service")
	if err != nil {
		return answer{}, err
	}
	var spec swarm.ServiceSpec
	if err := decode(r, &spec); err != nil {
		return answer{}, err
	}
	i, err := e.serviceAt(r.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	s := e.services[i]
	if err := e.accept(&spec, s); err != nil {
		return answer{}, err
	}
	switch {
	case modeName(spec.Mode) != modeName(s.Spec.Mode):
		return answer{}, refuse(http.StatusNotImplemented, "rpc error: code = Unimplemented desc = service mode change is not allowed")
	case spec.Name != s.Spec.Name:
		return answer{}, refuse(http.StatusNotImplemented, "rpc error: code = Unimplemented desc = renaming services is not supported")
	}
	rollback := r.URL.Query().Get("rollback") == "previous"
	switch {
	case rollback && s.PreviousSpec == nil:
		return answer{}, refuse(http.StatusBadRequest,
			"rpc error: code = FailedPrecondition desc = service %s does not have a previous spec", s.ID)
	case version != s.Version.Index:
		return answer{}, outOfSequence()
	}
	e.replaceSpec(s, spec, rollback)
	e.wrote(events.ServiceEventType, events.ActionUpdate, s.ID, s.Spec.Name)
	return ok(swarm.ServiceUpdateResponse{})
}

// replaceSpec keeps the spec in force as PreviousSpec and clears UpdateStatus, also
// where nothing differs. A job runs again.
func (e *Engine) replaceSpec(s *service, spec swarm.ServiceSpec, rollback bool) {
	previous, previousGeneration := s.Spec, s.generation
	e.touch(&s.Meta)
	if rollback {
		s.setSpec(*s.PreviousSpec, s.previous)
		started := e.now()
		s.UpdateStatus = &swarm.UpdateStatus{
			State: swarm.UpdateStateRollbackStarted, StartedAt: &started, Message: "manually requested rollback",
		}
	} else {
		s.setSpec(spec, e.index)
		s.UpdateStatus = nil
	}
	s.PreviousSpec, s.previous = &previous, previousGeneration
	s.allocated = s.allocated && sameEndpoints(previous, s.Spec)
	if s.JobStatus != nil {
		run := *s.JobStatus
		run.JobIteration.Index++
		run.LastExecution = e.now()
		s.JobStatus = &run
	}
}

func modeName(mode swarm.ServiceMode) string {
	switch {
	case mode.Global != nil:
		return "global"
	case mode.ReplicatedJob != nil:
		return "replicated-job"
	case mode.GlobalJob != nil:
		return "global-job"
	}
	return "replicated"
}

// removeService removes the service at once, and its tasks at a later step.
func (e *Engine) removeService(r *http.Request) (answer, error) {
	i, err := e.serviceAt(r.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	s := e.services[i]
	e.services = slices.Delete(e.services, i, i+1)
	e.bump()
	e.wrote(events.ServiceEventType, events.ActionRemove, s.ID, s.Spec.Name)
	return done(http.StatusOK)
}

// inspectDistribution returns the digest of a tag in place of the registry.
func (e *Engine) inspectDistribution(r *http.Request) (answer, error) {
	image := strings.TrimSuffix(r.PathValue("rest"), "/json")
	behaviour := e.behaviour(image)
	if behaviour.Missing || behaviour.Unlisted {
		return answer{}, refuse(http.StatusInternalServerError, "Get %q: dial tcp: connection refused", "https://"+image)
	}
	if behaviour.Unknown {
		return answer{}, refuse(http.StatusNotFound, "manifest unknown: manifest unknown")
	}
	var found registry.DistributionInspect
	found.Descriptor.Digest = digest.Digest(behaviour.Digest)
	if behaviour.Digest == "" {
		found.Descriptor.Digest = digest.FromString(unpinned(image))
	}
	found.Platforms = []ocispec.Platform{{Architecture: "amd64", OS: "linux"}}
	return ok(found)
}
