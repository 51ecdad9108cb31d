package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kargo"
)

// stream sends a GET request whose response is a JSON document on each line, and calls
// a function for each, until the response or ctx ends.
func stream[T any](ctx context.Context, c *client, path string, each func(T) error) error {
	c.http.Timeout = 0 // it may have no end
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	switch {
	case ctx.Err() != nil:
		return nil // the person has seen enough
	case err != nil:
		return fmt.Errorf("%w: %w", errNoController, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return refusal(response)
	}
	for decoder := json.NewDecoder(response.Body); ; {
		var document T
		err := decoder.Decode(&document)
		switch {
		case err == io.EOF, ctx.Err() != nil:
			return nil
		case err != nil:
			return kargo.Errorf(kargo.Unavailable, "read the response of the controller: %w", err)
		}
		if err := each(document); err != nil {
			return err
		}
	}
}

// followFlags are those of a command that prints what happens.
type followFlags struct {
	remoteFlags
	since  string
	follow bool
}

func (f *followFlags) define(cmd *cobra.Command, env map[string]string) {
	f.flags(cmd.Flags())
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on until interrupted")
	cmd.Flags().StringVar(&f.since, "since", "", "`duration` before now (2h), or a time (2026-11-26T12:00:00Z), from which on to print")
	cmd.ValidArgsFunction = f.completeStacks(env)
}

// query returns the parameters of the request.
func (f *followFlags) query(stack string) (url.Values, error) {
	query := url.Values{"stack": {stack}, "follow": {strconv.FormatBool(f.follow)}}
	if f.since != "" {
		since, err := kargo.ParseSince(f.since, clock())
		if err != nil {
			return nil, usagef("--since: %w", err)
		}
		query.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	return query, nil
}

func logsCommand(env map[string]string) *cobra.Command {
	f := &followFlags{}
	var output output
	var tail int
	cmd := &cobra.Command{
		Use: "logs STACK[/SERVICE]", Short: "Print what the tasks of a stack wrote", GroupID: "controller",
		Long: `Logs prints what the tasks of a stack, or of one of its services, wrote to standard
output and standard error, sorted by time. The controller reads them, so it needs no
Docker here. Values that are secret in the workspace are shown as "***" and a digest.`,
		Example: "  kargo logs shop\n  kargo logs shop/web -f --tail 20\n  kargo logs shop --since 10m",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("which stack? name one, or STACK/SERVICE")
			}
			if tail < 0 {
				return usagef("--tail takes a number of lines, or 0 for all, not %d", tail)
			}
			stack, service, _ := strings.Cut(args[0], "/")
			query, err := f.query(stack)
			if err != nil {
				return err
			}
			query.Set("service", service)
			query.Set("tail", strconv.Itoa(tail))
			if err := f.prepare(cmd, env); err != nil {
				return err
			}
			controller, err := f.client(f.dataDir)
			if err != nil {
				return err
			}
			out := newScreen(cmd)
			return stream(cmd.Context(), controller, "/api/v1/logs?"+query.Encode(), func(line kargo.LogLine) error {
				return output.line(out, line, func() { printLogLine(out, line, output == outputWide) }, line.Text)
			})
		},
	}
	f.define(cmd, env)
	cmd.ValidArgsFunction = f.completeServices(env)
	output.flag(cmd)
	cmd.Flags().IntVar(&tail, "tail", 100, "`number` of lines of each task to begin with; 0 prints all")
	return cmd
}

func printLogLine(out screen, line kargo.LogLine, wide bool) {
	task := kargo.ShortService(line.Task)
	colour := taskColours[int(hashOf(line.Task))%len(taskColours)]
	prefix := out.paint(colour, task+" |") + " "
	if wide {
		prefix = line.Time.Local().Format(time.DateTime) + " " + out.paint(colour, line.Task+"@"+line.Node+" |") + " "
	}
	text := line.Text
	if line.Stderr {
		text = out.paint(yellow, text)
	}
	fmt.Fprintln(out.out, prefix+text)
}

// taskColours tell the lines of tasks from each other.
var taskColours = []string{blue, green, yellow, red, faint}

func hashOf(text string) (hash uint32) {
	for _, b := range []byte(text) {
		hash = hash*31 + uint32(b)
	}
	return hash % 1024
}

func eventsCommand(env map[string]string) *cobra.Command {
	f := &followFlags{}
	var output output
	cmd := &cobra.Command{
		Use: "events [STACK]", Short: "Print what the controller saw and did last", GroupID: "controller",
		Long: `Events prints what the controller saw in Swarm and what it did, since it started: the
last 500. "kargo history" has what counts, for good.`,
		Example: "  kargo events\n  kargo events shop -f\n  kargo events --since 10m",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("kargo events takes one stack at most")
			}
			query, err := f.query(strings.Join(args, ""))
			if err != nil {
				return err
			}
			if err := f.prepare(cmd, env); err != nil {
				return err
			}
			controller, err := f.client(f.dataDir)
			if err != nil {
				return err
			}
			out := newScreen(cmd)
			return stream(cmd.Context(), controller, "/api/v1/events?"+query.Encode(), func(h kargo.Happening) error {
				return output.line(out, h, func() { out.line("%s  %s", out.paint(faint, h.Time.Local().Format(time.DateTime)), h.What) }, h.What)
			})
		},
	}
	f.define(cmd, env)
	output.flag(cmd)
	return cmd
}

// line prints one of many values: as a line of text, as a document, or by its name.
func (o output) line(out screen, value any, text func(), name string) error {
	switch o {
	case outputJSON:
		return json.NewEncoder(out.out).Encode(value) // one a line
	case outputYAML:
		if _, err := fmt.Fprintln(out.out, "---"); err != nil {
			return err
		}
		return encode(out.out, string(o), value)
	case outputName:
		_, err := fmt.Fprintln(out.out, name)
		return err
	case outputText, outputWide:
	}
	text()
	return nil
}
