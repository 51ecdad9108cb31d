// Command kargo keeps a Docker Swarm equal to a git repository.
//
// Each command has a file of its own. Its output goes to standard output,
// everything else to standard error. exitCode defines the exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"kargo"
	"kargo/controller"
	"kargo/hooks"
)

// version is set by the linker in releases.
var version = "dev"

func main() {
	logrus.SetOutput(io.Discard) // Docker's loader logs by it, without a line; check says the same with one
	ctx, stop := stoppable(context.Background(), os.Stderr, os.Exit)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program; everything that it takes from the process is an
// argument. It returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	out, errs := newPrinters(stdout, stderr)
	defer out.flush()
	root := rootFor(args, environ) //nolint:contextcheck // commands get theirs from ExecuteContext
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := controller.BlameOutside(root.ExecuteContext(ctx))
	var script hooks.ExitError
	var printed printedError
	if err != nil && !errors.As(err, &printed) && !errors.As(err, &script) {
		printError(errs, err)
	}
	return exitCode(err)
}

// printError prints an error, and below it what the reader can do.
func printError(stderr io.Writer, err error) {
	say(stderr, "kargo: %v", err)
	if hint := kargo.HintOf(err); hint != "" {
		say(stderr, "hint: %s", hint)
	}
}

// printedError ends a command that has printed already what is wrong.
type printedError struct{ error }

func (e printedError) Unwrap() error { return e.error }

// exitUnavailable is the exit code if something cannot be reached.
const exitUnavailable = 3

// notWellError reports that what runs is not well, or did not come up.
type notWellError struct{ error }

func (e notWellError) Unwrap() error { return e.error }

// exitCode returns the exit code of an error. It is the only place that decides
// it: 0 done, 1 a bug, 2 the input is wrong, 3 something cannot be
// reached, or has changed meanwhile, 4 what runs is not well, 5 a plan has changes.
func exitCode(err error) int {
	var usage usageError
	var script hooks.ExitError
	var notWell notWellError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errChangesPending):
		return 5
	case errors.As(err, &notWell):
		return 4
	case errors.As(err, &usage):
		return 2
	case errors.As(err, &script):
		return int(script) // exec and build end as their script does
	}
	switch kargo.FaultOf(err) {
	case kargo.Invalid:
		return 2
	case kargo.Unavailable, kargo.Conflict:
		return exitUnavailable
	case kargo.Internal:
	}
	return 1
}

// errChangesPending ends plan --exit-code where there is something to do.
var errChangesPending = errors.New("there are changes pending")

// usageError is the error of a command line that is wrong.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

const longHelp = `Kargo keeps a Docker Swarm equal to a git repository.

The repository (the user configuration) has an environment file .env, which
names the stacks and the services of each stack, and files that override or
extend services. Kargo merges it with its own catalogue of services, renders the
stacks, compares them with what runs, and changes only what differs.

Settings are keys of a settings file (--config; "kargo settings example" prints
one), KARGO_* variables (KARGO_REPO for --repo) or flags. A flag overrides a
variable, a variable overrides the file. "kargo settings" explains each.

Exit codes: 0 done; 1 a bug; 2 the input is wrong, and nothing was applied; 3 git
or Swarm cannot be reached, or Swarm changed meanwhile; 4 what runs is not well
(status), or did not come up in time; 5 changes are pending (plan --exit-code). What was
interrupted before its end has code 3; a second signal ends it at once. The commands
exec and build end with the exit code of the script that they run.`

// rootFor returns the root that has the command which arguments name. The child that reads
// a revision has no other: to make all of them is a sixth of its start.
func rootFor(args, environ []string) *cobra.Command {
	if len(args) == 0 || args[0] != tryName {
		return newRoot(environ)
	}
	root := bareRoot()
	root.AddCommand(tryCommand(environment(environ)))
	return root
}

// newRoot returns the root with all commands.
func newRoot(environ []string) *cobra.Command {
	root := bareRoot()
	root.AddGroup(
		&cobra.Group{ID: "workspace", Title: "Work on a workspace (these need no Docker):"},
		&cobra.Group{ID: "swarm", Title: "Work on a Swarm:"},
		&cobra.Group{ID: "controller", Title: "Talk to a running controller:"},
	)
	env := environment(environ)
	root.AddCommand(
		initCommand(env), catalogueCommand(env),
		useCommand(env), checkCommand(env), renderCommand(env), configureCommand(env), envCommand(env), whyCommand(env), infoCommand(env), pullCommand(env), execCommand(env), knownHostsCommand(env),
		planCommand(env), diffCommand(env), showRenderingCommand(env), applyCommand(env), deployCommand(env), removeCommand(env), redeployCommand(env), buildCommand(env), labelsCommand(env), serveCommand(env), tryCommand(env), cleanCommand(env),
		statusCommand(env), treeCommand(env), historyCommand(env), eventsCommand(env), logsCommand(env), doctorCommand(env), imagesCommand(env), syncCommand(env), approveCommand(env), retryCommand(env), adoptCommand(env),
		contextCommand(env), settingsCommand(env), manCommand(), rollbackCommand(env), holdCommand(env), releaseCommand(env), suspendCommand(env), resumeCommand(env), healthcheckCommand(env),
		versionCommand(),
	)
	completeValues(root)
	return root
}

// bareRoot returns the root without commands.
func bareRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "kargo", Short: "GitOps controller for Docker Swarm", Long: longHelp,
		SilenceErrors: true, SilenceUsage: true, Version: versionLine(), SuggestionsMinimumDistance: 2,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q%s; see `kargo --help`", args[0], suggestion(cmd, args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().String("color", "auto", "`kind` of colours: auto (on a terminal), always or never")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Name() != serveName {
			stopOnHangup(cmd.Context())
		}
		return checkColor(cmd)
	}
	root.SetUsageFunc(usage)
	root.SetHelpFunc(help)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

func suggestion(cmd *cobra.Command, name string) string {
	if close := cmd.SuggestionsFor(name); len(close) > 0 {
		return fmt.Sprintf(", did you mean %q?", close[0])
	}
	return ""
}

// versionDocument is what version prints. Other programs read it, so its form must not
// change.
type versionDocument struct {
	Version   string `json:"version"`
	Catalogue string `json:"catalogue"`
	Go        string `json:"go,omitempty"`
}

func versionCommand() *cobra.Command {
	var output output
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version of Kargo and of its catalogue", Args: noArgs,
		Example: "  kargo version\n  kargo version -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			document := versionDocument{version, catalogueVersion, goVersion()}
			text := func(out screen) error {
				_, err := fmt.Fprintln(out.out, versionLine())
				return err
			}
			return output.show(cmd, document, text, func() []string { return []string{version} })
		},
	}
	output.flag(cmd, kinds{names: "the version"})
	return cmd
}

func versionLine() string {
	line := "kargo " + version + ", catalogue " + catalogueVersion
	if built := goVersion(); built != "" {
		line += ", " + built
	}
	return line
}

// goVersion returns the version of Go that built the program, if it is known.
func goVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.GoVersion
	}
	return ""
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("kargo %s takes no argument, got %q", cmd.Name(), args[0])
	}
	return nil
}
