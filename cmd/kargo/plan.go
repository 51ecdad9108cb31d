package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/compile"
	"kargo/plan"
)

func planCommand(env map[string]string) *cobra.Command {
	s := &settings{}
	var output string
	cmd := &cobra.Command{
		Use: "plan", Short: "Print what apply would change, and why", GroupID: "swarm", Args: noArgs,
		Long: `Plan reads a workspace (a directory, or the head of a repository), looks at the
Swarm, and prints the changes that would make them equal, one a line, each with
its reason, then what is held back, and why. It changes nothing.`,
		Example: "  kargo plan --workspace ./workspace\n  kargo plan --repo https://git.example/ops/platform.git --ref main",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			next, err := s.plan(cmd, env)
			if err != nil {
				return err
			}
			if output == "json" {
				return encode(cmd.OutOrStdout(), output, planDocument(next))
			}
			return printPlan(cmd.OutOrStdout(), next)
		},
	}
	s.dataFlags(cmd.Flags())
	s.workspaceFlags(cmd.Flags())
	s.repoFlags(cmd.Flags())
	s.swarmFlags(cmd.Flags())
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// plan makes the plan of the head of the source, without carrying it out.
func (s *settings) plan(cmd *cobra.Command, env map[string]string) (kargo.Plan, error) {
	ctx := cmd.Context()
	desired, err := s.readSource(ctx)
	if err != nil {
		return kargo.Plan{}, err
	}
	if err := refuse(cmd, desired.Problems); err != nil {
		return kargo.Plan{}, err
	}
	client, err := s.docker(env)
	if err != nil {
		return kargo.Plan{}, err
	}
	defer client.Close()
	instance := &instanceKey{client: client, instance: s.instance}
	if desired, err = desired.Named(ctx, instance.derive(namesOfSecrets)); err != nil {
		return kargo.Plan{}, err
	}
	cluster, err := client.Observe(ctx)
	if err != nil {
		return kargo.Plan{}, err
	}
	if cluster.Nodes, err = client.Nodes(ctx); err != nil && len(desired.Labels) > 0 {
		return kargo.Plan{}, err
	}
	memory, key, err := s.memory()
	if err != nil {
		return kargo.Plan{}, err
	}
	options := plan.Options{
		Instance: s.instance, Revision: desired.Workspace.Revision, Now: time.Now(), Labels: desired.Labels,
		Memory: plan.Memory{Memory: memory},
		Mask:   desired.Workspace.Mask(key), Governor: &plan.Governor{Stacks: s.pruneStacks, Percent: s.prunePercent},
	}
	latest, err := client.Images(ctx, compile.TagsToFollow(desired.Stacks)...)
	if err != nil {
		return kargo.Plan{}, err
	}
	stacks := compile.WithTags(desired.Stacks, latest)
	next := plan.Make(stacks, cluster, options)
	images, err := client.Images(ctx, next.Unresolved...)
	if err != nil {
		return kargo.Plan{}, err
	}
	options.Memory.Resolved = kargo.Resolved{Revision: options.Revision.ID(), Images: images}
	return plan.Make(stacks, cluster, options), nil
}

// readSource reads the head of the repository or directory.
func (s *settings) readSource(ctx context.Context) (compile.Desired, error) {
	source, _, err := s.source()
	if err != nil {
		return compile.Desired{}, err
	}
	return s.readHead(ctx, source)
}

// memory is what earlier rounds left in the data directory, if any did. While
// a controller has the history open, a plan is made without it: it may then
// repeat a change that Swarm rolled back.
func (s *settings) memory() (kargo.Memory, []byte, error) {
	if _, err := os.Stat(s.state("history.db")); errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key) // never fails
		return kargo.Memory{}, key, nil
	}
	store, err := s.openHistory()
	if kargo.FaultOf(err) == kargo.Unavailable {
		key := make([]byte, 32)
		rand.Read(key)
		return kargo.Memory{}, key, nil
	}
	if err != nil {
		return kargo.Memory{}, nil, err
	}
	defer store.Close()
	memory, err := store.Memory()
	if err != nil {
		return kargo.Memory{}, nil, err
	}
	key, err := store.Key()
	return memory, key, err
}

func printPlan(out io.Writer, next kargo.Plan) error {
	if _, err := fmt.Fprint(out, next); err != nil {
		return err
	}
	if next.Empty() && len(next.Held) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "\nplan %s of %s: %s\n", next.ID(), next.Revision, next.Summary())
	return err
}

// planDocument is a plan as JSON.
func planDocument(next kargo.Plan) any {
	document := struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
		kargo.Plan
	}{next.ID(), next.Summary(), next}
	if document.Changes == nil {
		document.Changes = []kargo.Change{}
	}
	if document.Held == nil {
		document.Held = []kargo.Hold{}
	}
	return document
}
