package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/plan"
)

func labelsCommand(env map[string]string) *cobra.Command {
	s := &operationFlags{}
	var apply bool
	var output output
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
			if !apply {
				return s.showLabels(cmd, env, output)
			}
			if err := output.onlyText("apply"); err != nil {
				return err
			}
			return s.applyLabels(cmd, env)
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "nodes", wide: "the names and paths of Swarm"})
	cmd.Flags().BoolVar(&apply, "apply", false, "change the labels to what the workspace says")
	return cmd
}

func (s *operationFlags) showLabels(cmd *cobra.Command, env map[string]string, output output) error {
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
	compiler, err := s.compiler()
	if err != nil {
		return err
	}
	live := kargo.Cluster{Nodes: nodes}
	next := plan.Make(nil, live, plan.Options{
		Instance: s.instance, Only: []string{}, Labels: desired.Labels, Revision: desired.Workspace.Revision, Mask: mask,
		Refuses: compiler.Refuses(s.instance, desired, live),
	})
	document := labelsDocument{nodesWithLabels(nodes, mask), append([]kargo.Change{}, next.Changes...), append([]kargo.Hold{}, next.Held...)}
	text := func(out screen) error {
		printLabels(out, document.Nodes)
		out.line("")
		words := next.InWords()
		if output == outputWide {
			words = next.String()
		}
		out.changes(words)
		return nil
	}
	return output.show(cmd, document, text, func() []string {
		var names []string
		for _, node := range document.Nodes {
			names = append(names, node.Node)
		}
		return names
	})
}

// labelsDocument is what labels prints. Other programs read it, so its form must not
// change.
type labelsDocument struct {
	Nodes   []nodeLabels   `json:"nodes"`
	Changes []kargo.Change `json:"changes"`
	Held    []kargo.Hold   `json:"held"`
}

type nodeLabels struct {
	Node   string            `json:"node"`
	Labels map[string]string `json:"labels"` // masked
}

func nodesWithLabels(nodes []kargo.LiveNode, mask kargo.Mask) []nodeLabels {
	all := []nodeLabels{}
	for _, node := range nodes {
		one := nodeLabels{node.Hostname, map[string]string{}}
		for key, value := range node.Spec.Labels {
			one.Labels[key] = mask.Value(key, value)
		}
		all = append(all, one)
	}
	return all
}

func printLabels(out screen, nodes []nodeLabels) {
	var rows [][]cell
	for _, node := range nodes {
		var labels []string
		for _, key := range slices.Sorted(maps.Keys(node.Labels)) {
			labels = append(labels, key+"="+node.Labels[key])
		}
		rows = append(rows, []cell{plain(node.Node), plain(strings.Join(labels, ", "))})
	}
	out.table([]string{"NODE", "LABELS"}, rows)
}

// applyLabels runs rounds that change labels and no stack.
func (s *operationFlags) applyLabels(cmd *cobra.Command, env map[string]string) error {
	return s.onStacks(cmd, env, kargo.AllStacks, func(o *operation, _ []string) error {
		o.reconciler.Select()
		changes, err := o.rounds(cmd.Context(), "labels", time.Minute)
		if err == nil && changes == 0 {
			say(cmd.OutOrStdout(), "nothing to do")
		}
		return err
	})
}
