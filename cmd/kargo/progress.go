package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/controller"
)

// betweenLooks is the time between two looks at the status while a command waits.
const betweenLooks = time.Second

// look returns the status now, and whether nothing is on its way any more.
type look func(context.Context) (status kargo.Status, settled bool, err error)

// await shows what the services do until everything has settled. It is the one way in
// which commands wait. failed returns the error of a status, if something failed. The
// error has exit code 4 if it does, or if it takes longer than wait.
func await(stopped context.Context, live *progress, wait time.Duration, now look, failed func(kargo.Status) error) (kargo.Status, error) {
	ctx, cancel := context.WithTimeout(stopped, wait)
	defer cancel()
	defer live.clear()
	for {
		status, settled, err := now(ctx)
		switch {
		case stopped.Err() != nil:
			return status, errInterrupted
		case err != nil && ctx.Err() == nil:
			return status, err
		case ctx.Err() != nil:
			return status, notWellError{kargo.Errorf(kargo.Unavailable, "not settled after %s: %s", wait, unsettled(status))}
		}
		live.show(status, clock())
		if settled {
			return status, failed(status)
		}
		select {
		case <-ctx.Done():
		case <-time.After(betweenLooks):
		}
	}
}

// failed returns the error of a status in which a stack has failed.
func failed(status kargo.Status) error {
	for _, stack := range status.Stacks {
		if stack.Failure != nil {
			return notWellError{kargo.Errorf(kargo.Unavailable, "stack %s failed: %s", stack.Name, stack.Failure.Reason)}
		}
		if stack.Health == kargo.HealthDegraded {
			return notWellError{kargo.Errorf(kargo.Unavailable, "stack %s is degraded: %s", stack.Name, stack.Message)}
		}
	}
	return nil
}

// failedSince returns a function that returns the error of a status in which a stack has
// failed that had not before, or that a person named. What other stacks had failed before
// is not what the person waits for.
func failedSince(before kargo.Status, named string) func(kargo.Status) error {
	earlier := map[string]kargo.StackStatus{}
	for _, stack := range before.Stacks {
		earlier[stack.Name] = stack
	}
	return func(status kargo.Status) error {
		status.Stacks = slices.DeleteFunc(slices.Clone(status.Stacks), func(now kargo.StackStatus) bool {
			was := earlier[now.Name]
			sameFailure := now.Failure != nil && was.Failure != nil && now.Failure.Revision == was.Failure.Revision
			stillDegraded := now.Failure == nil && was.Failure == nil && now.Health == kargo.HealthDegraded && was.Health == kargo.HealthDegraded
			return now.Name != named && named != kargo.AllStacks && (sameFailure || stillDegraded)
		})
		return failed(status)
	}
}

// unsettled says what is still on its way.
func unsettled(status kargo.Status) error {
	var errs []error
	for _, stack := range status.Stacks {
		if stack.Health != kargo.HealthHealthy {
			errs = append(errs, fmt.Errorf("stack %s is %s: %s", stack.Name, stack.Health, stack.Message))
		}
	}
	for _, hold := range status.Pending.Held {
		errs = append(errs, errors.New(hold.String()))
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("changes are still on their way"))
	}
	return errors.Join(errs...)
}

// roundsHere looks by rounds of this process, until no rollout is running any more.
func roundsHere(r *controller.Reconciler) look {
	return func(ctx context.Context) (kargo.Status, bool, error) {
		if !r.Settled() {
			if err := r.LookAgain(ctx); err != nil && kargo.FaultOf(err) != kargo.Conflict {
				return r.Status(), false, err
			}
		}
		return r.Status(), r.Settled(), nil
	}
}

// roundsOf looks at a controller that runs: it has settled when a round has ended since
// the status before, and nothing is on its way any more.
func roundsOf(controller *client, before kargo.Status) look {
	return func(ctx context.Context) (kargo.Status, bool, error) {
		var status kargo.Status
		if err := controller.call(ctx, "GET", "/api/v1/status", nil, &status); err != nil {
			return status, false, err
		}
		moving := len(status.InState(kargo.StackProgressing))+len(status.InState(kargo.StackLeaving))+len(status.Pending.Changes) > 0
		return status, status.Rounds > before.Rounds && !moving, nil
	}
}

// waitFlag defines --wait of a command that asks a controller to do something.
func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", 0, "`duration` to wait until nothing is on its way any more, with what the services do; 0 does not wait")
}

// askAndWait sends a request to the controller, and waits until everything has settled
// if that is wanted. done is printed if it is not. named is the stack that it is about, if
// it is about one.
func (r *remoteFlags) askAndWait(cmd *cobra.Command, env map[string]string, path string, body any, named string, wait time.Duration, done string) error {
	controller, err := r.connect(cmd, env)
	if err != nil {
		return err
	}
	return controller.askAndWait(cmd, path, body, named, wait, done)
}

// askAndWait is that of remoteFlags, of a controller that is connected already.
func (c *client) askAndWait(cmd *cobra.Command, path string, body any, named string, wait time.Duration, done string) error {
	var before kargo.Status
	if wait > 0 {
		if err := c.call(cmd.Context(), "GET", "/api/v1/status", nil, &before); err != nil {
			return err
		}
	}
	if err := c.call(cmd.Context(), "POST", path, body, nil); err != nil {
		return err
	}
	out := newScreen(cmd)
	if wait == 0 {
		out.line("%s", done)
		return nil
	}
	status, err := await(cmd.Context(), newProgress(out), wait, roundsOf(c, before), failedSince(before, named))
	if err == nil {
		out.line("%s", status.Sentence())
	}
	return err
}

// progress shows what services do: on a terminal one line a service, which changes in
// place; elsewhere a line for each change.
type progress struct {
	out     screen
	began   time.Time
	drawn   int               // lines on the terminal
	shown   map[string]string // by service
	moved   map[string]bool   // services that were seen to move
	started bool
}

func newProgress(out screen) *progress {
	return &progress{out: out, began: clock(), shown: map[string]string{}, moved: map[string]bool{}}
}

// mostLines is how many services are shown at once on a terminal.
const mostLines = 16

// show shows a status.
func (p *progress) show(status kargo.Status, now time.Time) {
	var lines []string
	for _, stack := range status.Stacks {
		for _, service := range stack.Services {
			line, quiet := serviceLine(p.out, stack, service)
			if !quiet || p.started && p.shown[service.Name] != line {
				p.moved[service.Name] = true
			}
			changed := p.shown[service.Name] != line
			p.shown[service.Name] = line
			if p.moved[service.Name] {
				lines = append(lines, line)
			}
			if changed && p.moved[service.Name] && p.out.terminal == nil {
				p.out.line("%s", line)
			}
		}
	}
	p.started = true
	if p.out.terminal == nil {
		return
	}
	p.clear()
	if more := len(lines) - mostLines; more > 0 {
		lines = append(lines[:mostLines], p.out.paint(faint, fmt.Sprintf("and %d more", more)))
	}
	lines = append(lines, p.out.paint(faint, "waiting for "+roughly(now.Sub(p.began))))
	for _, line := range lines {
		fmt.Fprintln(p.out.out, p.out.fit(line))
	}
	p.drawn = len(lines)
}

// clear removes what is drawn on a terminal.
func (p *progress) clear() {
	if p.drawn > 0 {
		_, _ = io.WriteString(p.out.terminal, fmt.Sprintf("\x1b[%dA\x1b[J", p.drawn)) // up, and erase what is below
		p.drawn = 0
	}
}

// serviceLine returns what a service does in one line. It is quiet if nothing does.
func serviceLine(out screen, stack kargo.StackStatus, service kargo.ServiceStatus) (line string, quiet bool) {
	doing, colour := string(service.Health), green
	switch {
	case service.Operation != "":
		doing, colour = string(service.Operation), blue
	case service.Desired == 0 && service.Health == kargo.HealthDegraded && stack.State() == kargo.StackProgressing:
		doing, colour, service.Message = string(kargo.OperationWaiting), blue, "" // it is not there yet
	case service.Health == kargo.HealthDegraded:
		colour = red
	case service.Health == kargo.HealthProgressing:
		colour = blue
	}
	line = fmt.Sprintf("%s  %s  %d/%d", stack.Name+"/"+kargo.ShortService(service.Name), out.paint(colour, doing), service.Running, service.Desired)
	if service.Message != "" {
		line += "  " + firstLine(service.Message)
	}
	return line, service.Health == kargo.HealthHealthy && service.Operation == ""
}
