package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kargo"
)

// betweenLooks is the time between two looks at the status while a command waits.
const betweenLooks = time.Second

// await prints what the stacks do, a line for each change, until a round has ended
// since the status before, and nothing is on its way any more. The error has exit
// code 4 if something failed, or if it takes longer than wait.
func await(ctx context.Context, controller *client, out screen, before kargo.Status, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	shown := map[string]string{}
	for {
		var status kargo.Status
		if err := controller.call(ctx, http.MethodGet, "/api/v1/status", nil, &status); err != nil && ctx.Err() == nil {
			return err
		}
		printMoves(out, status, shown)
		moving := len(status.InState(kargo.StackProgressing))+len(status.Pending.Changes) > 0
		if status.Rounds > before.Rounds && !moving && ctx.Err() == nil {
			out.line("%s", status.Sentence())
			if status.Failed() {
				return printedError{notWellError{errors.New(status.Sentence())}}
			}
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return notWellError{kargo.Errorf(kargo.Unavailable, "not settled after %s: %s", wait, status.Sentence())}
			}
			return errInterrupted
		case <-time.After(betweenLooks):
		}
	}
}

// printMoves prints the services whose state is another one than was shown before.
func printMoves(out screen, status kargo.Status, shown map[string]string) {
	first := len(shown) == 0
	for _, stack := range status.Stacks {
		for _, service := range stack.Services {
			doing := string(service.Health)
			if service.Operation != "" {
				doing = string(service.Operation)
			}
			line := fmt.Sprintf("%s  %s  %d/%d", service.Name, doing, service.Running, service.Desired)
			if service.Message != "" {
				line += "  " + firstLine(service.Message)
			}
			quiet := first && service.Health == kargo.HealthHealthy && service.Operation == ""
			if shown[service.Name] != line && !quiet {
				out.line("%s", strings.TrimSpace(line))
			}
			shown[service.Name] = line
		}
	}
}
