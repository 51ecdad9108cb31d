package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
	"kargo/controller"
	"kargo/history"
	"kargo/swarm"
)

func applyCommand(env map[string]string) *cobra.Command {
	s := &operationFlags{}
	var wait time.Duration
	var plan string
	cmd := &cobra.Command{
		Use: "apply", Short: "Deploy the workspace once: read, plan, apply, record", GroupID: "swarm", Args: noArgs,
		Long: `Apply does what the controller does in one round: it reads the workspace (a
directory, or the head of a repository), writes the merged configuration to
.kargo, looks at the Swarm, applies the plan and records it. With --wait it
continues until everything has settled or has failed. With --plan it applies exactly
the plan that "kargo plan" printed with that ID: if anything has changed since, it
changes nothing.`,
		Example: "  kargo apply --workspace ./workspace --wait 5m\n  kargo apply --workspace ./workspace --plan 3f2a91c0de55",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			return s.apply(cmd, env, wait, plan)
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().DurationVar(&wait, "wait", 0, "time to go on until everything has settled; 0 does one round")
	cmd.Flags().StringVar(&plan, "plan", "", "`ID` of the only plan that may be applied")
	return cmd
}

func (s *operationFlags) apply(cmd *cobra.Command, env map[string]string, wait time.Duration, plan string) error {
	source, address, err := s.source()
	if err != nil {
		return err
	}
	o, err := s.operate(cmd, env, source, address)
	if err != nil {
		return err
	}
	defer o.close()
	before, err := newestNumber(o.store)
	if err != nil {
		return err
	}
	r := o.reconciler
	r.OnlyPlan(plan)
	err = r.Round(cmd.Context(), "apply")
	if problems := r.Status().Problems; problems.Err() != nil {
		return refuse(cmd, problems)
	}
	if err == nil && wait > 0 {
		_, err = await(cmd.Context(), o.live, wait, roundsHere(r), failed)
	}
	if err != nil {
		return err
	}
	return sayApplied(o.live.out, r.Status(), o.store, before)
}

// operationFlags are those of a command that works on the Swarm with a workspace.
type operationFlags struct {
	sourceFlags
	swarmFlags
	retentionFlags
	key *instanceKey // set once there is a client of Docker
}

// source is that of sourceFlags, with digests of directories under the key of the
// instance: they are part of the revision, which Swarm and the history remember.
func (s *operationFlags) source() (source controller.Source, address string, err error) {
	s.directoryKey = s.ofDirectories
	return s.sourceFlags.source()
}

func (s *operationFlags) ofDirectories(ctx context.Context) ([]byte, error) {
	if s.key == nil { // a command that plans nothing: nobody compares its digests
		return randomKey(), nil
	}
	return s.key.ofDirectories(ctx)
}

func (s *operationFlags) flags(flags *pflag.FlagSet) {
	s.sourceFlags.flags(flags)
	s.swarmFlags.flags(flags)
	s.retentionFlags.flags(flags)
}

// operation is a reconciler that a command runs round by round, with the Swarm and
// the history that it uses.
type operation struct {
	reconciler *controller.Reconciler
	client     *swarm.Client
	store      *history.Store
	live       *progress // what services do, below what the log says
}

// operate opens what an operation needs. stacks are those that a person named.
func (s *operationFlags) operate(cmd *cobra.Command, env map[string]string, source controller.Source, address string, stacks ...string) (*operation, error) {
	client, err := s.docker(env)
	if err != nil {
		return nil, err
	}
	store, err := s.openHistory()
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	store.Retain(s.retention())
	o := &operation{client: client, store: store, live: newProgress(newScreen(cmd))}
	s.key = s.instanceKey(client, true)
	parts, err := s.parts(cmd.Context(), source, address, store)
	if err != nil {
		o.close()
		return nil, err
	}
	parts.Compiler.Named = stacks
	parts.Log = slog.New(lineHandler{o.live.out, o.live.clear})
	o.reconciler = controller.NewReconciler(parts)
	return o, nil
}

func (o *operation) close() {
	_ = o.store.Close()
	_ = o.client.Close()
}

// newestNumber returns the number of the newest deployment; 0 if there is none.
func newestNumber(store *history.Store) (uint64, error) {
	deployments, err := store.Deployments(0, 1)
	if err != nil || len(deployments) == 0 {
		return 0, err
	}
	return deployments[0].Number, nil
}

// sayApplied prints the revision that is in force now. before is the number of the newest
// deployment before it was applied.
func sayApplied(out screen, status kargo.Status, store *history.Store, before uint64) error {
	newest, err := newestNumber(store)
	if err != nil {
		return err
	}
	if newest == before {
		out.line("nothing to do")
	}
	out.line("\nin force: %s", status.Applied)
	return nil
}

// wordsOfChange is the attribute of a logged change that has it in the words of compose
// files.
const wordsOfChange = "words"

// lineHandler prints log records as plain lines, for the person who started a
// single round.
type lineHandler struct {
	out screen
	// before is called before each line: it makes room for it.
	before func()
}

func (h lineHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h lineHandler) Handle(_ context.Context, record slog.Record) error {
	h.before()
	h.out.line("%s", recordInWords(record))
	return nil
}

// recordInWords returns a log record as a person reads it, who waits for its command.
func recordInWords(record slog.Record) string {
	said := map[string]string{}
	var attributes strings.Builder
	record.Attrs(func(attr slog.Attr) bool {
		said[attr.Key] = attr.Value.String()
		attributes.WriteString(" " + attr.String())
		return true
	})
	has := func(keys ...string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool { _, there := said[key]; return !there })
	}
	first, rest, _ := strings.Cut(record.Message, " ")
	switch {
	case has(wordsOfChange): // and not the paths of Swarm's spec
		object, _, _ := strings.Cut(record.Message, ": ")
		return object + ": " + said[wordsOfChange]
	case has("number", "stacks", "changes", "took"): // a deployment has ended
		changes := "changes"
		if said["changes"] == "1" {
			changes = "change"
		}
		stacks := strings.TrimPrefix(strings.TrimSuffix(said["stacks"]+"; ", "unchanged: 0; "), "unchanged: 0")
		return fmt.Sprintf("%s %s %s: %s%s %s, took %s", first, said["number"], rest, stacks, said["changes"], changes, said["took"])
	case has("stack", "reason", "then"): // a rendering has failed
		return fmt.Sprintf("%s: stack %s: %s; then: %s", record.Message, said["stack"], said["reason"], said["then"])
	case len(said) == 2 && has("revision", "error"):
		return record.Message + " (" + said["revision"] + "): " + said["error"]
	case len(said) == 1 && has("revision"):
		return record.Message + " " + said["revision"]
	}
	return record.Message + attributes.String()
}

func (h lineHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h lineHandler) WithGroup(string) slog.Handler      { return h }
