package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/plan"
)

func labelsCommand(env map[string]string) *cobra.Command {
	s := &operationFlags{}
	var apply bool
	cmd := &cobra.Command{
		Use: "labels", Short: "Print the labels of nodes, and what the workspace would change", GroupID: "swarm", Args: noArgs,
		Example: "  kargo labels\n  kargo labels --apply",
		Long: `Labels prints the labels of each node, and what would be changed to make them as
the variables <NODE>_LABELS say. With --apply it makes these changes and no
others. A label is changed or removed only if such a variable names it, or did so
before. The commands deploy, apply and serve do the same before they deploy the
services that need the labels.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			if apply {
				return s.applyLabels(cmd, env)
			}
			return s.showLabels(cmd, env)
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().BoolVar(&apply, "apply", false, "change the labels to what the workspace says")
	return cmd
}

func (s *operationFlags) showLabels(cmd *cobra.Command, env map[string]string) error {
	desired, err := s.readSource(cmd.Context())
	if err != nil {
		return err
	}
	if err := refuse(cmd, desired.Problems); err != nil {
		return err
	}
	client, err := s.docker(env)
	if err != nil {
		return err
	}
	defer client.Close()
	nodes, err := client.Nodes(cmd.Context())
	if err != nil {
		return err
	}
	keys, err := s.instanceKey(client, false).keys(cmd.Context())
	if err != nil {
		return err
	}
	mask := desired.Workspace.Mask(keys.Texts)
	printLabels(cmd.OutOrStdout(), nodes, mask)
	compiler, err := s.compiler()
	if err != nil {
		return err
	}
	live := kargo.Cluster{Nodes: nodes}
	next := plan.Make(nil, live, plan.Options{
		Instance: s.instance, Only: []string{}, Labels: desired.Labels, Revision: desired.Workspace.Revision, Mask: mask,
		Refuses: compiler.Refuses(s.instance, desired, live),
	})
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s", next)
	return err
}

func printLabels(out io.Writer, nodes []kargo.LiveNode, mask kargo.Mask) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tLABELS")
	for _, node := range nodes {
		var labels []string
		for _, key := range slices.Sorted(maps.Keys(node.Spec.Labels)) {
			labels = append(labels, key+"="+mask.Value(key, node.Spec.Labels[key]))
		}
		fmt.Fprintf(table, "%s\t%s\n", node.Hostname, strings.Join(labels, ", "))
	}
	table.Flush()
}

// applyLabels runs rounds that change labels and no stack.
func (s *operationFlags) applyLabels(cmd *cobra.Command, env map[string]string) error {
	return s.onStacks(cmd, env, allStacks, func(o *operation, _ []string) error {
		o.reconciler.Select()
		changes, err := o.rounds(cmd.Context(), "labels", time.Minute)
		if err == nil && changes == 0 {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "nothing to do")
		}
		return err
	})
}
