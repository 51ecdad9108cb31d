package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"kargo"
	"kargo/controller"
	"kargo/history"
	"kargo/notify"
	"kargo/server"
	"kargo/swarm"
)

// graceful is how long the call under way may take once the program was told
// to end.
const graceful = 1500 * time.Millisecond

func serveCommand(env map[string]string) *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the controller", GroupID: "swarm", Args: noArgs,
		Long: `Serve keeps the Swarm equal to a workspace repository: it asks git on a schedule
and when a webhook, SIGHUP or "kargo sync" nudges it, and it corrects what
somebody changed by hand. It serves webhooks, the API, metrics and a page.

Swarm is reached as Docker's own tools reach it: DOCKER_HOST, DOCKER_TLS_VERIFY
and DOCKER_CERT_PATH. It must be a manager.`,
		Example: "  kargo serve --repo https://git.example/ops/platform.git --ref main \\\n" +
			"      --git-password-file /run/secrets/git-token --webhook-secret-file /run/secrets/webhook",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			return s.serve(cmd.Context(), cmd.ErrOrStderr(), env, sameFlags(cmd.Flags()))
		},
	}
	s.serveSettings(cmd.Flags())
	return cmd
}

// serveSettings are all settings of a running controller.
func (s *settings) serveSettings(flags *pflag.FlagSet) {
	s.dataFlags(flags)
	flags.StringVar(&s.defaults, "defaults", "", "`directory` that takes the place of the embedded catalogue")
	s.secretFlags(flags)
	s.hookFlags(flags)
	s.repoFlags(flags)
	s.layerFlags(flags)
	s.policyFlags(flags)
	s.swarmFlags(flags)
	s.serveFlags(flags)
}

// serve puts the parts together and runs them until ctx ends. args are its
// settings, for children.
func (s *settings) serve(ctx context.Context, stderr io.Writer, env map[string]string, args []string) error {
	log, err := s.logger(stderr)
	if err != nil {
		return err
	}
	source, address, err := s.repository()
	if err != nil {
		return err
	}
	schedule, err := s.poll()
	if err != nil {
		return err
	}
	if _, err := s.memoryToRead(); err != nil {
		return err
	}
	client, err := s.docker(env)
	if err != nil {
		return err
	}
	defer client.Close()
	store, err := s.openHistory()
	if err != nil {
		return err
	}
	defer store.Close()
	if store.Recovered != "" {
		log.Warn("the history could not be read; a new one is begun", "kept", store.Recovered)
	}
	parts, err := s.parts(ctx, source, address, s.ownKey(client), store)
	if err != nil {
		return err
	}
	parts.Behavior.Poll, parts.Log = schedule, log
	parts.Effects.Try = func(ctx context.Context, revision kargo.RevisionID, protect ...kargo.RevisionID) error {
		return s.tryRevision(ctx, args, revision, protect...)
	}
	if err := s.followImages(&parts); err != nil {
		return err
	}
	if err := s.cleanImages(&parts, client); err != nil {
		return err
	}
	return s.runServices(ctx, parts, client, store)
}

// runServices runs the loop and its servers. The first to fail ends them all.
func (s *settings) runServices(ctx context.Context, parts controller.Parts, client *swarm.Client, store *history.Store) error {
	log := parts.Log
	parts.Source.Protect(parts.Memory.Applied.Revision.ID())
	var loop *controller.Loop
	metrics := server.NewMetrics(func() kargo.Status { return loop.Status() }, client.Calls)
	parts.Effects.Measure = measure(metrics)
	var err error
	if parts.Effects.Notify, err = s.notifier(log); err != nil {
		return err
	}
	loop = controller.New(parts)

	if err := s.makeToken(); err != nil {
		return err
	}
	web := &server.Server{
		Controller: loop, History: store,
		Token: s.apiToken.read, WebhookSecret: s.webhook.optional(), Ref: s.ref,
		OpenMetrics: s.openMetrics, Metrics: metrics, Log: log,
	}
	listener, err := server.Listen(s.listen)
	if err != nil {
		return &kargo.Error{Fault: kargo.Unavailable, Err: err}
	}
	// Who may open the socket may also read the data directory, so it asks
	// for no token.
	local, err := server.Listen("unix:" + s.state("kargo.sock"))
	if err != nil {
		return errors.Join(&kargo.Error{Fault: kargo.Unavailable, Err: err}, listener.Close())
	}
	log.Info("kargo serves", "version", version, "catalogue", catalogueVersion, "repository", parts.Behavior.Repository,
		"ref", s.ref, "listen", listener.Addr().String(), "data", s.data, "instance", s.instance)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener, web.Handler(), log) })
	group.Go(func() error { return server.Serve(ctx, local, web.LocalHandler(), log) })
	group.Go(func() error { return hangups(ctx, loop) })
	group.Go(func() error { return runLoop(ctx, loop) })
	err = group.Wait()
	log.Info("kargo ends")
	return err
}

// measure hands the durations of the loop to the metrics.
func measure(metrics *server.Metrics) func(phase, result string, took time.Duration) {
	return func(phase, result string, took time.Duration) {
		switch phase {
		case "git":
			metrics.Git("ls_remote", result, took)
		case "fetch":
			metrics.Git("fetch", result, took)
		}
		metrics.Round(phase, result, took)
	}
}

// runLoop runs the loop, and gives the call that is under way when ctx ends a
// moment to come to an end. What it leaves undone the next process does.
func runLoop(ctx context.Context, loop *controller.Loop) error {
	done := make(chan error, 1)
	go func() { done <- loop.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(graceful):
		return nil
	}
}

// hangups nudges the loop at every SIGHUP.
func hangups(ctx context.Context, loop *controller.Loop) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
			loop.Nudge("SIGHUP")
		}
	}
}

// poll is when git is asked.
func (s *settings) poll() (controller.Schedule, error) {
	if s.schedule == "" {
		if s.interval < time.Second {
			return nil, usagef("--interval %s is shorter than a second", s.interval)
		}
		return controller.Every(s.interval), nil
	}
	return cronSchedule("--schedule", s.schedule)
}

// cronSchedule reads the cron expression of a flag.
func cronSchedule(flag, expression string) (schedule controller.Schedule, err error) {
	defer func() { // the parser panics on some input ("TZ=0")
		if p := recover(); p != nil {
			err = usagef("%s %q: %v", flag, expression, p)
		}
	}()
	schedule, err = cron.ParseStandard(expression)
	if err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	if schedule.Next(clock()).IsZero() {
		return nil, usagef("%s %q never comes", flag, expression)
	}
	return schedule, nil
}

func (s *settings) logger(stderr io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, usagef("--log-level takes debug, info, warn or error, not %q", s.logLevel)
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: explained}
	switch s.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(stderr, options)), nil
	}
	return nil, usagef("--log-format takes text or json, not %q", s.logFormat)
}

// explained has the log print an error with its hint.
func explained(_ []string, attribute slog.Attr) slog.Attr {
	if err, isError := attribute.Value.Any().(error); isError {
		attribute.Value = slog.StringValue(kargo.Explain(err))
	}
	return attribute
}

// makeToken makes the token of API and page where none was given. There is no
// default one.
func (s *settings) makeToken() error {
	if s.apiToken.given() {
		return nil
	}
	s.apiToken.file = s.state("api-token")
	if _, err := os.Stat(s.apiToken.file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	token := make([]byte, 24)
	rand.Read(token) // never fails
	return os.WriteFile(s.apiToken.file, []byte(hex.EncodeToString(token)+"\n"), 0o600)
}

// notifier tells --notify-url how a deployment ended. What it cannot say it logs:
// a deployment does not fail for it.
func (s *settings) notifier(log *slog.Logger) (func(context.Context, kargo.Deployment), error) {
	if s.notifyURL == "" {
		return nil, nil
	}
	webhook := &notify.Webhook{URL: s.notifyURL, Secret: s.notifySecret.optional()}
	if err := webhook.Validate(); err != nil {
		return nil, err
	}
	return func(ctx context.Context, deployment kargo.Deployment) {
		if err := webhook.Deployment(ctx, deployment); err != nil {
			log.Warn("notification failed", "deployment", deployment.Number, "error", err)
		}
	}, nil
}
