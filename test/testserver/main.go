// Command testserver is the workload of the test bed: one static binary, an image made from scratch.
//
//	testserver [serve] [flags]    HTTP server with switches, see below
//	testserver get [URL...]       GET each URL and print the body; status 1 unless all return 2xx.
//	                              Without a URL: /health of the server in the same container
//	testserver print FILE...      write files to standard output
//	testserver exit CODE [AFTER]  exit with CODE, after a duration if one is given
//	testserver sleep              do nothing until SIGTERM
//
// The flags of serve, each also an environment variable (-slow-start is TESTSERVER_SLOW_START):
//
//	-addr :80               address to listen on
//	-version dev            what / returns
//	-slow-start never       wait that long before listening
//	-unhealthy-after never  then /health returns 503
//	-crash-after never      then exit with -crash-code
//	-crash-code 1
//	-print ""               write that file to standard output before listening
//
// The server has the pages / (version and host name), /health, /fail and /recover (switch /health),
// /env (its environment) and /file?p=PATH.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "testserver:", err)
	var status exitStatus
	if errors.As(err, &status) {
		os.Exit(int(status))
	}
	os.Exit(1)
}

// exitStatus is the error of a command that wants to end the process with that status.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit with status %d", int(s)) }

// run does one command; it returns early when ctx is done.
func run(ctx context.Context, args []string, out io.Writer) error {
	command := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	switch command {
	case "serve":
		return serve(ctx, args, out)
	case "get":
		return get(ctx, args, out)
	case "print":
		return printFiles(args, out)
	case "exit":
		return exit(ctx, args)
	case "sleep":
		<-ctx.Done()
		return nil
	}
	return fmt.Errorf("unknown command %q", command)
}

func get(ctx context.Context, urls []string, out io.Writer) error {
	if len(urls) == 0 {
		urls = []string{ownHealth(os.Getenv("TESTSERVER_ADDR"))}
	}
	client := &http.Client{Timeout: 10 * time.Second} // less than a health check has
	var errs []error
	for _, url := range urls {
		errs = append(errs, getOne(ctx, client, url, out))
	}
	return errors.Join(errs...)
}

func getOne(ctx context.Context, client *http.Client, url string, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("read URL: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(out, response.Body); err != nil {
		return fmt.Errorf("read answer of %s: %w", url, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("get %s: %s", url, response.Status)
	}
	return nil
}

// ownHealth returns the health URL of a server that listens on addr (empty: the
// default) in the same container.
func ownHealth(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		port = "80"
	}
	return "http://" + net.JoinHostPort("127.0.0.1", port) + "/health"
}

func printFiles(paths []string, out io.Writer) error {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("print file: %w", err)
		}
		if _, err := out.Write(text); err != nil {
			return fmt.Errorf("print file %s: %w", path, err)
		}
	}
	return nil
}

func exit(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("exit needs a status")
	}
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("read status: %w", err)
	}
	if len(args) > 1 {
		after, err := time.ParseDuration(args[1])
		if err != nil {
			return fmt.Errorf("read duration: %w", err)
		}
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return nil
		}
	}
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}
