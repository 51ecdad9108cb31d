package server

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"kargo"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// PhaseRound is the phase of a whole round; the other phases are its parts.
const PhaseRound = "round"

// Metrics are Kargo's metrics, in a registry of their own. What the status has is
// read from it at each scrape, so a stack that was removed leaves no series
// behind. No label holds a secret or an address, and only those of *_info hold a
// commit. A nil *Metrics accepts everything and shows nothing. Its methods may be
// called from any goroutine.
type Metrics struct {
	handler  http.Handler
	phases   *prometheus.HistogramVec
	rounds   *prometheus.CounterVec
	git      *prometheus.HistogramVec
	webhooks *prometheus.CounterVec
	entries  *prometheus.CounterVec
}

// NewMetrics makes the metrics. status returns what the controller knows. calls
// returns the number of requests to Swarm so far, by operation.
func NewMetrics(status func() kargo.Status, calls func() map[string]uint64) *Metrics {
	buckets := prometheus.ExponentialBucketsRange(0.01, 600, 12)
	m := &Metrics{
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kargo_reconcile_duration_seconds", Help: "Duration of rounds and of their phases.", Buckets: buckets,
		}, []string{"phase", "result"}),
		rounds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kargo_reconcile_total", Help: "Rounds by result.",
		}, []string{"result"}),
		git: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kargo_git_request_duration_seconds", Help: "Duration of requests to the git remote.", Buckets: buckets,
		}, []string{"op", "result"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kargo_webhook_requests_total", Help: "Webhooks received, by provider and result.",
		}, []string{"provider", "result"}),
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kargo_deployments_total", Help: "Deployments that succeeded or failed, and other entries of the history, since the process began.",
		}, []string{"kind", "outcome"}),
	}
	for _, kind := range kargo.KindsWithPlan() {
		for _, outcome := range []kargo.Outcome{kargo.OutcomeSucceeded, kargo.OutcomeFailed} {
			m.entries.WithLabelValues(string(kind), string(outcome)) // an increase from nothing to 1 is none to Prometheus
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.phases, m.rounds, m.git, m.webhooks, m.entries,
		statusCollector{status, calls, time.Now},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

// Round records how long a phase of a round took, and how it ended: "ok" or the
// name of a fault. [PhaseRound] counts rounds.
func (m *Metrics) Round(phase, result string, took time.Duration) {
	if m == nil {
		return
	}
	m.phases.WithLabelValues(phase, result).Observe(took.Seconds())
	if phase == PhaseRound {
		m.rounds.WithLabelValues(result).Inc()
	}
}

// Git records a request to the remote: "ls_remote" or "fetch".
func (m *Metrics) Git(op, result string, took time.Duration) {
	if m != nil {
		m.git.WithLabelValues(op, result).Observe(took.Seconds())
	}
}

// Deployment counts a deployment that has ended, or another entry of the history.
func (m *Metrics) Deployment(d kargo.Deployment) {
	if m != nil {
		m.entries.WithLabelValues(string(d.Kind), string(d.Outcome)).Inc()
	}
}

func (m *Metrics) webhook(provider, result string) {
	if m != nil {
		m.webhooks.WithLabelValues(provider, result).Inc()
	}
}

// statusCollector collects from the present status.
type statusCollector struct {
	status func() kargo.Status
	calls  func() map[string]uint64
	now    func() time.Time
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kargo_"+name, help, labels, nil)
}

var (
	buildInfo      = describe("build_info", "The program; the value is 1.", "version", "go_version")
	revisionInfo   = describe("revision_info", "The newest and the applied revision; the value is 1.", "role", "ref", "commit", "catalogue")
	stackInfo      = describe("stack_info", "The stacks of the applied revision; the value is 1.", "stack", "revision", "health", "in_sync")
	stackCondition = describe("stack_condition", "Whether a condition of a stack holds.", "stack", "type")
	serviceTasks   = describe("service_tasks", "Tasks of a service, running and desired.", "stack", "service", "state")
	leaderGauge    = describe("leader", "Whether this controller works, and does not stand by.")
	readyGauge     = describe("ready", "Whether a revision was ever applied.")
	faultGauge     = describe("fault", "Whether this fault stops the controller's work now.", "fault")
	stoppedGauge   = describe("stack_stopped", "Whether a person keeps the stack from changing.", "stack")
	suspendedGauge = describe("suspended", "Whether a person keeps everything from changing.")
	frozenGauge    = describe("frozen", "Whether a freeze window keeps everything from changing, by who set it.", "source")
	frozenUntil    = describe("frozen_until_timestamp_seconds", "When the freeze window ends that lasts now.")
	historyGauge   = describe("history_trouble", "Whether a file of the data directory was damaged, or cannot be written.")
	problemsGauge  = describe("revision_problems", "What is wrong, or odd, in the newest revision.", "severity")
	pendingGauge   = describe("pending_changes", "Changes that the last look would still make.")
	heldGauge      = describe("held_changes", "Changes that are held back, and whether a person can lift that.", "approvable")
	lagGauge       = describe("revision_lag_seconds", "Age of the newest commit while it is not applied, else 0.")
	gitSuccess     = describe("git_last_success_timestamp_seconds", "When git last answered.")
	lastRound      = describe("last_round_timestamp_seconds", "When the last round ended.")
	stackVerified  = describe("stack_last_verified_timestamp_seconds", "When a full look last found the stack to be as wanted.", "stack")
	imageBehind    = describe("image_behind", "Whether a newer tag than the variable holds is there, of those that are followed.", "variable", "image")
	lastVerified   = describe("last_verified_timestamp_seconds", "When the whole Swarm was last looked at.")
	swarmRequests  = describe("swarm_api_requests_total", "Requests to Swarm by operation.", "op")
)

// Describe sends nothing: what there is depends on the status.
func (c statusCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c statusCollector) Collect(out chan<- prometheus.Metric) {
	status := c.status()
	gauge := func(what *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, value, labels...)
	}
	gauge(buildInfo, 1, status.Version, runtime.Version())
	for role, revision := range map[string]kargo.Revision{"head": status.Head, "applied": status.Applied} {
		if revision.Commit != "" {
			gauge(revisionInfo, 1, role, revision.Ref, revision.Short(), revision.Catalogue)
		}
	}
	for _, stack := range status.Stacks {
		collectStack(gauge, stack)
	}
	gauge(leaderGauge, truth(status.Leader == ""))
	gauge(readyGauge, truth(status.Ready()))
	for _, fault := range []kargo.Fault{kargo.Internal, kargo.Invalid, kargo.Unavailable, kargo.Conflict} {
		gauge(faultGauge, truth(status.Fault == fault.String()), fault.String())
	}
	gauge(suspendedGauge, truth(status.Suspended != nil))
	for _, source := range []string{kargo.FreezeOfOperator, kargo.FreezeOfWorkspace} {
		gauge(frozenGauge, truth(status.Frozen != nil && status.Frozen.Window.Source() == source), source)
	}
	if status.Frozen != nil {
		gauge(frozenUntil, float64(status.Frozen.Until.UnixMilli())/1000)
	}
	gauge(historyGauge, truth(status.HistoryTrouble != ""))
	errors := len(status.Problems)
	for _, problem := range status.Problems {
		if problem.Warning {
			errors--
		}
	}
	gauge(problemsGauge, float64(errors), "error")
	gauge(problemsGauge, float64(len(status.Problems)-errors), "warning")
	gauge(pendingGauge, float64(len(status.Pending.Changes)))
	approvable := 0
	for _, hold := range status.Pending.Held {
		approvable += int(truth(hold.Until == kargo.UntilApproved))
	}
	gauge(heldGauge, float64(approvable), "true")
	gauge(heldGauge, float64(len(status.Pending.Held)-approvable), "false")
	for _, image := range status.Images {
		if image.Newest != "" {
			gauge(imageBehind, truth(image.Behind), image.Variable, image.Image)
		}
	}
	c.collectTimes(gauge, status)
	if c.calls != nil {
		for op, count := range c.calls() {
			out <- prometheus.MustNewConstMetric(swarmRequests, prometheus.CounterValue, float64(count), op)
		}
	}
}

type gaugeFunc func(what *prometheus.Desc, value float64, labels ...string)

func collectStack(gauge gaugeFunc, stack kargo.StackStatus) {
	revision := stack.Revision.Short()
	gauge(stackInfo, 1, stack.Name, revision, string(stack.Health), strconv.FormatBool(stack.InSync))
	gauge(stackCondition, truth(stack.InSync), stack.Name, "in_sync")
	gauge(stoppedGauge, truth(stack.Stop != nil), stack.Name)
	for _, health := range []kargo.Health{kargo.HealthHealthy, kargo.HealthProgressing, kargo.HealthDegraded} {
		gauge(stackCondition, truth(stack.Health == health), stack.Name, string(health))
	}
	if !stack.LastVerified.IsZero() {
		gauge(stackVerified, float64(stack.LastVerified.UnixMilli())/1000, stack.Name)
	}
	for _, service := range stack.Services {
		gauge(serviceTasks, float64(service.Running), stack.Name, service.Name, "running")
		gauge(serviceTasks, float64(service.Desired), stack.Name, service.Name, "desired")
	}
}

// collectTimes leaves out what has not happened yet: a timestamp of 0 would
// look like 1970.
func (c statusCollector) collectTimes(gauge gaugeFunc, status kargo.Status) {
	for what, when := range map[*prometheus.Desc]time.Time{
		gitSuccess: status.LastFetched, lastRound: status.LastRound, lastVerified: status.LastVerified,
	} {
		if !when.IsZero() {
			gauge(what, float64(when.UnixMilli())/1000)
		}
	}
	if status.Head.Commit == "" {
		return
	}
	lag := 0.0
	if status.Head.ID() != status.Applied.ID() {
		lag = max(0, c.now().Sub(status.Head.Time).Seconds())
	}
	gauge(lagGauge, lag)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
