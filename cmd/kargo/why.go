package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kargo"
)

func whyCommand(env map[string]string) *cobra.Command {
	s, all := &workspaceFlags{}, false
	var output output
	cmd := &cobra.Command{
		Use: "why VARIABLE|FILE|STACK|SERVICE[.FIELD…]", Short: "Print where a value comes from", GroupID: "workspace",
		Long: `Why prints the layer, the file and the line that a value comes from. The value is
a variable of the environment, a file of the merged configuration, or a field of a
service, which is written as in compose files, with or without the stack before
it. Why lists all places that set the value, the lowest layer first, and marks
those that count. For fields that read variables it also prints where the
variables come from. With --all it does so for every value of a stack or service.
Digests stand for the values of secret variables.`,
		Example: "  kargo why REDIS_TAG\n  kargo why configs/redis/redis.conf\n  kargo why dbs.redis.image\n  kargo why redis --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("why what? a variable, a file, a stack, or a service with or without a field")
			}
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context())
			if err != nil {
				return err
			}
			values, err := desired.Why(args[0], all, desired.Workspace.Mask(randomKey()))
			if err != nil {
				return err
			}
			return output.show(cmd, values, func(out screen) error { return printExplanations(out, values) }, func() []string { return placesThatCount(values) })
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "places that count"})
	cmd.Flags().BoolVar(&all, "all", false, "explain every value below a stack or service on its own")
	return cmd
}

func printExplanations(out screen, values []kargo.Explanation) error {
	for i, value := range values {
		if i > 0 {
			out.line("")
		}
		var text strings.Builder
		if err := value.Print(&text); err != nil {
			return err
		}
		for line := range strings.Lines(text.String()) {
			fmt.Fprintln(out.out, wrapped(strings.TrimRight(line, "\n"), out.width, "      "))
		}
	}
	return nil
}

// placesThatCount returns the places that values are made of, and the layers of files,
// each once.
func placesThatCount(values []kargo.Explanation) (places []string) {
	for _, value := range values {
		for _, origin := range value.Counting(true) {
			place := origin.Layer
			if !origin.Where.IsZero() {
				place = origin.Where.String()
			}
			if !slices.Contains(places, place) {
				places = append(places, place)
			}
		}
	}
	return places
}
