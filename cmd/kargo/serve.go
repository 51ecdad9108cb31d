package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"kargo"
	"kargo/controller"
	"kargo/gitsync"
	"kargo/history"
	"kargo/notify"
	"kargo/schedule"
	"kargo/server"
	"kargo/swarm"
)

// serveName is the name of the command that runs the controller.
const serveName = "serve"

// graceful is the time limit of the running call after the program was told to
// end.
const graceful = 1500 * time.Millisecond

func serveCommand(env map[string]string) *cobra.Command {
	s := &serveFlags{}
	cmd := &cobra.Command{
		Use: serveName, Short: "Run the controller", GroupID: "swarm", Args: noArgs,
		Long: `Serve keeps the Swarm equal to a workspace repository. It asks git on a schedule,
and when a webhook, SIGHUP or "kargo sync" tells it to. It corrects what somebody
changed by hand. It serves webhooks, the API, metrics and a page.

Serve connects to a manager of the Swarm by the variables of Docker's own tools:
DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. --docker-host can name several
managers: the next is asked while one is down or without a leader.`,
		Example: "  kargo serve --config kargo-settings.yml\n  kargo serve --repo https://git.example/ops/platform.git --ref main \\\n" +
			"      --git-password-file /etc/kargo/git-token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var end func()
			s.hangups, end = hangups() // from the beginning: until then a SIGHUP would end the program
			defer end()
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			s.shown, s.secretFiles = shownSettings(cmd.Flags()), secretFilesOf(cmd.Flags())
			return s.serve(cmd.Context(), cmd.ErrOrStderr(), env, sameFlags(cmd.Flags()))
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

// serveFlags are all settings of a running controller.
type serveFlags struct {
	operationFlags // without --workspace: a controller follows a repository
	paceFlags
	serverFlags
	images imageFlags
	clean  cleanFlags
	notify notifyFlags
	log    logFlags
	shown  map[string]string // the settings as they may be shown, by name
	// secretFiles are the files with secrets that the settings name.
	secretFiles []string
	hangups     <-chan os.Signal
}

func (s *serveFlags) flags(flags *pflag.FlagSet) {
	s.program.flags(flags)
	s.dataDir.flags(flags)
	s.compileFlags.flags(flags)
	s.repositoryFlags.flags(flags)
	s.author = mail.Address{Name: "Kargo", Address: "kargo@localhost"}
	flags.Var((*mailbox)(&s.author), "commit-author", "`name` and address (\"NAME <ADDRESS>\") in the commits that Kargo makes, where kargo.yml tells it to write newer tags")
	s.swarmFlags.flags(flags)
	s.retentionFlags.flags(flags)
	s.paceFlags.flags(flags)
	s.serverFlags.flags(flags)
	s.images.flags(flags)
	s.clean.flags(flags)
	s.notify.flags(flags)
	s.log.flags(flags)
}

// paceFlags say when the controller looks, and what it may take for that.
type paceFlags struct {
	interval   time.Duration
	schedule   string
	verify     time.Duration
	readMemory int
	freeze     string
}

func (p *paceFlags) flags(flags *pflag.FlagSet) {
	flags.DurationVar(&p.interval, "interval", time.Minute, "time between two requests to git")
	flags.StringVar(&p.schedule, "schedule", "", "cron `expression` for the times at which git is asked (\"*/5 * * * *\"); it replaces --interval")
	flags.DurationVar(&p.verify, "verify", 5*time.Minute, "time between two looks at the whole Swarm, even if nothing has changed")
	flags.StringVar(&p.freeze, "freeze", "", "`expression` for times in which nothing changes: cron and a duration (\"CRON_TZ=Europe/Berlin 0 18 * * FRI 60h\"), a reason after it, several with ; between them; kargo resume lifts one")
	flags.IntVar(&p.readMemory, "read-memory", 0,
		"`number` of MiB of memory that reading one revision may take; a revision that needs more is refused; 0 stands for 1024, or half of the container's memory if that is less")
}

// serverFlags say what the controller serves over HTTP.
type serverFlags struct {
	listen      string
	certFile    string
	keyFile     string
	openMetrics bool
	pprof       bool
	commitURL   string
	webhook     secretSource
	apiToken    secretSource
}

func (s *serverFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8080", "`address` for webhooks, API, metrics and the page")
	flags.StringVar(&s.certFile, "tls-cert-file", "", "`path` of the certificate (PEM) with which this address serves https; a renewed one is read without a restart")
	flags.StringVar(&s.keyFile, "tls-key-file", "", "`path` of the private key of the certificate (PEM)")
	flags.BoolVar(&s.openMetrics, "open-metrics", false, "serve /metrics without the token")
	flags.BoolVar(&s.pprof, "pprof", false, "serve profiles of the controller under /debug/pprof, with the token, for those who look for what takes time or memory")
	flags.StringVar(&s.commitURL, "commit-url", "", "`address` of a commit for browsers, with {commit} in it; those of GitHub, GitLab, Gitea, Forgejo, Bitbucket and Azure DevOps are known")
	secretFlag(flags, &s.webhook, "webhook-secret", "file with the secret of webhooks; without one webhooks are refused")
	apiTokenFlag(flags, &s.apiToken)
}

// tls returns the settings of TLS for the address, nil for plain http.
func (s *serverFlags) tls(log *slog.Logger) (*tls.Config, error) {
	if s.certFile == "" && s.keyFile == "" {
		return nil, nil
	}
	if s.certFile == "" || s.keyFile == "" {
		return nil, usagef("--tls-cert-file and --tls-key-file belong together")
	}
	secure, err := server.WithTLS(s.certFile, s.keyFile, log)
	if err != nil {
		return nil, &kargo.Error{Fault: kargo.Invalid, Err: err}
	}
	return secure, nil
}

// notifyFlags say who is told how a deployment ended.
type notifyFlags struct {
	url    string
	secret secretSource
}

func (n *notifyFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&n.url, "notify-url", "", "`address` that is told how deployments end, and of refused revisions (signed JSON)")
	secretFlag(flags, &n.secret, "notify-secret", "file with the secret that signs notifications")
}

// logFlags say how the controller logs.
type logFlags struct{ format, level string }

func (l *logFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&l.format, "log-format", "text", "`kind` of log: text or json")
	flags.StringVar(&l.level, "log-level", "info", "`kind` of records to log from: debug, info, warn or error")
}

// serve puts the parts together and runs them until ctx ends. args are its
// settings as arguments of child processes.
func (s *serveFlags) serve(ctx context.Context, stderr io.Writer, env map[string]string, args []string) error {
	log, err := s.log.logger(stderr)
	if err != nil {
		return err
	}
	if err := hideMemory(); err != nil {
		return err
	}
	s.directoryKey, s.moved.log = s.ofDirectories, log
	source, address, err := s.repository()
	if err != nil {
		return err
	}
	schedule, err := s.poll()
	if err != nil {
		return err
	}
	if err := server.CheckCommitURL(s.commitURL); err != nil {
		return err
	}
	reading, err := s.memoryToRead()
	if err != nil {
		return err
	}
	limitMemory(int64(reading)<<20, log)
	if os.Getenv("GOGC") == "" {
		collectBySize()
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
	store.Retain(s.retention())
	if trouble := store.Trouble(); trouble != "" {
		log.Warn(trouble)
	}
	s.key = s.instanceKey(client, true)
	parts, err := s.parts(ctx, source, address, store)
	if err != nil {
		return err
	}
	parts.Behavior.Poll, parts.Behavior.Verify, parts.Log = schedule, s.verify, log
	parts.Behavior.Settings = s.shown
	if parts.Behavior.Freeze, err = s.windows(); err != nil {
		return err
	}
	parts.Effects.Try = func(ctx context.Context, trial controller.Trial) error {
		return s.tryRevision(ctx, args, source, trial)
	}
	if parts.Leadership, err = s.leadership(client); err != nil {
		return err
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
func (s *serveFlags) runServices(ctx context.Context, parts controller.Parts, client *swarm.Client, store *history.Store) error {
	log := parts.Log
	parts.Source.Protect(parts.Remembered()...)
	// Whoever may open the socket may also read the data directory, so the
	// socket needs no token.
	local, err := server.OpenSocket(s.state("kargo.sock"), log)
	if err != nil {
		return &kargo.Error{Fault: kargo.Unavailable, Err: err}
	}
	defer local.Close()
	trouble := func() string { return joinedTexts(store.Trouble(), s.cloneTrouble(), local.Trouble()) }
	var loop *controller.Loop
	var shown withTrouble
	metrics := server.NewMetrics(func() kargo.Status { return shown.Status() }, client.Calls)
	measured, idle := measure(metrics), newIdleMemory()
	parts.Effects.Measure = func(phase, result string, took time.Duration) {
		measured(phase, result, took)
		idle.after(phase)
	}
	parts.Effects.Count = metrics.Deployment
	parts.TaskLog = client.TaskLog
	if parts.Effects.Notify, err = s.notify.notifier(log); err != nil {
		return err
	}
	loop = controller.New(parts)
	shown = withTrouble{loop, trouble}

	token, err := s.token()
	if err != nil {
		return err
	}
	web := &server.Server{
		Controller: shown, History: store, Inspector: loop, Settings: s.shown, CommitURL: s.commitURL,
		Doctor: s.doctor(client, parts, shown.Status, trouble),
		Token:  token, WebhookSecret: s.webhook.optional(), Ref: s.ref,
		OpenMetrics: s.openMetrics, Profiles: s.pprof, Metrics: metrics, Log: log,
	}
	secure, err := s.tls(log)
	if err != nil {
		return err
	}
	listener, err := server.Listen(s.listen)
	if err != nil {
		return &kargo.Error{Fault: kargo.Unavailable, Err: err}
	}
	log.Info("kargo serves", "version", version, "catalogue", catalogueVersion, "repository", parts.Behavior.Repository,
		"ref", s.ref, "listen", listener.Addr().String(), "data", s.data, "instance", s.instance)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener, secure, web.Handler(), log) })
	group.Go(func() error { return local.Serve(ctx, web.LocalHandler()) })
	group.Go(func() error { s.nudge(ctx, loop); return nil })
	group.Go(func() error { idle.run(ctx); return nil })
	group.Go(func() error { return runLoop(ctx, loop) })
	err = group.Wait()
	log.Info("kargo ends")
	return err
}

// withTrouble is the loop with a status that knows how the files of the data directory
// are.
type withTrouble struct {
	*controller.Loop
	trouble func() string
}

// Status returns the loop's status and the trouble of the data directory, if any.
func (w withTrouble) Status() kargo.Status {
	status := w.Loop.Status()
	status.HistoryTrouble = w.trouble()
	return status
}

// cloneTrouble says what was in the place of the directories of fetched commits.
func (s *serveFlags) cloneTrouble() string {
	dirs := []string{s.state("git")}
	for _, layer := range s.layers.layers {
		name, _, _ := strings.Cut(layer, "=")
		dirs = append(dirs, s.state(filepath.Join("layers", name)))
	}
	var words []string
	for _, dir := range dirs {
		for _, file := range gitsync.SetAside(dir) {
			words = append(words, fmt.Sprintf("a file was in the place of the directory of fetched commits; it is set aside as %s and can be removed", file))
		}
	}
	return joinedTexts(words...)
}

// joinedTexts joins the texts that are not empty.
func joinedTexts(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), "; ")
}

// measure returns a function that adds durations of the loop to the metrics.
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

// runLoop runs the loop. When ctx ends, it gives the running call a moment to
// finish. The next process does what is left.
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

// nudge starts a round at every SIGHUP.
func (s *serveFlags) nudge(ctx context.Context, loop *controller.Loop) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hangups:
			loop.Nudge("SIGHUP")
		}
	}
}

// poll returns the schedule on which git is asked.
func (p *paceFlags) poll() (controller.Schedule, error) {
	if p.schedule == "" {
		if p.interval < time.Second {
			return nil, usagef("--interval %s is shorter than a second", p.interval)
		}
		return controller.Every(p.interval), nil
	}
	return cronSchedule("--schedule", p.schedule)
}

// cronSchedule reads the cron expression of a flag.
func cronSchedule(flag, expression string) (controller.Schedule, error) {
	read, err := schedule.Parse(expression)
	if err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	return read, nil
}

// windows returns the freeze windows of --freeze.
func (p *paceFlags) windows() ([]schedule.Window, error) {
	var windows []schedule.Window
	for words := range strings.SplitSeq(p.freeze, ";") {
		if words = strings.TrimSpace(words); words == "" {
			continue
		}
		window, err := schedule.Read(words)
		if err != nil {
			return nil, usagef("--freeze %q: %w", words, err)
		}
		windows = append(windows, window)
	}
	return windows, nil
}

func (l *logFlags) logger(stderr io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, usagef("--log-level takes debug, info, warn or error, not %q", l.level)
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: explained}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(stderr, options)), nil
	}
	return nil, usagef("--log-format takes text or json, not %q", l.format)
}

// explained makes the log print an error with its hint.
func explained(_ []string, attribute slog.Attr) slog.Attr {
	if err, isError := attribute.Value.Any().(error); isError {
		attribute.Value = slog.StringValue(kargo.Explain(err))
	}
	return attribute
}

// notifier sends the outcome of a deployment to --notify-url. It logs an error: a
// deployment does not fail because of it.
func (n *notifyFlags) notifier(log *slog.Logger) (func(context.Context, kargo.Deployment), error) {
	if n.url == "" {
		return nil, nil
	}
	webhook := &notify.Webhook{URL: n.url, Secret: n.secret.optional()}
	if err := webhook.Validate(); err != nil {
		return nil, err
	}
	return func(ctx context.Context, deployment kargo.Deployment) {
		if err := webhook.Deployment(ctx, deployment); err != nil {
			log.Warn("notification failed", "deployment", deployment.Number, "error", err)
		}
	}, nil
}
