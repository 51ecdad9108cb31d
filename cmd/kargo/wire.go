package main

import (
	"context"
	"errors"
	"fmt"
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
	"kargo/gitsync/signature"
	"kargo/gitsync/wire"
	"kargo/history"
	"kargo/merge"
	"kargo/plan"
	"kargo/swarm"
)

const catalogueVersion = defaults.Version

// Places in the data directory.
func (s *settings) root() string { return filepath.Join(s.data, ".kargo") }

func (s *settings) state(name string) string { return filepath.Join(s.data, ".kargo-state", name) }

// makeState makes the data directory and what is Kargo's own in it.
func (s *settings) makeState() error {
	if err := os.MkdirAll(s.state(""), 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	return nil
}

// absolute makes the paths that end up in specs and in records independent of
// the current directory.
func (s *settings) absolute() (err error) {
	for _, path := range []*string{&s.data, &s.workspace, &s.defaults, &s.policy.file, &s.secrets.directory} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return nil
}

// compiler is how files become stacks, the same for every command.
func (s *settings) compiler() (compile.Compiler, error) {
	compiler := compile.Compiler{
		Defaults: defaults.FS(), Catalogue: defaults.Version, Root: s.root(),
		// Where the workspace comes from a repository it lies nowhere on
		// disk; the name only has to be the same every time.
		Workspace: filepath.Join(s.data, "workspace"),
		UserID:    os.Getuid(), GroupID: os.Getgid(),
	}
	s.setHooks(&compiler)
	var err error
	if compiler.Policy, err = s.permitted(); err != nil {
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

// source is where revisions come from: the repository, or a plain directory.
func (s *settings) source() (controller.Source, string, error) {
	if s.repo != "" && s.workspace != "" {
		return nil, "", usagef("--repo and --workspace exclude each other")
	}
	if s.repo == "" {
		if s.path != "" || s.signatures != "" {
			return nil, "", usagef("--path and --verify-signatures are about a repository; give --repo")
		}
		if err := s.findWorkspace(); err != nil {
			return nil, "", err
		}
		source, err := s.withLayers(directory.Repository{Path: s.workspace, Reads: merge.Reads})
		return source, s.workspace, err
	}
	return s.repository()
}

// repository opens the workspace repository, and what lies below it. Its
// address is fit to be shown.
func (s *settings) repository() (source controller.Source, address string, err error) {
	if s.repo == "" {
		return nil, "", usagef("which repository? give --repo or KARGO_REPO")
	}
	if s.depth != 0 && s.depth != 1 {
		return nil, "", usagef("--depth takes 1 or 0, not %d", s.depth)
	}
	repository, err := gitsync.Open(s.gitOptions())
	if err != nil {
		return nil, "", err
	}
	source, err = s.withLayers(repository)
	return source, repository.Address(), err
}

// gitOptions are how to get at the workspace repository.
func (s *settings) gitOptions() gitsync.Options {
	return s.git.complete(gitsync.Options{
		URL: s.repo, Ref: s.ref, Path: s.path, Dir: s.state("git"),
		Access: wire.Access{
			Username: s.gitUsername, Password: s.gitPassword.text(), CA: s.gitCA.optional(),
			SSHKey: s.sshKey.optional(), SSHPassphrase: s.sshPassword.optional(), KnownHosts: s.knownHosts.optional(),
		},
		Signatures: signature.Rules{Required: signature.Required(s.signatures), SSHSigners: s.sshSigners.optional(), PGPKeys: s.pgpKeys.optional()},
		AuthorName: s.images.author.Name, AuthorEmail: s.images.author.Address,
		Timeout: s.gitTimeout, Limits: s.limits, SubmoduleHosts: s.submodules, History: s.depth == 0,
	})
}

// findWorkspace takes the workspace in use, or else the current directory,
// where none was named.
func (s *settings) findWorkspace() error {
	if s.workspace != "" {
		return nil
	}
	if found, err := s.takeUsed(); found || err != nil {
		return err
	}
	current, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(current, ".env")); err != nil {
		return usagef("which workspace? the current directory has no .env; give --workspace DIR, or say `kargo use DIR`")
	}
	s.workspace = current
	return nil
}

// read is the workspace of a local directory, rendered. Problems are in the
// answer; the caller says what they mean.
func (s *settings) read(ctx context.Context, stacks ...string) (compile.Desired, error) {
	if err := s.findWorkspace(); err != nil {
		return compile.Desired{}, err
	}
	source, err := s.withLayers(directory.Repository{Path: s.workspace, Reads: merge.Reads})
	if err != nil {
		return compile.Desired{}, err
	}
	return s.readHead(ctx, source, stacks...)
}

// readHead reads the head of a source as the controller would.
func (s *settings) readHead(ctx context.Context, source controller.Source, stacks ...string) (compile.Desired, error) {
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

// docker opens the way to the Swarm, by Docker's own variables.
func (s *settings) docker(env map[string]string) (*swarm.Client, error) {
	options := swarm.Options{
		Host: env["DOCKER_HOST"], TLSVerify: env["DOCKER_TLS_VERIFY"] != "", Credentials: s.registryCredentials(env),
	}
	if options.TLSVerify || env["DOCKER_CERT_PATH"] != "" {
		options.CertPath = env["DOCKER_CERT_PATH"]
	}
	return swarm.Open(options)
}

// registryCredentials reads the file that was named, or the one that `docker
// login` writes, if it is there.
func (s *settings) registryCredentials(env map[string]string) func() ([]byte, error) {
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

// openHistory opens the history of the data directory.
func (s *settings) openHistory() (*history.Store, error) {
	if err := s.makeState(); err != nil {
		return nil, err
	}
	return history.Open(s.state("history.db"))
}

// openHistoryToRead opens the history where there is one, and returns nil where
// there is none: reading makes no file. It is Unavailable while a controller
// uses it.
func (s *settings) openHistoryToRead() (*history.Store, error) {
	if _, err := os.Stat(s.state("history.db")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s.openHistory()
}

// parts are what every controller of this program has in common, whether it
// runs for one round or for years. The instance's key is made at the first need
// where instance says so.
func (s *settings) parts(ctx context.Context, source controller.Source, address string, instance *instanceKey, store *history.Store) (controller.Parts, error) {
	memory, err := store.Memory()
	if err != nil {
		return controller.Parts{}, err
	}
	unfinished, err := store.Unfinished()
	if err != nil {
		return controller.Parts{}, err
	}
	key, err := store.Key()
	if err != nil {
		return controller.Parts{}, err
	}
	sealKey := instance.derive(goodRenderings)
	if err := store.Seal(func() ([]byte, error) { return sealKey(ctx) }); err != nil {
		return controller.Parts{}, err
	}
	parts, err := s.partsWith(key, instance, instance.client)
	parts.Source, parts.Behavior.Repository, parts.Store = source, address, store
	parts.Memory, parts.Unfinished = memory, unfinished
	return parts, err
}

// partsWith are the parts that need no data directory.
func (s *settings) partsWith(key []byte, instance *instanceKey, client *swarm.Client) (controller.Parts, error) {
	compiler, err := s.compiler()
	if err != nil {
		return controller.Parts{}, err
	}
	compiler.Key, compiler.DigestKey = instance.derive(namesOfSecrets), key
	effects := controller.Effects{
		Credential: func(image string) (kargo.Credential, error) { return client.Credential(key, image) },
		Write:      func(workspace kargo.Workspace) error { return dotkargo.Write(s.root(), workspace) },
	}
	if runner := s.hookRunner(); runner != nil {
		effects.After = runner.After
	}
	return controller.Parts{
		Swarm: client, Watcher: client, Compiler: compiler, Effects: effects,
		Behavior: controller.Behavior{
			Instance: s.instance, Version: version,
			Poll: controller.Every(s.interval), Verify: s.verify,
			Governor: &plan.Governor{Stacks: s.pruneStacks, Percent: s.prunePercent}, MaskKey: key,
		},
		Log: slog.New(slog.DiscardHandler),
	}, nil
}

// clock is the wall clock, for the records that a person makes.
func clock() time.Time { return time.Now() }
