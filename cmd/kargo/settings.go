package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/gitsync"
	"kargo/plan"
	"kargo/spelling"
)

// settings are the program's own. Nothing outside this package knows where
// they come from. Each is a flag, a KARGO_* variable and a key of the settings
// file, under one name; see resolve.
type settings struct {
	config string

	workspace string
	defaults  string
	data      string

	layer   layerSettings
	policy  policySettings
	secrets secretSettings
	hooks   hookSettings
	images  imageSettings
	clean   cleanSettings
	env     map[string]string // of the process

	repo         string
	ref          string
	gitUsername  string
	gitPassword  secretSource
	sshKey       secretSource
	sshPassword  secretSource
	knownHosts   secretSource
	gitCA        secretSource
	gitTimeout   time.Duration
	git          gitAccess
	path         string
	signatures   string
	sshSigners   secretSource
	pgpKeys      secretSource
	limits       gitsync.Limits
	submodules   []string
	depth        int
	readMemory   int
	interval     time.Duration
	schedule     string
	verify       time.Duration
	listen       string
	openMetrics  bool
	webhook      secretSource
	apiToken     secretSource
	url          string
	instance     string
	registryAuth secretSource
	pruneStacks  int
	prunePercent int
	notifyURL    string
	notifySecret secretSource
	logFormat    string
	logLevel     string
}

// secretSource is a secret that is read from a file (a flag, a variable or a
// key names it) or is itself in a variable, never on a command line.
type secretSource struct {
	file  string
	value string // of the variable
}

func (s secretSource) given() bool { return s.file != "" || s.value != "" }

// read answers the secret without the line break at its end. The file is read
// anew each time: a rotated secret counts at once.
func (s secretSource) read() ([]byte, error) {
	if s.file == "" {
		return []byte(strings.TrimRight(s.value, "\r\n")), nil
	}
	data, err := os.ReadFile(s.file)
	if err != nil {
		return nil, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("read secret: %w", err)}
	}
	return []byte(strings.TrimRight(string(data), "\r\n")), nil
}

// optional is read as the packages want it: nil where nothing is given.
func (s secretSource) optional() func() ([]byte, error) {
	if !s.given() {
		return nil
	}
	return s.read
}

// text is optional for those who want a string.
func (s secretSource) text() func() (string, error) {
	if !s.given() {
		return nil
	}
	return func() (string, error) {
		data, err := s.read()
		return string(data), err
	}
}

// Groups of settings, for the commands that take them.

func (s *settings) dataFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.config, "config", "", "settings `file`: YAML, one key a setting, named as the flags are")
	flags.StringVar(&s.data, "data", ".", "`directory` for the merged configuration (.kargo) and Kargo's own state (.kargo-state)")
}

func (s *settings) workspaceFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&s.workspace, "workspace", "w", "", "workspace `directory`; that of \"kargo use\" if not given, or the current one if it has a .env")
	flags.StringVar(&s.defaults, "defaults", "", "`directory` that takes the place of the embedded catalogue")
	s.layerFlags(flags)
	s.policyFlags(flags)
	s.secretFlags(flags)
	s.hookFlags(flags)
}

func (s *settings) repoFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.repo, "repo", "", "`address` of the workspace repository: https://, ssh://, user@host:path or a local path")
	flags.StringVar(&s.ref, "ref", "", "branch or tag to follow (`ref`), a range of versions (semver:>=1.2 <2), or a full commit hash; the remote's HEAD if empty")
	flags.StringVar(&s.path, "path", "", "`directory` of the repository that is the workspace; the whole if empty")
	flags.StringVar(&s.gitUsername, "git-username", "", "user `name` for https; a token needs none")
	flags.StringVar(&s.gitPassword.file, "git-password-file", "", "`file` with the password or token for https (or KARGO_GIT_PASSWORD)")
	s.git.flags(flags)
	flags.StringVar(&s.gitCA.file, "git-ca-file", "", "`file` with certificates to trust for https, beside the system's (or KARGO_GIT_CA)")
	flags.StringVar(&s.sshKey.file, "ssh-key-file", "", "`file` with the private key for ssh (or KARGO_SSH_KEY)")
	flags.StringVar(&s.sshPassword.file, "ssh-passphrase-file", "", "`file` with the passphrase of that key (or KARGO_SSH_PASSPHRASE)")
	flags.StringVar(&s.knownHosts.file, "known-hosts-file", "", "`file` with the host keys to trust, needed for ssh (or KARGO_KNOWN_HOSTS)")
	flags.DurationVar(&s.gitTimeout, "git-timeout", 2*time.Minute, "time limit of one fetch")
	flags.StringVar(&s.signatures, "verify-signatures", "", "`what` an allowed key must have signed: commit, tag or both; nothing if empty")
	flags.StringVar(&s.sshSigners.file, "verify-ssh-signers-file", "", "`file` with the SSH keys that may sign, as git's gpg.ssh.allowedSignersFile (or KARGO_VERIFY_SSH_SIGNERS)")
	flags.StringVar(&s.pgpKeys.file, "verify-pgp-keys-file", "", "`file` with the OpenPGP keys that may sign, armored (or KARGO_VERIFY_PGP_KEYS)")
	flags.StringArrayVar(&s.submodules, "submodule-hosts", nil, "`host`, or host:port, from which submodules are fetched; may be repeated")
	flags.IntVar(&s.depth, "depth", 1, "commits to fetch: 1, or 0 to keep all history and fetch only what is new")
	limits := gitsync.DefaultLimits()
	flags.IntVar(&s.limits.Files, "max-files", limits.Files, "so many files and directories a commit may have")
	flags.Int64Var(&s.limits.Bytes, "max-bytes", limits.Bytes, "so many bytes the files of a commit may have together, and the download of it")
	flags.Int64Var(&s.limits.File, "max-file-bytes", limits.File, "so many bytes one file may have")
}

func (s *settings) swarmFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.instance, "instance", "default", "`name` under which this controller owns what it makes")
	s.registryFlag(flags)
	flags.IntVar(&s.pruneStacks, "prune-stacks", plan.DefaultGovernor.Stacks, "so many stacks may leave at once without approval, …")
	flags.IntVar(&s.prunePercent, "prune-percent", plan.DefaultGovernor.Percent, "… and so many percent of all; removing every stack always waits")
}

func (s *settings) registryFlag(flags *pflag.FlagSet) {
	flags.StringVar(&s.registryAuth.file, "registry-auth-file", "", "`file` with credentials of registries, as docker login writes it; that one if not given (or KARGO_REGISTRY_AUTH)")
}

func (s *settings) serveFlags(flags *pflag.FlagSet) {
	flags.IntVar(&s.readMemory, "read-memory", 0, "memory in `MiB` that reading one revision may take; one that needs more is refused; 0: 1024, or half of what the container has")
	flags.DurationVar(&s.interval, "interval", time.Minute, "how often git is asked")
	flags.StringVar(&s.schedule, "schedule", "", "cron `expression` that takes the place of --interval (\"*/5 * * * *\")")
	flags.DurationVar(&s.verify, "verify", 5*time.Minute, "how often the whole Swarm is looked at even if nothing stirs")
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8080", "`address` for webhooks, API, metrics and the page")
	flags.BoolVar(&s.openMetrics, "open-metrics", true, "serve /metrics without the token")
	flags.StringVar(&s.webhook.file, "webhook-secret-file", "", "`file` with the secret of webhooks; without one they are refused (or KARGO_WEBHOOK_SECRET)")
	s.tokenFlag(flags)
	s.imageFlags(flags)
	s.cleanFlags(flags)
	flags.StringVar(&s.notifyURL, "notify-url", "", "`address` that is told how each deployment ended (signed JSON)")
	flags.StringVar(&s.notifySecret.file, "notify-secret-file", "", "`file` with the secret that signs notifications (or KARGO_NOTIFY_SECRET)")
	flags.StringVar(&s.logFormat, "log-format", "text", "`text` or json")
	flags.StringVar(&s.logLevel, "log-level", "info", "`debug`, info, warn or error")
}

func (s *settings) tokenFlag(flags *pflag.FlagSet) {
	flags.StringVar(&s.apiToken.file, "api-token-file", "", "`file` with the token of API and page; made in the data directory if not given (or KARGO_API_TOKEN)")
}

func (s *settings) clientFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.url, "url", "", "`address` of the controller; the one with the same data directory if empty")
	s.tokenFlag(flags)
}

// secretVariables are the variables that hold a secret themselves, by the flag
// that names its file.
func (s *settings) secretVariables() map[string]*secretSource {
	all := s.secrets.sources()
	maps.Copy(all, map[string]*secretSource{
		"KARGO_GIT_PASSWORD":       &s.gitPassword,
		"KARGO_GIT_BEARER_TOKEN":   &s.git.bearer,
		"KARGO_GIT_CLIENT_CERT":    &s.git.clientCert,
		"KARGO_GIT_CLIENT_KEY":     &s.git.clientKey,
		"KARGO_GIT_PROXY_PASSWORD": &s.git.proxyPassword,
		"KARGO_GITHUB_APP_KEY":     &s.git.appKey,
		"KARGO_GIT_CA":             &s.gitCA,
		"KARGO_SSH_KEY":            &s.sshKey,
		"KARGO_SSH_PASSPHRASE":     &s.sshPassword,
		"KARGO_KNOWN_HOSTS":        &s.knownHosts,
		"KARGO_VERIFY_SSH_SIGNERS": &s.sshSigners,
		"KARGO_VERIFY_PGP_KEYS":    &s.pgpKeys,
		"KARGO_WEBHOOK_SECRET":     &s.webhook,
		"KARGO_API_TOKEN":          &s.apiToken,
		"KARGO_NOTIFY_SECRET":      &s.notifySecret,
		"KARGO_REGISTRY_AUTH":      &s.registryAuth,
	})
	return all
}

// environment is the process's environment as a map.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}

// variable is the name of a setting's variable: --git-username is
// KARGO_GIT_USERNAME.
func variable(flag string) string {
	return "KARGO_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// resolve fills in what the command line left open: first from variables, then
// from the settings file. A key that no command knows is an error: a slip of
// the pen must not be a setting that silently does nothing.
func (s *settings) resolve(cmd *cobra.Command, env map[string]string) error {
	known := allSettings()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if err := s.resolveVariable(cmd.Flags(), known, name, env[name]); err != nil {
			return err
		}
	}
	if s.config == "" {
		return nil
	}
	keys, err := readSettingsFile(s.config)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !known[key.name] {
			return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: s.config, Line: key.line},
				Err: fmt.Errorf("unknown setting %q", key.name), Hint: spelling.DidYouMean(key.name, slices.Collect(maps.Keys(known)))}
		}
		// Settings of other commands are read, and left alone.
		flag := cmd.Flags().Lookup(key.name)
		if flag == nil || flag.Changed {
			continue
		}
		if err := setFlag(flag, key.values); err != nil {
			return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: s.config, Line: key.line},
				Err: fmt.Errorf("setting %s: %w", key.name, err)}
		}
		flag.Changed = true
	}
	return nil
}

func (s *settings) resolveVariable(flags *pflag.FlagSet, known map[string]bool, name, value string) error {
	rest, ours := strings.CutPrefix(name, "KARGO_")
	if !ours || strings.HasPrefix(name, refPrefix) || strings.HasPrefix(rest, "TEST_") || strings.HasPrefix(rest, "TESTBED_") { // the test bed's
		return nil
	}
	if secret, isSecret := s.secretVariables()[name]; isSecret {
		secret.value = value
		return nil
	}
	setting := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
	if !known[setting] {
		var names []string
		for setting := range known {
			names = append(names, variable(setting))
		}
		return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("unknown setting in the environment: %s", name), Hint: spelling.DidYouMean(name, names)}
	}
	flag := flags.Lookup(setting)
	if flag == nil || flag.Changed || value == "" {
		return nil
	}
	values := []string{value}
	if _, list := flag.Value.(pflag.SliceValue); list {
		values = strings.Fields(value)
	}
	if err := setFlag(flag, values); err != nil {
		return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("%s: %w", name, err)}
	}
	flag.Changed = true
	return nil
}

// setFlag gives a flag its value, or a flag that may be repeated its values.
func setFlag(flag *pflag.Flag, values []string) error {
	if list, ok := flag.Value.(pflag.SliceValue); ok {
		return list.Replace(values)
	}
	if len(values) != 1 {
		return errors.New("wants a single value")
	}
	return flag.Value.Set(values[0])
}

// allSettings are the names of every setting of every command.
func allSettings() map[string]bool {
	s, flags := &settings{}, pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, group := range []func(*pflag.FlagSet){s.dataFlags, s.workspaceFlags, s.repoFlags, s.swarmFlags, s.serveFlags} {
		group(flags)
	}
	flags.StringVar(&s.url, "url", "", "")
	known := map[string]bool{}
	flags.VisitAll(func(flag *pflag.Flag) { known[flag.Name] = true })
	return known
}

// setting is one line of a settings file.
type setting struct {
	name   string
	values []string // one, or those of a list
	line   int
}

func readSettingsFile(path string) ([]setting, error) {
	entries, err := readMapping(path)
	if err != nil {
		return nil, err
	}
	var all []setting
	for _, entry := range entries {
		values, err := settingValues(entry.value)
		if err != nil {
			return nil, fileError(path, entry.value, fmt.Errorf("setting %s: %w", entry.key.Value, err))
		}
		all = append(all, setting{entry.key.Value, values, entry.key.Line})
	}
	return all, nil
}

// entry is one key of a mapping with its value.
type entry struct{ key, value *yaml.Node }

// readMapping reads a YAML file of the operator's that is a mapping.
func readMapping(path string) ([]entry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("read settings: %w", err)}
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: path}, Err: err}
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	mapping := document.Content[0]
	if mapping.Kind != yaml.MappingNode {
		return nil, fileError(path, mapping, errors.New("settings are a mapping of names to values"))
	}
	var entries []entry
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		entries = append(entries, entry{mapping.Content[i], mapping.Content[i+1]})
	}
	return entries, nil
}

// fileError is what is wrong at a place of a file of the operator's.
func fileError(path string, node *yaml.Node, err error) error {
	fault := &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: path, Line: node.Line}, Err: err}
	var inner *kargo.Error
	if errors.As(err, &inner) {
		fault.Err, fault.Hint = inner.Err, inner.Hint
	}
	return fault
}

// settingValues are a single value, or a list of them.
func settingValues(node *yaml.Node) ([]string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		return []string{node.Value}, nil
	case yaml.SequenceNode:
		var values []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, errors.New("is a list of something else than single values")
			}
			values = append(values, item.Value)
		}
		return values, nil
	}
	return nil, errors.New("is neither a value nor a list of values")
}
