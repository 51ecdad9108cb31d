package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	output.flag(cmd, kinds{names: "the ID of the plan", wide: "the names and paths of Swarm"})
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

// prepare fills in the settings, and which controller is asked.
func (s *planFlags) prepare(cmd *cobra.Command, env map[string]string) error {
	if err := s.operationFlags.prepare(cmd, env); err != nil {
		return err
	}
	return s.useContext(cmd, env)
}

// preview returns the plan of the next round. It comes from the controller that
// runs, or is made here in the same way.
func (s *planFlags) preview(cmd *cobra.Command, env map[string]string) (kargo.Preview, error) {
	asks, err := s.asksController()
	if err != nil {
		return kargo.Preview{}, err
	}
	if !asks {
		return s.makePreview(cmd, env)
	}
	var preview kargo.Preview
	return preview, s.askSlowly(cmd.Context(), "/api/v1/plan", &preview)
}

// asksController reports whether a controller answers, and not this process.
func (s *planFlags) asksController() (bool, error) {
	named := s.workspace != "" || s.repo != ""
	if s.url != "" && named {
		return false, usagef("--url asks a controller, which has its own workspace; leave --workspace and --repo away")
	}
	if named || s.url != "" {
		return !named, nil
	}
	return s.controllerRuns()
}

// askSlowly asks the controller something that may take as long as git and Swarm do.
func (s *planFlags) askSlowly(ctx context.Context, path string, answer any) error {
	controller, err := s.client(s.dataDir)
	if err != nil {
		return err
	}
	controller.http.Timeout = 0 // a round may be running; the controller limits the rest
	return controller.call(ctx, http.MethodGet, path, nil, answer)
}

// makePreview does what a round does, up to its plan. It makes no file.
func (s *operationFlags) makePreview(cmd *cobra.Command, env map[string]string) (preview kargo.Preview, err error) {
	err = s.inspect(cmd, env, func(r *controller.Reconciler) (err error) {
		preview, err = r.Preview(cmd.Context())
		return err
	})
	return preview, err
}

// inspect calls a function with a reconciler that only looks. It makes no file.
func (s *operationFlags) inspect(cmd *cobra.Command, env map[string]string, look func(*controller.Reconciler) error) error {
	source, address, err := s.source()
	if err != nil {
		return err
	}
	client, err := s.docker(env)
	if err != nil {
		return err
	}
	defer client.Close()
	store, err := s.openHistoryToRead()
	if err != nil && kargo.FaultOf(err) == kargo.Unavailable && !errors.Is(err, fs.ErrPermission) {
		fmt.Fprintln(cmd.ErrOrStderr(), "kargo: warning: a controller uses this data directory; what it remembers, such as failed renderings, is not part of this")
		store, err = nil, nil
	}
	if err != nil {
		return err
	}
	s.key = s.instanceKey(client, false)
	if store == nil {
		parts, err := s.partsWith(cmd.Context())
		if err != nil {
			return err
		}
		parts.Source, parts.Behavior.Repository = source, address
		return look(controller.NewReconciler(parts))
	}
	defer store.Close()
	parts, err := s.parts(cmd.Context(), source, address, store)
	if err != nil {
		return err
	}
	return look(controller.NewReconciler(parts))
}

func showPreview(cmd *cobra.Command, output output, preview kargo.Preview) error {
	refused := refuse(cmd, preview.Problems)
	next := preview.Plan
	if refused != nil && next.Empty() && len(next.Held) == 0 {
		return refused
	}
	shown := output.show(cmd, planDocument(next), func(out screen) error {
		if output == outputWide {
			return printPlan(out, next, next.String())
		}
		return printPlan(out, next, next.InWords())
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
func printPlan(out screen, next kargo.Plan, text string) error {
	out.changes(text)
	if !next.Empty() || len(next.Held) > 0 {
		out.line("\n%s", out.paint(bold, fmt.Sprintf("plan %s of %s: %s", next.ID(), next.Revision, next.Summary())))
	}
	return nil
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
