package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kargo"
)

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
			return lines(cmd, env, f, "/api/v1/logs?"+query.Encode(), func(out screen, line kargo.LogLine) error {
				return output.line(out, line, func() { printLogLine(out, line, output == outputWide) }, line.Text)
			})
		},
	}
	f.define(cmd, env)
	cmd.ValidArgsFunction = f.completeServices(env)
	output.flag(cmd, kinds{names: "lines without their task", wide: "times and nodes"})
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
