package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
	"kargo/compile"
	"kargo/controller"
)

func planCommand(env map[string]string) *cobra.Command {
	s := &planFlags{}
	var output output
	var exitCode bool
	cmd := &cobra.Command{
		Use: "plan", Short: "Print what apply would change, and why", GroupID: "swarm", Args: noArgs,
		Long: `Plan reads a workspace (a directory, or the head of a repository), looks at the
Swarm, and prints the changes that would make them equal. Each change is on a
line, with its reason. The changes that are held follow, with the reason for each
hold. Plan changes nothing.

If a controller runs, with the same data directory or at --url, the controller
makes the plan: it is what its next round does. With --workspace or --repo, the
command makes the plan itself.`,
		Example: "  kargo plan --workspace ./workspace\n  kargo plan --repo https://git.example/ops/platform.git --ref main\n" +
			"  kargo plan --url https://kargo.example --api-token-file token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			preview, err := s.preview(cmd, env)
			if err != nil {
				return err
			}
			if err := showPreview(cmd, output, preview); err != nil {
				return err
			}
			if exitCode && len(preview.Plan.Changes)+len(preview.Plan.Held) > 0 {
				return printedError{errChangesPending}
			}
			return nil
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd)
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "end with exit code 5 if there are changes or holds")
	return cmd
}

// planFlags are those of the command plan.
type planFlags struct {
	operationFlags
	clientFlags
}

func (s *planFlags) flags(flags *pflag.FlagSet) {
	s.operationFlags.flags(flags)
	s.clientFlags.flags(flags)
}

// preview returns the plan of the next round. It comes from the controller that
// runs, or is made here in the same way.
func (s *planFlags) preview(cmd *cobra.Command, env map[string]string) (kargo.Preview, error) {
	named := s.workspace != "" || s.repo != ""
	if s.url != "" && named {
		return kargo.Preview{}, usagef("--url asks a controller, which has its own workspace; leave --workspace and --repo away")
	}
	if !named && (s.url != "" || s.controllerRuns()) {
		return s.askPreview(cmd.Context())
	}
	return s.makePreview(cmd, env)
}

// askPreview asks the controller.
func (s *planFlags) askPreview(ctx context.Context) (preview kargo.Preview, err error) {
	controller, err := s.client(s.dataDir)
	if err != nil {
		return preview, err
	}
	controller.http.Timeout = 0 // a round may be running; the controller limits the rest
	return preview, controller.call(ctx, http.MethodGet, "/api/v1/plan", nil, &preview)
}

// makePreview does what a round does, up to its plan. It makes no file.
func (s *operationFlags) makePreview(cmd *cobra.Command, env map[string]string) (kargo.Preview, error) {
	source, address, err := s.source()
	if err != nil {
		return kargo.Preview{}, err
	}
	client, err := s.docker(env)
	if err != nil {
		return kargo.Preview{}, err
	}
	defer client.Close()
	store, err := s.openHistoryToRead()
	if err != nil && kargo.FaultOf(err) == kargo.Unavailable {
		fmt.Fprintln(cmd.ErrOrStderr(), "kargo: warning: a controller uses this data directory; what it remembers, such as failed renderings, is not part of this plan")
		store, err = nil, nil
	}
	if err != nil {
		return kargo.Preview{}, err
	}
	instance := &instanceKey{client: client, instance: s.instance}
	if store == nil {
		parts, err := s.partsWith(randomKey(), instance, client)
		if err != nil {
			return kargo.Preview{}, err
		}
		parts.Source, parts.Behavior.Repository = source, address
		return controller.NewReconciler(parts).Preview(cmd.Context())
	}
	defer store.Close()
	parts, err := s.parts(cmd.Context(), source, address, instance, store)
	if err != nil {
		return kargo.Preview{}, err
	}
	return controller.NewReconciler(parts).Preview(cmd.Context())
}

func showPreview(cmd *cobra.Command, output output, preview kargo.Preview) error {
	refused := refuse(cmd, preview.Problems)
	next := preview.Plan
	if refused != nil && next.Empty() && len(next.Held) == 0 {
		return refused
	}
	shown := output.show(cmd, planDocument(next), func(out screen) error {
		if output == outputWide {
			return printPlan(out.out, next, next.String())
		}
		return printPlan(out.out, next, next.InWords())
	},
		func() []string { return []string{next.ID()} })
	return errors.Join(shown, refused)
}

// readSource reads the head of the repository or directory.
func (s *sourceFlags) readSource(ctx context.Context) (compile.Desired, error) {
	source, _, err := s.source()
	if err != nil {
		return compile.Desired{}, err
	}
	return s.readHead(ctx, source)
}

// printPlan prints a plan as text, and what it comes to.
func printPlan(out io.Writer, next kargo.Plan, text string) error {
	if _, err := fmt.Fprint(out, text); err != nil {
		return err
	}
	if next.Empty() && len(next.Held) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "\nplan %s of %s: %s\n", next.ID(), next.Revision, next.Summary())
	return err
}

// planDocument returns the document that plan prints as JSON.
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
