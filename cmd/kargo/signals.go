package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signalError is the cause why a command ends: somebody sent it a signal.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return e.String() + " signal received" }

// Is has the error count as the end of a context.
func (signalError) Is(target error) bool { return target == context.Canceled }

// stopper ends the program when a signal says so. The first one ends the context of the
// command, which comes to an end in its own way. The second one ends the program at once:
// what waits for a file or a reader of its output does not look at a context.
type stopper struct{ signals chan os.Signal }

// sameStop is how long after a signal another one is taken for the same: a closed terminal, and
// then its shell, tell a command; so does whoever passes on what the terminal said already.
const sameStop = 200 * time.Millisecond

// stoppersKey is the key of the stopper in the context of a command.
type stoppersKey struct{}

// stoppable returns a context that ends with the first signal, and a function that gives the
// signals back. exit ends the program.
func stoppable(parent context.Context, stderr io.Writer, exit func(code int)) (ctx context.Context, end func()) {
	s := &stopper{make(chan os.Signal, 2)}
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, stoppersKey{}, s))
	signal.Notify(s.signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		var first time.Time
		for {
			select {
			case <-done:
				return
			case sent := <-s.signals:
				switch {
				case first.IsZero():
					first = time.Now()
					cancel(signalError{sent})
				case time.Since(first) > sameStop:
					say(stderr, "kargo: stopped by a second signal (%s), in the middle of what was under way", sent)
					exit(exitUnavailable)
				}
			}
		}
	}()
	return ctx, func() {
		signal.Stop(s.signals)
		close(done)
		cancel(nil)
	}
}

// stopOnHangup has a command end, too, when its terminal is closed. nohup prevents that. The
// controller means something else by the signal; see hangups.
func stopOnHangup(ctx context.Context) {
	if s, known := ctx.Value(stoppersKey{}).(*stopper); known && !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(s.signals, syscall.SIGHUP)
	}
}

// hangups returns a channel that has the SIGHUPs from now on, and a function that ends that.
func hangups() (signals chan os.Signal, end func()) {
	signals = make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
