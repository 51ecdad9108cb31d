package swarm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"kargo"
)

// longestLine is how many bytes of a line of a log are returned at most.
const longestLine = 64 << 10

// TaskLog calls a function for each line of a task's log, in order, until the log or
// ctx ends. The lines may have secrets. Only time, text and stream of a line are set.
func (c *Client) TaskLog(ctx context.Context, task string, options kargo.LogOptions, each func(kargo.LogLine)) error {
	c.count("TaskLogs")
	wanted := container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: options.Follow, Tail: "all"}
	if options.Tail > 0 {
		wanted.Tail = strconv.Itoa(options.Tail)
	}
	if !options.Since.IsZero() {
		wanted.Since = options.Since.UTC().Format(time.RFC3339Nano)
	}
	stream, err := c.api.TaskLogs(ctx, task, wanted)
	if err != nil {
		return fmt.Errorf("read log of task %s: %w", task, classify(err))
	}
	defer stream.Close()
	buffered := bufio.NewReader(stream)
	out, problems := &lineWriter{each: each}, &lineWriter{each: each, stderr: true}
	// The log of a terminal is not divided into two streams.
	if head, err := buffered.Peek(4); err == nil && head[0] <= 2 && head[1]+head[2]+head[3] == 0 {
		_, err = stdcopy.StdCopy(out, problems, buffered)
		return endOfLog(ctx, task, err)
	}
	_, err = io.Copy(out, buffered)
	return endOfLog(ctx, task, err)
}

func endOfLog(ctx context.Context, task string, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("read log of task %s: %w", task, classify(err))
}

// lineWriter calls a function for each line that is written.
type lineWriter struct {
	each   func(kargo.LogLine)
	stderr bool
	rest   []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.rest = append(w.rest, data...)
	for {
		line, rest, found := strings.Cut(string(w.rest), "\n")
		if !found {
			if len(w.rest) > longestLine {
				w.line(string(w.rest))
				w.rest = nil
			}
			return len(data), nil
		}
		w.rest = []byte(rest)
		w.line(line)
	}
}

func (w *lineWriter) line(text string) {
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		rest = text
	}
	w.each(kargo.LogLine{Time: at, Stderr: w.stderr, Text: strings.TrimRight(rest, "\r")})
}
