package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"kargo"
	"kargo/compile"
	"kargo/controller"
	"kargo/defaults"
	"kargo/directory"
	"kargo/dotkargo"
	"kargo/gitsync"
	"kargo/history"
	"kargo/merge"
	"kargo/plan"
	"kargo/swarm"
)

const catalogueVersion = defaults.Version

// compiler returns what turns files into stacks. It is the same for every command.
func (s *workspaceFlags) compiler() (compile.Compiler, error) {
	compiler := compile.Compiler{
		Defaults: defaults.FS(), Catalogue: defaults.Version, Root: s.root(),
		// A workspace from a repository is not on disk; the name only must be
		// the same every time.
		Workspace: filepath.Join(s.data, "workspace"),
		UserID:    os.Getuid(), GroupID: os.Getgid(),
	}
	s.hooks.set(&compiler)
	var err error
	if compiler.Policy, err = s.policy.policy(); err != nil {
		return compiler, err
	}
	options, err := s.secrets.options(s.env)
	if err != nil {
		return compiler, err
	}
	compiler.Secrets = options.Open
	if s.workspace != "" {
		compiler.Workspace = s.workspace
	}
	if s.defaults != "" {
		files, err := directory.Open(s.defaults)
		if err != nil {
			return compiler, err
		}
		digest, err := directory.Digest(files, merge.Reads)
		if err != nil {
			return compiler, err
		}
		compiler.Defaults, compiler.Catalogue = files, directory.Prefix+digest[:12]
	}
	return compiler, nil
}

// source returns where revisions come from: the repository, or a directory.
func (s *sourceFlags) source() (controller.Source, string, error) {
	if s.repo != "" && s.workspace != "" {
		return nil, "", usagef("--repo and --workspace exclude each other")
	}
	if s.repo == "" {
		if s.path != "" || s.signatures.required != "" {
			return nil, "", usagef("--path and --verify-signatures are about a repository; give --repo")
		}
		if err := s.findWorkspace(); err != nil {
			return nil, "", err
		}
		source, err := s.withLayers(directory.Repository{Path: s.workspace, Reads: merge.Reads, Key: s.keyOfDirectories()}, s.gitOptions())
		return source, s.workspace, err
	}
	return s.repository()
}

// repository opens the workspace repository, and the layers below it. The
// address has no secret in it.
func (s *sourceFlags) repository() (source compile.Layers, address string, err error) {
	if s.repo == "" {
		return compile.Layers{}, "", usagef("which repository? give --repo or KARGO_REPO")
	}
	if s.depth != 0 && s.depth != oneCommit {
		return compile.Layers{}, "", usagef("--depth takes 1 or 0, not %d", s.depth)
	}
	if err := s.makeState(); err != nil {
		return compile.Layers{}, "", err
	}
	repository, err := gitsync.Open(s.gitOptions())
	if err != nil {
		return compile.Layers{}, "", err
	}
	source, err = s.withLayers(repository, s.gitOptions())
	return source, repository.Address(), err
}

func (s *sourceFlags) gitOptions() gitsync.Options { return s.options(s.state("git")) }

// findWorkspace sets the workspace, if none was named, to the one in use, or else to
// the current directory.
func (s *workspaceFlags) findWorkspace() error {
	if s.workspace != "" {
		return nil
	}
	used, err := s.useRemembered()
	if used != "" || err != nil {
		s.workspace = used
		return err
	}
	current, err := os.Getwd()
	if err != nil {
		return err
	}
	if !hasStart(current) {
		return usagef("which workspace? the current directory has no .env; give --workspace DIR, or say `kargo use DIR`")
	}
	s.workspace = current
	return nil
}

// read returns the workspace of a local directory, rendered. The result has its
// problems; the caller decides what they mean.
func (s *workspaceFlags) read(ctx context.Context, stacks ...string) (compile.Desired, error) {
	return s.readWith(ctx, optionsOfLayers(), stacks...)
}

// readWith is read with the options of the workspace repository, which may be
// those of layers, too.
func (s *workspaceFlags) readWith(ctx context.Context, git gitsync.Options, stacks ...string) (compile.Desired, error) {
	if err := s.findWorkspace(); err != nil {
		return compile.Desired{}, err
	}
	source, err := s.withLayers(directory.Repository{Path: s.workspace, Reads: merge.Reads, Key: s.keyOfDirectories()}, git)
	if err != nil {
		return compile.Desired{}, err
	}
	return s.readHead(ctx, source, stacks...)
}

// readHead reads the head of a source as the controller would.
func (s *workspaceFlags) readHead(ctx context.Context, source controller.Source, stacks ...string) (compile.Desired, error) {
	compiler, err := s.compiler()
	if err != nil {
		return compile.Desired{}, err
	}
	commit, err := source.Head(ctx)
	if err != nil {
		return compile.Desired{}, err
	}
	tree, err := source.Fetch(ctx, commit)
	if err != nil {
		return compile.Desired{}, err
	}
	return compiler.Compile(ctx, tree, stacks...)
}

// docker returns the client of a command that works on the Swarm.
func (s *swarmFlags) docker(env map[string]string) (*swarm.Client, error) {
	options := s.registryFlags.options(env)
	options.Token = !s.ownKey.given() // else Swarm keeps the key, sealed with the token
	return swarm.Open(options)
}

// docker returns a client of the Swarm.
func (s *registryFlags) docker(env map[string]string) (*swarm.Client, error) {
	return swarm.Open(s.options(env))
}

// options say how to reach the Swarm that --docker-host or Docker's own variables name.
func (s *registryFlags) options(env map[string]string) swarm.Options {
	options := swarm.Options{
		Hosts: s.dockerHosts, TLSVerify: env["DOCKER_TLS_VERIFY"] != "", Credentials: s.registryCredentials(env),
	}
	if host := env["DOCKER_HOST"]; host != "" && len(options.Hosts) == 0 {
		options.Hosts = []string{host}
	}
	if options.TLSVerify || env["DOCKER_CERT_PATH"] != "" {
		options.CertPath = env["DOCKER_CERT_PATH"]
	}
	return options
}

// registryCredentials returns a function that reads the named file, or the one that
// `docker login` writes, if it exists.
func (s *registryFlags) registryCredentials(env map[string]string) func() ([]byte, error) {
	if s.registryAuth.given() {
		return s.registryAuth.read
	}
	directory := env["DOCKER_CONFIG"]
	if directory == "" {
		if env["HOME"] == "" {
			return nil
		}
		directory = filepath.Join(env["HOME"], ".docker")
	}
	return func() ([]byte, error) {
		data, err := os.ReadFile(filepath.Join(directory, "config.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return data, err
	}
}

// parts returns what every controller of this program has in common, whether it runs
// for one round or for years.
func (s *operationFlags) parts(ctx context.Context, source controller.Source, address string, store *history.Store) (controller.Parts, error) {
	memory, err := store.Memory()
	if err != nil {
		return controller.Parts{}, err
	}
	unfinished, err := store.Unfinished()
	if err != nil {
		return controller.Parts{}, err
	}
	if err := store.Seal(func() ([]byte, error) { return s.key.ofRenderings(ctx) }); err != nil {
		return controller.Parts{}, err
	}
	parts, err := s.partsWith(ctx)
	parts.Source, parts.Behavior.Repository, parts.Store = source, address, store
	parts.Memory, parts.Unfinished = memory, unfinished
	return parts, err
}

// partsWith returns the parts that need no data directory. s.key is set. Nothing falls due by the
// clock until the caller sets a schedule.
func (s *operationFlags) partsWith(ctx context.Context) (controller.Parts, error) {
	client := s.key.client
	compiler, err := s.compiler()
	if err != nil {
		return controller.Parts{}, err
	}
	compiler.Keys = s.key.keys
	effects := controller.Effects{
		Credentials: func() func(string) (kargo.Credential, error) {
			keys, err := s.key.keys(ctx)
			if err != nil {
				return func(string) (kargo.Credential, error) { return kargo.Credential{}, err }
			}
			return client.Credentials(keys.Specs)
		},
		Write: dotkargo.NewWriter(s.root()).Write,
	}
	if runner := s.hooks.theRunner(); runner != nil {
		effects.After = runner.After
	}
	return controller.Parts{
		Swarm: client, Watcher: client, Compiler: compiler, Effects: effects,
		Behavior: controller.Behavior{
			Instance: s.instance, Version: version,
			Poll: controller.Every(time.Hour), Verify: time.Hour,
			Governor: &plan.Governor{Stacks: s.pruneStacks, Percent: s.prunePercent},
		},
		Log: slog.New(slog.DiscardHandler),
	}, nil
}

// clock returns the time, for records that a person makes.
func clock() time.Time { return time.Now() }
