package controller

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kargo"
	"kargo/compile"
	"kargo/plan"
)

// Source is where revisions come from.
type Source interface {
	// Head returns the newest revision: what the tracked refs point to now.
	Head(ctx context.Context) (kargo.RevisionID, error)
	// Fetch returns that revision with its files. It uses no network for one
	// that was fetched before.
	Fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error)
	// Protect names the revisions that must stay available without the network
	// until it is called again.
	Protect(revisions ...kargo.RevisionID)
}

// Swarm is what plans are made from and carried out on.
type Swarm interface {
	// Observe is the full look.
	Observe(ctx context.Context) (kargo.Cluster, error)
	// Services is the light look, one call: enough to see whether anything
	// moved and how a rollout goes.
	Services(ctx context.Context) ([]kargo.LiveService, error)
	// Nodes are the nodes with their labels.
	Nodes(ctx context.Context) ([]kargo.LiveNode, error)
	// Apply carries a plan out and tells of each change. It decides nothing.
	Apply(ctx context.Context, plan kargo.Plan, done func(kargo.Change, error)) error
	// Tasks are all tasks of the services, the newest first.
	Tasks(ctx context.Context, services ...string) ([]kargo.Task, error)
	// Images asks the registries of images what their tags mean.
	Images(ctx context.Context, names ...string) (map[string]kargo.Image, error)
	// LogTail is the end of a task's log.
	LogTail(ctx context.Context, task string, lines int) ([]string, error)
}

// Watcher tells when something stirs in Swarm. Watch returns when the stream
// of events breaks.
type Watcher interface {
	Watch(ctx context.Context, stirred func(kargo.Event)) error
}

// Recorder keeps deployments and what must be remembered.
type Recorder interface {
	Begin(kargo.Deployment) (kargo.Deployment, error)
	Record(kargo.Deployment, kargo.Memory) error
}

// Renderings keeps the last good rendering of each stack.
type Renderings interface {
	KeepGood(kargo.Stack) error
	Good(stack string) (*kargo.Stack, error)
}

// Attempts counts how often the reading of a revision began without ending: a
// revision that kills the process must not do so for ever.
type Attempts interface {
	Attempt(commit string) (int, error)
	Survived() error
}

// Config is what a controller is made of.
type Config struct {
	Source     Source
	Swarm      Swarm
	Watcher    Watcher
	Recorder   Recorder
	Renderings Renderings
	Attempts   Attempts
	Compiler   compile.Compiler
	// After runs the after hooks of one stack; nil where none may run.
	After func(context.Context, kargo.Workspace, string) ([]kargo.HookRun, error)
	// Registry and Committer follow the tags of images, where the workspace
	// asks for it; without a Registry nobody does. It is asked at the start,
	// every ImagesInterval, and at a person's word.
	Registry       Registry
	Committer      Committer
	ImagesInterval time.Duration
	// Clean has old images removed from all nodes, by CleanSchedule and of
	// CleanAge at least; nil cleans nothing.
	Clean         func(context.Context, kargo.Cleaning) ([]kargo.NodeReport, error)
	CleanSchedule Schedule
	CleanAge      time.Duration

	// Memory is what an earlier process left, Unfinished the deployment that
	// it left in the middle; the loop goes on with both.
	Memory     kargo.Memory
	Unfinished *kargo.Deployment
	// Try reads a revision where it can do no harm, before it is read here. An
	// error says why it must not be. nil reads at once.
	Try func(ctx context.Context, revision kargo.RevisionID, protect ...kargo.RevisionID) error
	// MaskKey is the key of masked secrets.
	MaskKey []byte
	// Credential is what nodes get with a service to pull an image now.
	Credential func(image string) (kargo.Credential, error)
	// Approved answers the ID of the plan that a person approved last.
	Approved func() (string, error)
	// Write puts the merged configuration on disk.
	Write func(kargo.Workspace) error
	// Notify tells the world how a deployment ended. It must not block.
	Notify func(kargo.Deployment)
	// Measure takes the duration of one phase of a round.
	Measure func(phase, result string, took time.Duration)

	Instance   string
	Version    string
	Repository string // as it may be shown
	// Poll is when to ask git next.
	Poll Schedule
	// Governor bounds removals; nil means the planner's default.
	Governor *plan.Governor
	// Verify is how often the whole Swarm is looked at even if nothing stirs.
	Verify time.Duration
	Log    *slog.Logger
}

// Controller keeps a Swarm equal to a repository.
type Controller struct {
	Config
	nudges  chan string   // holds one: a burst becomes one round
	stirred chan struct{} // holds one

	// moving are the objects of a rollout that is being looked at, by
	// Change.Key: their events say nothing new. Empty while nothing moves.
	moving     sync.Map
	nodesMoved atomic.Bool // an event told of a node
	// names are those of all that Kargo wants or owns, by Change.Key, as of the
	// last look; nil before it.
	names atomic.Pointer[map[kargo.ObjectKey]bool]

	// The rest belongs to the goroutine that runs rounds.
	memory   plan.Memory
	verified map[string]time.Time // by stack: when a full look found it as wanted
	head     kargo.Revision       // newest revision read, sound or not
	unsound  bool                 // the head could not be fetched, or has problems
	desired  *compile.Desired     // what is in force, or about to be; nil until known
	rendered []kargo.Stack        // the desired stacks as rendered, see followTags
	cluster  kargo.Cluster        // as seen last
	open     *kargo.Deployment
	lasting  error // what of the open deployment's error stays; see lasting
	due      due
	failures int // faults in a row, for the back-off
	// unrestorable: reading the last good revision ended Kargo too often.
	unrestorable bool
	narrowing
	hookFailure error // of after hooks, until the deployment ends
	// unlabelled: no node has labels of this instance, as far as is known.
	unlabelled bool

	follower *follower
	cleaner  *cleaner

	mu     sync.Mutex
	status kargo.Status
	asked  []func() // see ask
}

// New makes a controller. It does nothing until Run or Round is called.
func New(config Config) *Controller {
	c := &Controller{
		Config:  config,
		open:    config.Unfinished,
		nudges:  make(chan string, 1),
		stirred: make(chan struct{}, 1),
		memory:  plan.Memory{Memory: config.Memory, Session: plan.NewSession()},
	}
	if c.memory.Sent == nil {
		c.memory.Sent = kargo.Sent{}
	}
	if c.memory.Rollouts == nil {
		c.memory.Rollouts = map[string]kargo.Rollout{}
	}
	if c.Measure == nil {
		c.Measure = func(string, string, time.Duration) {}
	}
	if c.Notify == nil {
		c.Notify = func(kargo.Deployment) {}
	}
	if c.Approved == nil {
		c.Approved = func() (string, error) { return "", nil }
	}
	c.status = kargo.Status{
		Version: c.Version, Instance: c.Instance, Repository: c.Repository,
		Applied: c.memory.Applied.Revision, Stacks: []kargo.StackStatus{},
	}
	c.due.everything()
	c.follower, c.cleaner = newFollower(c), newCleaner()
	return c
}

// WebhookTrigger begins the trigger of every nudge that came from a git host.
const WebhookTrigger = "webhook"

// Nudge asks for a round now. It carries nothing: losing one costs an
// interval, and a burst of them becomes one round.
func (c *Controller) Nudge(trigger string) {
	select {
	case c.nudges <- trigger:
	default:
	}
}

// Status is a copy of what the controller knows now.
func (c *Controller) Status() kargo.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Run runs rounds until ctx ends. It returns within a call's own deadline
// after that; a plan being carried out stops before its next change.
func (c *Controller) Run(ctx context.Context) error {
	go c.watch(ctx)
	if c.Registry != nil {
		go c.follower.run(ctx)
	}
	if c.Clean != nil {
		go c.clean(ctx)
	}
	trigger, ask := "start", true
	for {
		wait := c.guardedRound(ctx, trigger)
		c.handOver(ask)
		c.handCleaning()
		ask = false
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case trigger = <-c.nudges:
			trigger = c.restAfterPush(ctx, trigger)
			c.due.git = true
			// A push, be it Kargo's own, says nothing about Swarm; a person who
			// asks for a round wants to know.
			if !strings.HasPrefix(trigger, WebhookTrigger) && trigger != tagsWritten {
				c.due.everything()
				ask = true
			}
		case <-c.stirred:
			trigger = "swarm event"
			c.due.look = true
			c.restABit(ctx)
		case <-timer.C:
			trigger = c.due.expire(time.Now())
		}
		timer.Stop()
	}
}

// restABit lets the events of one cause arrive together.
func (c *Controller) restABit(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(eventRest):
	}
	select {
	case <-c.stirred:
	default:
	}
}

// watch turns Swarm's events into stirs, and the break of their stream too:
// what happened meanwhile is unknown.
func (c *Controller) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.Watcher.Watch(ctx, func(event kargo.Event) {
			c.Log.Debug("swarm event", "what", event.String())
			c.nodeStirred(event)
			if c.matters(event) {
				c.stir()
			}
		})
		if ctx.Err() != nil {
			return
		}
		c.Log.Debug("event stream ended", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(watchRetry):
			c.stir()
		}
	}
}

func (c *Controller) stir() {
	select {
	case c.stirred <- struct{}{}:
	default:
	}
}

// guardedRound runs one round and answers how long to wait for the next. A
// panic ends the round and not the process.
func (c *Controller) guardedRound(ctx context.Context, trigger string) time.Duration {
	started := time.Now()
	err := c.Round(ctx, trigger)
	if ctx.Err() != nil {
		return 0
	}
	result := "ok"
	if err != nil {
		result = kargo.FaultOf(err).String()
		c.logFailure(trigger, result, err)
	}
	c.Measure("round", result, time.Since(started))
	wait := c.wait(time.Now(), err)
	c.publish(func(s *kargo.Status) {
		s.Rounds++
		s.LastRound = started
		s.NextRound = time.Now().Add(wait)
		s.Fault, s.Message = "", ""
		if err != nil {
			s.Fault, s.Message = result, kargo.Explain(err)
		}
	})
	return wait
}

// logFailure says once what went wrong, and only in passing that it still is.
func (c *Controller) logFailure(trigger, fault string, err error) {
	level := slog.LevelError
	if c.Status().Message == kargo.Explain(err) {
		level = slog.LevelDebug
	}
	c.Log.Log(context.Background(), level, "round failed", "trigger", trigger, "fault", fault, "error", err)
}

func (c *Controller) publish(change func(*kargo.Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.status)
}

// Round does what is due: it is Run without the waiting. Its error has the
// worst fault it met; what could be done in spite of it is done.
func (c *Controller) Round(ctx context.Context, trigger string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(err, kargo.Errorf(kargo.Internal, "panic in round: %v", p))
		}
	}()
	c.doAsked()
	before := c.desired
	sourceErr := c.pull(ctx, trigger)
	if c.desired == nil {
		return sourceErr
	}
	if c.desired != before {
		c.due.values = false // they were just read
	}
	changed, err := c.refresh(ctx)
	if changed {
		trigger = valuesChanged
	}
	sourceErr = joined(sourceErr, err)
	return joined(c.reconcile(ctx, trigger), sourceErr)
}

// joined joins two errors, and leaves one alone as it is.
func joined(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}

// Settled tells whether nothing was on its way any more when last looked.
func (c *Controller) Settled() bool { return !c.due.unsettled }

// LookAgain is a Round that only looks at Swarm: at what the last one set in
// motion.
func (c *Controller) LookAgain(ctx context.Context) error {
	c.due.look = true
	return c.Round(ctx, "rollout")
}

// measured times one phase of a round.
func measured[T any](c *Controller, phase string, do func() (T, error)) (T, error) {
	started := time.Now()
	answer, err := do()
	result := "ok"
	if err != nil {
		result = kargo.FaultOf(err).String()
	}
	c.Measure(phase, result, time.Since(started))
	return answer, err
}
