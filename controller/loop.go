package controller

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kargo"
)

// Loop runs rounds when they are due. All its methods may be called from any
// goroutine. It has one for each thing that a person can ask for, so that a command,
// the page and the API do the same.
type Loop struct {
	parts      Parts
	reconciler *Reconciler // belongs to the goroutine of runRounds
	board      *board
	interest   *interest
	follower   *follower
	cleaner    *cleaner
	notifier   *notifier
	keeper     *keeper
	happenings *happenings

	nudges      chan string            // holds one: a burst becomes one round
	changed     chan struct{}          // holds one: something changed in Swarm
	inspections chan chan<- inspector  // each gets one, between two rounds
	orders      chan func(*Reconciler) // what a person decides, between two rounds

	mu       sync.Mutex
	requests []func(*Reconciler) // for the next round, see ask
	pushers  []string            // triggers of pushes that became part of another round
}

// New makes a loop. It does nothing until Run is called.
func New(parts Parts) *Loop {
	keeper := newKeeper(parts)
	parts.Swarm = fenced{parts.Swarm, keeper}
	r := NewReconciler(parts)
	l := &Loop{
		parts: parts, keeper: keeper, reconciler: r, board: r.board, interest: r.interest, cleaner: newCleaner(parts, r.board), notifier: newNotifier(parts), happenings: newHappenings(),
		nudges: make(chan string, 1), changed: make(chan struct{}, 1), inspections: make(chan chan<- inspector), orders: make(chan func(*Reconciler)),
	}
	l.follower = newFollower(parts, r.board, l.Nudge)
	r.source.ahead, r.watches, r.supplanted = true, true, keeper.supplanted
	r.source.reader.began = func(at time.Time) { l.board.change(func(s *kargo.Status) { s.ReadingBegan = at }) }
	r.notify = func(d kargo.Deployment) {
		l.happenings.recorded(d)
		if count := parts.Effects.Count; count != nil {
			count(d)
		}
		if !d.Kind.IsNote() || d.Kind == kargo.EntryRefusal {
			l.notifier.add(d)
		}
	}
	return l
}

// WebhookTrigger is the start of the trigger of every nudge that a git host
// caused.
const WebhookTrigger = "webhook"

// Nudge asks for a round now. Trigger is the reason, for the history. If a
// nudge is lost, the round runs at the end of the interval. Several nudges that
// come close together cause one round.
func (l *Loop) Nudge(trigger string) {
	if l.keeper.leader() != "" {
		l.keeper.ask(trigger)
		return
	}
	select {
	case l.nudges <- trigger:
	default:
		l.alsoFor(trigger)
	}
}

const (
	saysPushed  = ", which says: pushed by " // the server's words in a webhook's trigger
	mostPushers = 8                          // are told of one round
)

// alsoFor keeps a trigger that becomes part of another round, if it says who pushed.
func (l *Loop) alsoFor(trigger string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(trigger, saysPushed) && len(l.pushers) < mostPushers && !slices.Contains(l.pushers, trigger) {
		l.pushers = append(l.pushers, trigger)
	}
}

// withPushers adds to the trigger of a round the pushes that became part of it.
func (l *Loop) withPushers(trigger string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, other := range l.pushers {
		if other != trigger {
			trigger += "; " + other
		}
	}
	l.pushers = nil
	return trigger
}

// Status returns a copy of what the loop knows now.
func (l *Loop) Status() kargo.Status { return l.board.status() }

// Run runs rounds until ctx ends, and then returns nil. If ctx ends while a
// plan is carried out, Run stops before the next change. All goroutines of the
// controller start and end in Run. A panic in one of them ends only its present
// work, not the process.
func (l *Loop) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for name, run := range map[string]func(context.Context){
		"rounds": l.runRounds, "reading": l.reconciler.source.reader.run, "events": l.watch, "tags": l.follower.run, "clean-up": l.clean, "notifications": l.notifier.run,
		"lease": l.keepLease,
	} {
		group.Go(func() error { l.guard(ctx, name, run); return nil })
	}
	err := group.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastNotifyTime)
	defer cancel()
	l.keeper.release(last)
	return err
}

// keepLease keeps the lease of the instance, or watches who has it.
func (l *Loop) keepLease(ctx context.Context) { l.keeper.run(ctx, l.Nudge) }

// guard runs one of the goroutines, and begins it anew after a panic, with
// growing pauses.
func (l *Loop) guard(ctx context.Context, name string, run func(context.Context)) {
	survive := func() (panicked bool) {
		defer func() {
			if cause := recover(); cause != nil {
				l.parts.Log.Error("panic", "in", name, "cause", fmt.Sprint(cause))
				panicked = true
			}
		}()
		run(ctx)
		return false
	}
	for panics := 1; survive() && ctx.Err() == nil; panics++ {
		sleep(ctx, backOff(panics, slowestRetry))
	}
}

// runRounds runs a round whenever one is due.
func (l *Loop) runRounds(ctx context.Context) {
	if err := l.reconciler.noteSettings(); err != nil {
		l.parts.Log.Error("changed settings not recorded", "error", err)
	}
	l.keeper.awaitFirstTry(ctx)
	trigger, ask := "start", true
	for {
		wait, postponed := l.round(ctx, trigger)
		if l.handOver(ask) {
			ask = false
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case reply := <-l.inspections:
			reply <- l.reconciler.inspector()
			trigger = ""
		case do := <-l.orders:
			do(l.reconciler)
			l.reconciler.report()
			trigger = l.reconciler.approval.trigger()
		case trigger = <-l.nudges:
			trigger = l.withPushers(l.restAfterPush(ctx, trigger))
			// A push, be it Kargo's own, says nothing about Swarm; a person who
			// asks for a round wants to know.
			if !strings.HasPrefix(trigger, WebhookTrigger) && trigger != tagsWritten {
				l.reconciler.work.everything()
				ask = true
			}
			l.reconciler.work.git = true
			l.reconciler.pace.git, l.reconciler.pace.asked = time.Time{}, 0
		case <-l.keeper.changed:
			trigger = "lease"
		case got := <-l.reconciler.source.reader.readings:
			l.reconciler.source.arrived = &got
			trigger = got.trigger
		case <-l.changed:
			trigger = "swarm event"
			l.restABit(ctx)
			l.reconciler.work.lookAt(l.interest.depth())
		case <-timer.C:
			if due := l.reconciler.expire(time.Now()); !postponed {
				trigger = due
			}
		}
		timer.Stop()
	}
}

// standBy says who leads in place of this controller, and has those who work beside
// the rounds do nothing.
func (l *Loop) standBy(leader string) {
	l.follower.hand(following{})
	l.board.change(func(s *kargo.Status) { s.Leader, s.Fault, s.Message = leader, "", "" })
}

// handOver gives what is in force to those who work beside the rounds. It reports
// whether anything is.
func (l *Loop) handOver(ask bool) (known bool) {
	if !l.keeper.leads() {
		return false
	}
	l.keeper.share(l.reconciler.leave())
	following, known := l.reconciler.following(ask)
	if known {
		l.follower.hand(following)
	}
	if l.cleaner.isDue() {
		if cleaning, known := l.reconciler.cleaning(); known {
			l.cleaner.hand(cleaning)
		}
	}
	return known
}

// round runs one round, and returns how long to wait for the next. An empty
// trigger means that no round is due. The round is postponed if git may answer soon
// what it is about.
func (l *Loop) round(ctx context.Context, trigger string) (wait time.Duration, postponed bool) {
	if trigger == "" {
		return l.reconciler.untilDue(time.Now()), false
	}
	if leader := l.keeper.leader(); leader != "" {
		l.standBy(leader)
		return l.parts.Behavior.Verify, false
	}
	if left, outdated := l.keeper.takeOutdated(); outdated {
		trigger = "take-over"
		l.reconciler.forget(left)
	}
	started := time.Now()
	l.board.change(func(s *kargo.Status) { s.RoundBegan = started })
	defer func() { l.board.change(func(s *kargo.Status) { s.RoundBegan = time.Time{} }) }()
	for _, request := range l.takeRequests() {
		request(l.reconciler)
	}
	limited, cancel := context.WithTimeout(ctx, kargo.RoundTime)
	defer cancel()
	if l.reconciler.approval.waiting != nil {
		l.reconciler.work.lookAt(lookEverywhere)
	}
	ended := l.reconciler.round(limited, trigger)
	if !ended.waits {
		l.reconciler.refuseApproval(ended.err)
	}
	if ctx.Err() != nil {
		return 0, false
	}
	if ended.err != nil && limited.Err() != nil {
		ended.err = kargo.Errorf(kargo.Unavailable, "the round was stopped after %s, its deadline: %v", kargo.RoundTime, ended.err)
		ended.swarm = ended.err
	}
	wait = l.reconciler.rest(time.Now(), ended)
	if ended.waits {
		return wait, true
	}
	source := l.reconciler.sourceErr()
	err := joined(ended.err, source)
	l.parts.measure("round", started, err)
	l.logFailure(ctx, trigger, err)
	l.board.change(func(s *kargo.Status) {
		s.Rounds++
		s.LastRound = started
		s.NextRound = time.Now().Add(wait)
		s.Fault, s.Message, s.Leader = "", "", ""
		s.GitTrouble, s.SwarmTrouble, s.DiskTrouble = troubleOf(source), troubleOf(ended.swarm), troubleOf(ended.disk)
		if isOfDisk(source) { // git answered, and what it sent could not be kept
			s.GitTrouble, s.DiskTrouble = "", troubleOf(joined(source, ended.disk))
		}
		if err != nil {
			s.Fault, s.Message = kargo.FaultOf(err).String(), kargo.Explain(err)
		}
	})
	return wait, false
}

// troubleOf returns an error that says that something cannot be reached, as text, and
// "" for every other one.
func troubleOf(err error) string {
	if err == nil || kargo.FaultOf(err) != kargo.Unavailable {
		return ""
	}
	return kargo.Explain(err)
}

// logFailure logs an error once, and with less weight as long as it stays the
// same.
func (l *Loop) logFailure(ctx context.Context, trigger string, err error) {
	if err == nil {
		return
	}
	level := slog.LevelError
	if l.Status().Message == kargo.Explain(err) {
		level = slog.LevelDebug
	}
	l.parts.Log.Log(ctx, level, "round failed", "trigger", trigger, "fault", kargo.FaultOf(err).String(), "error", err)
}

// restAfterPush lets a push wait if there was another one just now, and returns
// the trigger of the round to come. A person who nudges meanwhile does not wait.
func (l *Loop) restAfterPush(ctx context.Context, trigger string) string {
	pace := &l.reconciler.pace
	timer := time.NewTimer(time.Until(pace.push.Add(pushRest)))
	defer timer.Stop()
	for strings.HasPrefix(trigger, WebhookTrigger) {
		select {
		case <-ctx.Done():
			return trigger
		case <-timer.C:
			pace.push = time.Now()
			return trigger
		case next := <-l.nudges:
			l.alsoFor(trigger)
			trigger = next
		}
	}
	return trigger
}

// restABit lets the events of one cause arrive together.
func (l *Loop) restABit(ctx context.Context) {
	sleep(ctx, eventRest)
	select {
	case <-l.changed:
	default:
	}
}

// watch turns Swarm's events into looks, and the break of their stream too:
// what happened meanwhile is unknown. While Docker is away it asks less and less
// often.
func (l *Loop) watch(ctx context.Context) {
	for pause := watchRetry; ctx.Err() == nil; pause = min(2*pause, slowestDocker) {
		began := time.Now()
		err := l.parts.Watcher.Watch(ctx, func(event kargo.Event) {
			l.parts.Log.Debug("swarm event", "what", event.String())
			if l.interest.concerns(event) {
				l.happenings.sawEvent(event, l.Status().Stacks)
				l.look()
			}
		})
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > slowestRetry {
			pause = watchRetry // it worked; Docker has not been away for long
		}
		l.parts.Log.Debug("event stream ended", "error", err, "again", pause)
		sleep(ctx, pause)
		l.look()
	}
}

// clean removes old images when their time has come.
func (l *Loop) clean(ctx context.Context) { l.cleaner.run(ctx, l.look) }

// look asks for a look at Swarm.
func (l *Loop) look() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// sleep waits for a time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
