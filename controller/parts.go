package controller

import (
	"context"
	"log/slog"
	"time"

	"kargo"
	"kargo/compile"
	"kargo/plan"
	"kargo/schedule"
)

// Source is where revisions come from: the repositories of a workspace.
type Source interface {
	// Head returns the newest revision: what the tracked refs point to now.
	Head(ctx context.Context) (kargo.RevisionID, error)
	// Fetch returns that revision with its files. It uses no network for one
	// that was fetched before.
	Fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error)
	// CheckAfter returns an error unless a revision may follow the one in force.
	// The error is Invalid if a person must decide. It may ask the remote.
	CheckAfter(ctx context.Context, inForce, next kargo.RevisionID) error
	// Commits returns the commits that one revision adds to another, the newest
	// first, and whether these are all. It may ask the remote.
	Commits(ctx context.Context, from, to kargo.RevisionID) (commits []kargo.Commit, complete bool, err error)
	// Protect names the revisions that must stay available without the network
	// until it is called again.
	Protect(revisions ...kargo.RevisionID)
}

// Swarm is the Swarm that plans are made from and carried out on.
type Swarm interface {
	// Observe reads all objects.
	Observe(ctx context.Context) (kargo.Cluster, error)
	// Services reads the services only, with one call: those of the names, or all if
	// there are none. That is enough to see whether anything changed and how a rollout
	// proceeds.
	Services(ctx context.Context, only ...string) ([]kargo.LiveService, error)
	// Complete returns what Observe does, with the services that were just read.
	Complete(ctx context.Context, services []kargo.LiveService) (kargo.Cluster, error)
	// Nodes returns the nodes with their labels.
	Nodes(ctx context.Context) ([]kargo.LiveNode, error)
	// Apply carries out a plan. It calls sending with the changes that are sent next,
	// one or several side by side, and done after each change, in the order of the plan.
	// It decides nothing.
	Apply(ctx context.Context, plan kargo.Plan, sending func([]kargo.Change), done func(kargo.Change, error)) error
	// Tasks returns all tasks of the services, the newest first.
	Tasks(ctx context.Context, services ...string) ([]kargo.Task, error)
	// MarkOutdated marks those of the tasks of services that Swarm has still to replace,
	// because they are not of the services' present specs. Others stay as they are.
	MarkOutdated(ctx context.Context, tasks []kargo.Task, services ...string) error
	// Images asks registries for the digests of image tags.
	Images(ctx context.Context, names ...string) (map[string]kargo.Image, error)
	// Probes returns the last health checks of a container, the newest first, if
	// they can be read from here.
	Probes(ctx context.Context, container string) ([]kargo.Probe, error)
	// Volumes returns the volumes of the node of the engine that is asked; none where
	// a proxy in front of it hides them.
	Volumes(ctx context.Context) ([]kargo.LiveVolume, error)
	// LogTail returns the end of a task's log.
	LogTail(ctx context.Context, task string, lines int) ([]string, error)
}

// Watcher reports when something changes in Swarm. Watch returns when the
// stream of events breaks.
type Watcher interface {
	Watch(ctx context.Context, changed func(kargo.Event)) error
}

// Recorder keeps deployments and what must be remembered.
type Recorder interface {
	// Begin records a new deployment and returns it with its number.
	Begin(kargo.Deployment) (kargo.Deployment, error)
	// Announce records changes of a deployment that are about to be sent, one after the
	// other or side by side, so that it costs less to record each of them.
	Announce(deployment uint64, changes []kargo.Change) error
	// Sending records which change of a deployment is under way.
	Sending(deployment uint64, next kargo.Change) error
	// Made records that a change was made, what is remembered of its service
	// (nil: nothing), and which change is under way now (nil: none). It costs
	// the same however large the deployment is.
	Made(deployment uint64, change kargo.Change, sent *kargo.SentSpec, next *kargo.Change) error
	// Record records a deployment and the memory as a whole.
	Record(kargo.Deployment, kargo.Memory) error
}

// Deployments has what was recorded.
type Deployments interface {
	// Deployment returns the one with that number, or nil if it is not kept.
	Deployment(number uint64) (*kargo.Deployment, error)
	// RevisionNamed returns the revision that was deployed last of those whose commits
	// begin with start, or "".
	RevisionNamed(start string) (kargo.RevisionID, error)
}

// Renderings stores the renderings of each stack that came up and stayed up.
type Renderings interface {
	// Keep keeps renderings, of which the stack and the revision are set, that their stacks
	// can go back to. Kept returns those of a stack, the newest first.
	Keep(renderings ...kargo.KeptRendering) error
	Kept(stack string) ([]kargo.KeptRendering, error)
	// Rendering returns the one with a digest, or nil if it is not kept.
	Rendering(stack, digest string) (*kargo.Stack, error)
}

// Attempts counts how often the reading of a revision began and did not end.
// With it, a revision that kills the process cannot do so forever.
type Attempts interface {
	// Attempt records that a reading begins. It returns how often that reading
	// has begun without an end.
	Attempt(reading string) (int, error)
	// Survived records that a reading has ended. It does not change the counts
	// of other readings.
	Survived(reading string) error
}

// Approvals stores which plan a person approved.
type Approvals interface {
	// Approve records that a person approved a plan.
	Approve(plan, by string, at time.Time) error
	// Approved returns the ID of the plan whose approval is in force at a time,
	// or "".
	Approved(at time.Time) (string, error)
}

// Store is the state in the data directory.
type Store interface {
	Recorder
	Deployments
	Renderings
	Attempts
	Approvals
}

// Registry lists the tags of an image's repository.
type Registry interface {
	Tags(ctx context.Context, image string) ([]string, error)
}

// Parts is everything that a controller is made of: the systems that it uses,
// and its settings.
type Parts struct {
	Source   Source
	Swarm    Swarm
	Watcher  Watcher
	Store    Store // may be nil for Reconciler.Preview alone
	Compiler compile.Compiler
	Effects  Effects
	Tags     Tags
	Cleaning Cleaning
	// TaskLog reads the log of a task, for people; nil where nobody asks. It ends with
	// the log or with ctx.
	TaskLog func(ctx context.Context, task string, options kargo.LogOptions, each func(kargo.LogLine)) error
	// Leadership is for a Loop alone: commands work beside every controller.
	Leadership Leadership
	Behavior   Behavior
	// Memory is what an earlier process left. Unfinished is the deployment that
	// it did not finish. Rounds continue with both.
	Memory     kargo.Memory
	Unfinished *kargo.Deployment
	Log        *slog.Logger
}

// Trial is a revision to try, and what is known.
type Trial struct {
	Revision kargo.RevisionID
	// Protect are revisions that must stay available.
	Protect []kargo.RevisionID
	// Fetched is called once the revision was fetched without harm, and may itself fetch
	// it. It returns whether the revision must be compiled, and from what the stacks of
	// the last one were rendered: those that are the same need no trial.
	Fetched func(context.Context) (compileIt bool, known []compile.Known, err error)
}

// Effects are the effects of a round, except those on Swarm and the store. A
// nil function means that there is no such effect.
type Effects struct {
	// Try reads a revision where it can do no harm, before it is read here. An
	// error says why it must not be read.
	Try func(ctx context.Context, trial Trial) error
	// Write puts the merged configuration on disk.
	Write func(kargo.Workspace) error
	// After runs the after hooks of one stack.
	After func(ctx context.Context, workspace kargo.Workspace, stack string) ([]kargo.HookRun, error)
	// Credentials returns a function for one look: it returns the credential that nodes
	// receive with a service to pull an image now.
	Credentials func() func(image string) (kargo.Credential, error)
	// Notify reports how a deployment ended, or that a revision is refused. Loop.Run calls
	// it beside the rounds, one deployment after the other.
	Notify func(context.Context, kargo.Deployment)
	// Count takes every deployment that has ended, and every other entry of the history.
	Count func(kargo.Deployment)
	// Measure records the duration of one phase of a round.
	Measure func(phase, result string, took time.Duration)
}

// Tags says how Kargo follows the tags of images, if the workspace asks for it.
// Without a Registry it does not.
type Tags struct {
	Registry  Registry
	Committer compile.Committer
	// Interval is how often the registries are asked. They are also asked at the
	// start, and when a person asks for a round.
	Interval time.Duration
}

// Cleaning says how old images are removed from the nodes. They are not removed
// if Clean is nil.
type Cleaning struct {
	Clean    func(context.Context, kargo.Cleaning) ([]kargo.NodeReport, error)
	Schedule Schedule
	Age      time.Duration // of the images, at least
}

// Behavior is what the operator set.
type Behavior struct {
	// Instance is the name under which the controller owns objects.
	Instance   string
	Version    string // of the program
	Repository string // as it may be shown
	// Poll is the schedule on which git is asked.
	Poll Schedule
	// Verify is the interval at which the whole Swarm is observed even if
	// nothing changes.
	Verify time.Duration
	// Freeze are the times in which nothing may change; the workspace has more.
	Freeze []schedule.Window
	// Governor bounds removals; nil means the planner's default.
	Governor *plan.Governor
	// Settings are the operator's, by name, as they may be shown; nil where
	// nobody asks whether they changed.
	Settings map[string]string
}

// Remembered returns the revisions that an earlier process worked on: the one in force,
// and one that it had begun to carry out.
func (p Parts) Remembered() (revisions []kargo.RevisionID) {
	for _, revision := range []kargo.RevisionID{p.Memory.Applied.Revision.ID(), begunIn(p)} {
		if revision != "" {
			revisions = append(revisions, revision)
		}
	}
	return revisions
}

// measured times one phase of a round.
func measured[T any](p Parts, phase string, do func() (T, error)) (T, error) {
	started := time.Now()
	value, err := do()
	p.measure(phase, started, err)
	return value, err
}

func (p Parts) measure(phase string, started time.Time, err error) {
	if p.Effects.Measure == nil {
		return
	}
	result := "ok"
	if err != nil {
		result = kargo.FaultOf(err).String()
	}
	p.Effects.Measure(phase, result, time.Since(started))
}

// withoutEffects returns parts that change nothing, neither on a disk nor in
// Swarm.
func (p Parts) withoutEffects() Parts {
	p.Store = readOnly{p.Store}
	p.Source = unprotected{p.Source}
	p.Effects = Effects{Credentials: p.Effects.Credentials, Try: p.Effects.Try}
	p.Log = slog.New(slog.DiscardHandler)
	return p
}

// readOnly is a store that keeps nothing. Without a store below it nothing is
// known.
type readOnly struct{ Store }

func (s readOnly) Rendering(stack, digest string) (*kargo.Stack, error) {
	if s.Store == nil {
		return nil, nil
	}
	return s.Store.Rendering(stack, digest)
}

func (s readOnly) Approved(at time.Time) (string, error) {
	if s.Store == nil {
		return "", nil
	}
	return s.Store.Approved(at)
}

func (s readOnly) Deployment(number uint64) (*kargo.Deployment, error) {
	if s.Store == nil {
		return nil, nil
	}
	return s.Store.Deployment(number)
}

func (s readOnly) RevisionNamed(start string) (kargo.RevisionID, error) {
	if s.Store == nil {
		return "", nil
	}
	return s.Store.RevisionNamed(start)
}

func (readOnly) Begin(d kargo.Deployment) (kargo.Deployment, error) { return d, nil }
func (readOnly) Announce(uint64, []kargo.Change) error              { return nil }
func (readOnly) Sending(uint64, kargo.Change) error                 { return nil }
func (readOnly) Record(kargo.Deployment, kargo.Memory) error        { return nil }
func (readOnly) Made(uint64, kargo.Change, *kargo.SentSpec, *kargo.Change) error {
	return nil
}
func (s readOnly) Kept(stack string) ([]kargo.KeptRendering, error) {
	if s.Store == nil {
		return nil, nil
	}
	return s.Store.Kept(stack)
}

func (readOnly) Keep(...kargo.KeptRendering) error           { return nil }
func (readOnly) Attempt(string) (int, error)                 { return 1, nil }
func (readOnly) Survived(string) error                       { return nil }
func (readOnly) Approve(plan, by string, at time.Time) error { return nil }

// unprotected is a source in which what is protected stays as it is.
type unprotected struct{ Source }

func (unprotected) Protect(...kargo.RevisionID) {}
