package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kargo"
)

func eventsCommand(env map[string]string) *cobra.Command {
	f := &followFlags{}
	var output output
	cmd := &cobra.Command{
		Use: "events [STACK]", Short: "Print what the controller saw and did last", GroupID: "controller",
		Long: `Events prints what the controller saw in Swarm and what it did, since it started: the
last 500. "kargo history" has the deployments of earlier times, too.`,
		Example: "  kargo events\n  kargo events shop -f\n  kargo events --since 10m",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("kargo events takes one stack at most")
			}
			query, err := f.query(strings.Join(args, ""))
			if err != nil {
				return err
			}
			return lines(cmd, env, f, "/api/v1/events?"+query.Encode(), func(out screen, h kargo.Happening) error {
				return output.line(out, h, func() { out.entry(h.Time.Local().Format(time.DateTime), h.What, 21) }, h.What)
			})
		},
	}
	f.define(cmd, env)
	output.flag(cmd, kinds{names: "what happened"})
	return cmd
}
