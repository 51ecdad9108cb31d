package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
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
	c.identify(request)
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

// lines asks the controller for documents, and has each printed as it comes.
func lines[T any](cmd *cobra.Command, env map[string]string, f *followFlags, path string, show func(screen, T) error) error {
	if err := f.prepare(cmd, env); err != nil {
		return err
	}
	controller, err := f.client(f.dataDir)
	if err != nil {
		return err
	}
	out := newScreen(cmd)
	return stream(cmd.Context(), controller, path, func(document T) error { return show(out, document) })
}
