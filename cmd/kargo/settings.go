package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/plan"
	"kargo/spelling"
)

// Settings are flags, KARGO_* variables and keys of a settings file, each under
// one name; see [program.resolve]. Flags come in groups: a group is a type with
// a method that defines its flags, and a command is made of the groups that it
// takes. Nothing outside this package knows where a setting comes from.

// program is the group that every command with settings takes.
type program struct {
	config string
	env    map[string]string // of the process
}

func (p *program) flags(flags *pflag.FlagSet) {
	flags.Var((*pathValue)(&p.config), "config", "settings file: YAML with one key for each setting, named as its flag")
}

// prepare fills in the settings of a command, and makes its paths absolute.
func (p *program) prepare(cmd *cobra.Command, env map[string]string) error {
	p.env = env
	if err := p.resolve(cmd, env); err != nil {
		return err
	}
	return makeAbsolute(cmd.Flags())
}

// clientFlags say which controller a command talks to.
type clientFlags struct {
	url      string
	apiToken secretSource
	context  string
	// person is who the user of the command says to be; it is no setting.
	person string
}

func (c *clientFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "url", "", "`address` of the controller; by default that of the context in use, or the one that uses the same data directory")
	flags.StringVar(&c.context, "context", "", "`name` of the context whose controller is asked; see kargo context")
	apiTokenFlag(flags, &c.apiToken)
}

func apiTokenFlag(flags *pflag.FlagSet, token *secretSource) {
	secretFlag(flags, token, "api-token", "file with the token of the API and the page; by default one in the data directory")
}

// registryFlags say with which credentials registries are asked.
type registryFlags struct {
	dockerHosts  []string
	registryAuth secretSource
}

func (r *registryFlags) flags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&r.dockerHosts, "docker-host", nil, "`address` of a manager of the Swarm; can be repeated: the next is used while one is down, cut off or without a leader; by default DOCKER_HOST")
	secretFlag(flags, &r.registryAuth, "registry-auth", "file with credentials of registries in the form of docker login; by default the file that docker login writes")
}

// swarmFlags say how a command works on the Swarm.
type swarmFlags struct {
	registryFlags
	instance     string
	ownKey       secretSource
	pruneStacks  int
	prunePercent int
}

func (s *swarmFlags) flags(flags *pflag.FlagSet) {
	s.registryFlags.flags(flags)
	flags.StringVar(&s.instance, "instance", "default", "`name` of this controller; it owns what it creates under this name")
	secretFlag(flags, &s.ownKey, "instance-key", "file with the key of this controller's digests and of sealed renderings; without one Swarm keeps a key")
	flags.IntVar(&s.pruneStacks, "prune-stacks", plan.DefaultGovernor.Stacks,
		"`number` of stacks that may be removed at once without approval; removing all stacks always needs approval")
	flags.IntVar(&s.prunePercent, "prune-percent", plan.DefaultGovernor.Percent,
		"`percentage` of all stacks that may be removed at once without approval")
}

// pathValue is a path as the value of a flag.
type pathValue string

func (p *pathValue) Set(path string) error { *p = pathValue(path); return nil }
func (p *pathValue) String() string        { return string(*p) }
func (p *pathValue) Type() string          { return "path" }

// makeAbsolute makes the paths of a command independent of the current
// directory: some of them end up in specs and in records.
func makeAbsolute(flags *pflag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(flag *pflag.Flag) {
		path, isPath := flag.Value.(*pathValue)
		if !isPath || *path == "" {
			return
		}
		absolute, err := filepath.Abs(string(*path))
		*path, errs = pathValue(absolute), append(errs, err)
	})
	return errors.Join(errs...)
}

// secretSource is a secret that is read from a file (a flag, a variable or a
// key names it) or is itself in a variable, never on a command line. It is the
// value of the flag that names the file.
type secretSource struct {
	file  string
	value string // of the variable
}

// secretFlag defines the flag NAME-file of a secret, whose variable KARGO_NAME
// may hold the secret itself.
func secretFlag(flags *pflag.FlagSet, secret *secretSource, name, usage string) {
	flags.Var(secret, name+secretSuffix, fmt.Sprintf("%s (or %s with its content)", usage, variable(name)))
}

// secretSuffix ends the name of a flag that names the file of a secret.
const secretSuffix = "-file"

func (s *secretSource) Set(path string) error { s.file = path; return nil }
func (s *secretSource) String() string        { return s.file }
func (s *secretSource) Type() string          { return "path" }

func (s *secretSource) given() bool { return s.file != "" || s.value != "" }

// read returns the secret without the line break at its end. It reads the file
// each time, so a changed secret counts at once.
func (s *secretSource) read() ([]byte, error) {
	if s.file == "" {
		return []byte(strings.TrimRight(s.value, "\r\n")), nil
	}
	data, err := os.ReadFile(s.file)
	if err != nil {
		return nil, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("read secret: %w", err)}
	}
	return []byte(strings.TrimRight(string(data), "\r\n")), nil
}

// optional returns read, or nil if no secret is given.
func (s *secretSource) optional() func() ([]byte, error) {
	if !s.given() {
		return nil
	}
	return s.read
}

// text is optional for packages that take a string.
func (s *secretSource) text() func() (string, error) {
	if !s.given() {
		return nil
	}
	return func() (string, error) {
		data, err := s.read()
		return string(data), err
	}
}

// environment returns the environment of the process as a map.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}

// variable returns the variable of a setting: KARGO_GIT_USERNAME for
// --git-username.
func variable(flag string) string {
	return "KARGO_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// resolve fills in what the command line left open: first from variables, then
// from the settings file. A name that no command knows is an error, so that a
// misspelt setting is not ignored.
func (p *program) resolve(cmd *cobra.Command, env map[string]string) error {
	known := allSettings()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if err := resolveVariable(cmd.Flags(), known, name, env[name]); err != nil {
			return err
		}
	}
	if p.config == "" {
		return nil
	}
	keys, err := readSettingsFile(p.config)
	if err != nil {
		return err
	}
	for _, key := range keys {
		where := kargo.Place{File: p.config, Line: key.line}
		if known.Lookup(key.name) == nil {
			return &kargo.Error{Fault: kargo.Invalid, Where: where,
				Err: fmt.Errorf("unknown setting %q", key.name), Hint: spelling.DidYouMean(key.name, namesOf(known))}
		}
		// Settings of other commands are read, and left alone.
		flag := cmd.Flags().Lookup(key.name)
		if flag == nil || flag.Changed {
			continue
		}
		if err := setFlag(flag, key.values); err != nil {
			return &kargo.Error{Fault: kargo.Invalid, Where: where, Err: fmt.Errorf("setting %s: %w", key.name, err)}
		}
		flag.Changed = true
	}
	return nil
}

func resolveVariable(flags, known *pflag.FlagSet, name, value string) error {
	rest, ours := strings.CutPrefix(name, "KARGO_")
	if !ours || strings.HasPrefix(name, refPrefix) || strings.HasPrefix(rest, "TEST_") || strings.HasPrefix(rest, "TESTBED_") { // the test bed's
		return nil
	}
	setting := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
	if secretOf(known, setting) != nil {
		if secret := secretOf(flags, setting); secret != nil {
			secret.value = value
		}
		return nil
	}
	if known.Lookup(setting) == nil {
		var names []string
		for _, setting := range namesOf(known) {
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

// secretOf returns the secret that a variable holds itself, as KARGO_SSH_KEY
// holds what --ssh-key-file names the file of; nil where there is none.
func secretOf(flags *pflag.FlagSet, setting string) *secretSource {
	flag := flags.Lookup(setting + secretSuffix)
	if flag == nil {
		return nil
	}
	secret, _ := flag.Value.(*secretSource)
	return secret
}

// setFlag sets the value of a flag, or the values of a flag that can be repeated.
func setFlag(flag *pflag.Flag, values []string) error {
	if list, ok := flag.Value.(pflag.SliceValue); ok {
		return list.Replace(values)
	}
	if len(values) != 1 {
		return errors.New("wants a single value")
	}
	return flag.Value.Set(values[0])
}

// allSettings returns the settings of all commands.
func allSettings() *pflag.FlagSet {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, group := range []interface{ flags(*pflag.FlagSet) }{&serveFlags{}, &workspaceFlags{}, &clientFlags{}} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		group.flags(flags)
		all.AddFlagSet(flags) // what is there already stays
	}
	return all
}

func namesOf(flags *pflag.FlagSet) []string {
	var names []string
	flags.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	return names
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

// readMapping reads a YAML file of the operator that is a mapping.
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

// fileError returns an error at a place in a file of the operator.
func fileError(path string, node *yaml.Node, err error) error {
	fault := &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: path, Line: node.Line}, Err: err}
	var inner *kargo.Error
	if errors.As(err, &inner) {
		fault.Err, fault.Hint = inner.Err, inner.Hint
	}
	return fault
}

// settingValues returns a single value, or a list of them.
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
