package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// switches says how the server is to behave, and misbehave.
type switches struct {
	addr           string
	version        string
	printFile      string
	slowStart      after
	unhealthyAfter after
	crashAfter     after
	crashCode      int
}

// after is a moment, counted from the start of the process, that may never come.
type after struct {
	set   bool
	delay time.Duration
}

func (a after) String() string {
	if !a.set {
		return "never"
	}
	return a.delay.String()
}

// Set reads "never" or a duration as "1.5s".
func (a *after) Set(text string) error {
	if text == "never" {
		*a = after{}
		return nil
	}
	delay, err := time.ParseDuration(text)
	*a = after{set: err == nil, delay: delay}
	return err
}

// channel delivers once when the moment comes.
func (a after) channel() <-chan time.Time {
	if !a.set {
		return nil
	}
	return time.After(a.delay)
}

// parseSwitches reads flags, whose defaults are the environment's TESTSERVER_ variables.
func parseSwitches(args []string, getenv func(string) string) (switches, error) {
	var s switches
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.StringVar(&s.addr, "addr", ":80", "address to listen on")
	flags.StringVar(&s.version, "version", "dev", "version that / shows")
	flags.StringVar(&s.printFile, "print", "", "file to write to standard output before listening")
	flags.Var(&s.slowStart, "slow-start", "how long to wait before listening")
	flags.Var(&s.unhealthyAfter, "unhealthy-after", "when /health starts to answer 503")
	flags.Var(&s.crashAfter, "crash-after", "when to exit with -crash-code")
	flags.IntVar(&s.crashCode, "crash-code", 1, "exit status of a crash")
	if err := setFromEnvironment(flags, getenv); err != nil {
		return switches{}, err
	}
	return s, flags.Parse(args)
}

func setFromEnvironment(flags *flag.FlagSet, getenv func(string) string) error {
	var errs []error
	flags.VisitAll(func(f *flag.Flag) {
		name := "TESTSERVER_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := getenv(name); value != "" {
			if err := f.Value.Set(value); err != nil {
				errs = append(errs, fmt.Errorf("read %s: %w", name, err))
			}
		}
	})
	return errors.Join(errs...)
}

// serve runs the HTTP server until ctx is done or it is to crash.
func serve(ctx context.Context, args []string, out io.Writer) error {
	s, err := parseSwitches(args, os.Getenv)
	if err != nil {
		return err
	}
	if s.printFile != "" {
		if err := printFiles([]string{s.printFile}, out); err != nil {
			return err
		}
	}
	crash := s.crashAfter.channel()
	if s.slowStart.set {
		select {
		case <-s.slowStart.channel():
		case <-crash:
			return exitStatus(s.crashCode)
		case <-ctx.Done():
			return nil
		}
	}
	return listen(ctx, s, crash, out)
}

func listen(ctx context.Context, s switches, crash <-chan time.Time, out io.Writer) error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newHandler(s)}
	fmt.Fprintf(out, "testserver %s listens on %s\n", s.version, listener.Addr())

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-crash:
		return exitStatus(s.crashCode)
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	return server.Shutdown(shutdown)
}

// newHandler returns a handler of the server's pages. The clock of
// -unhealthy-after starts now.
func newHandler(s switches) http.Handler {
	var failing atomic.Bool
	if s.unhealthyAfter.set {
		time.AfterFunc(s.unhealthyAfter.delay, func() { failing.Store(true) })
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		host, _ := os.Hostname()
		fmt.Fprintf(w, "version=%s host=%s\n", s.version, host)
	})
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if failing.Load() {
			http.Error(w, "failing", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("/fail", func(http.ResponseWriter, *http.Request) { failing.Store(true) })
	mux.HandleFunc("/recover", func(http.ResponseWriter, *http.Request) { failing.Store(false) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, strings.Join(os.Environ(), "\n"))
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, r.URL.Query().Get("p"))
	})
	return mux
}
