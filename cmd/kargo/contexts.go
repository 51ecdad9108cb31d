package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/spelling"
)

// contextsFile has the contexts of a person: which controllers there are, and which
// one commands talk to. It has no secret: a token is in a file of its own.
type contextsFile struct {
	Current  string          `yaml:"current,omitempty"`
	Contexts []contextOfUser `yaml:"contexts"`
}

type contextOfUser struct {
	Name      string `yaml:"name" json:"name"`
	URL       string `yaml:"url" json:"url"`
	TokenFile string `yaml:"token-file,omitempty" json:"tokenFile,omitempty"`
	Current   bool   `yaml:"-" json:"current"`
}

// contextsPath returns where the contexts are.
func contextsPath(env map[string]string) (string, error) {
	home := env["HOME"]
	config := cmp.Or(env["XDG_CONFIG_HOME"], filepath.Join(home, ".config"))
	if home == "" && env["XDG_CONFIG_HOME"] == "" {
		return "", usagef("contexts need HOME or XDG_CONFIG_HOME")
	}
	return filepath.Join(config, "kargo", "contexts.yml"), nil
}

func readContexts(env map[string]string) (contexts contextsFile, err error) {
	path, err := contextsPath(env)
	if err != nil {
		return contexts, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return contexts, nil
	}
	if err == nil {
		err = yaml.Unmarshal(data, &contexts)
	}
	if err != nil {
		return contexts, &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: path}, Err: fmt.Errorf("read contexts: %w", err)}
	}
	return contexts, nil
}

func (c contextsFile) write(env map[string]string) error {
	path, err := contextsPath(env)
	if err != nil {
		return err
	}
	data, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	return os.Rename(next, path)
}

// named returns the context with a name.
func (c contextsFile) named(name string) (contextOfUser, error) {
	var names []string
	for _, context := range c.Contexts {
		if context.Name == name {
			return context, nil
		}
		names = append(names, context.Name)
	}
	hint := spelling.DidYouMean(name, names)
	return contextOfUser{}, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("there is no context %q", name), Hint: cmp.Or(hint, "`kargo context list` prints those that there are")}
}

// useContext fills in which controller a command talks to from a person's contexts, if
// neither --url nor --data say it. --context names one; "" in the place of the current
// one.
func (c *clientFlags) useContext(cmd *cobra.Command, env map[string]string) error {
	c.person = cmp.Or(env["SUDO_USER"], env["USER"], env["LOGNAME"])
	if c.url != "" {
		return nil
	}
	given := cmd.Flags().Changed("data") || flagGiven(cmd, "workspace") || flagGiven(cmd, "repo")
	if c.context == "" && given || env["HOME"] == "" && env["XDG_CONFIG_HOME"] == "" && c.context == "" {
		return nil
	}
	contexts, err := readContexts(env)
	if err != nil {
		return err
	}
	name := cmp.Or(c.context, contexts.Current)
	if name == "" {
		return nil
	}
	context, err := contexts.named(name)
	if err != nil {
		return err
	}
	c.url = context.URL
	if !c.apiToken.given() {
		c.apiToken.file = context.TokenFile
	}
	return nil
}

func flagGiven(cmd *cobra.Command, name string) bool {
	flag := cmd.Flags().Lookup(name)
	return flag != nil && flag.Changed
}

func contextCommand(env map[string]string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "context", Short: "Remember controllers, so that commands need no flags", GroupID: "controller",
		Long: `A context is a controller under a name: its address, and the file with the token of
its API. Commands talk to that of the context in use, unless --url, --data,
--workspace or --repo say something else; --context names another one for one call.
Contexts are in ~/.config/kargo/contexts.yml (or below XDG_CONFIG_HOME), without tokens.`,
		Example: "  kargo context add prod --url https://kargo.example --token-file ~/.config/kargo/prod.token\n  kargo status\n  kargo --help",
	}
	cmd.Example = "  kargo context add prod --url https://kargo.example --token-file prod.token\n  kargo context use prod\n  kargo context list"
	cmd.AddCommand(contextAddCommand(env), contextUseCommand(env), contextListCommand(env), contextRemoveCommand(env))
	return cmd
}

func contextAddCommand(env map[string]string) *cobra.Command {
	var c clientFlags
	token := pathValue("")
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Remember a controller under a name, and use it",
		Long: `Add remembers the address of a controller and the file with its token, and uses it
from then on. A context of the same name is replaced.`,
		Example: "  kargo context add prod --url https://kargo.example --token-file prod.token",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("which name? kargo context add takes one")
			}
			if err := makeAbsolute(cmd.Flags()); err != nil {
				return err
			}
			c.apiToken.file = string(token)
			if c.url == "" {
				return usagef("--url: which address has the controller?")
			}
			if _, err := c.client(dataDir{}); err != nil {
				return err
			}
			contexts, err := readContexts(env)
			if err != nil {
				return err
			}
			contexts.Contexts = slices.DeleteFunc(contexts.Contexts, func(known contextOfUser) bool { return known.Name == args[0] })
			contexts.Contexts = append(contexts.Contexts, contextOfUser{Name: args[0], URL: c.url, TokenFile: string(token)})
			contexts.Current = args[0]
			if err := contexts.write(env); err != nil {
				return err
			}
			say(cmd.OutOrStdout(), "context %s is in use: %s", args[0], c.url)
			return nil
		},
	}
	cmd.Flags().StringVar(&c.url, "url", "", "`address` of the controller")
	cmd.Flags().Var(&token, "token-file", "file with the token of the API")
	return cmd
}

// changeContexts changes the contexts with the one name that a command takes, and says
// what was done. Nothing is written if the change returns an error.
func changeContexts(cmd *cobra.Command, env map[string]string, args []string, done string, change func(*contextsFile, string) error) error {
	if len(args) != 1 {
		return usagef("which context? see `kargo context list`")
	}
	contexts, err := readContexts(env)
	if err != nil {
		return err
	}
	if err := change(&contexts, args[0]); err != nil {
		return err
	}
	if err := contexts.write(env); err != nil {
		return err
	}
	say(cmd.OutOrStdout(), done, args[0])
	return nil
}

func contextUseCommand(env map[string]string) *cobra.Command {
	return &cobra.Command{
		Use: "use NAME|none", Short: "Have commands talk to another controller",
		Long:              `Use makes a context the one that commands talk to. "none" ends that.`,
		Example:           "  kargo context use prod\n  kargo context use none",
		ValidArgsFunction: completeContexts(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeContexts(cmd, env, args, "context in use: %s\n", func(contexts *contextsFile, name string) error {
				if name == "none" {
					contexts.Current = ""
					return nil
				}
				contexts.Current = name
				_, err := contexts.named(name)
				return err
			})
		},
	}
}

func contextListCommand(env map[string]string) *cobra.Command {
	var output output
	cmd := &cobra.Command{
		Use: "list", Short: "Print the contexts", Args: noArgs,
		Long: `List prints the contexts; "*" marks the one in use.`, Example: "  kargo context list\n  kargo context list -o name",
		RunE: func(cmd *cobra.Command, _ []string) error {
			contexts, err := readContexts(env)
			if err != nil {
				return err
			}
			all := append([]contextOfUser{}, contexts.Contexts...)
			names := []string{}
			for i := range all {
				all[i].Current = all[i].Name == contexts.Current
				names = append(names, all[i].Name)
			}
			return output.show(cmd, all, func(out screen) error {
				if len(all) == 0 {
					out.line("there is no context; `kargo context add` makes one")
				}
				var rows [][]cell
				for _, context := range all {
					mark := " "
					if context.Current {
						mark = "*"
					}
					rows = append(rows, []cell{plain(mark), plain(context.Name), plain(context.URL), plain(context.TokenFile)})
				}
				out.table([]string{" ", "NAME", "URL", "TOKEN FILE"}, rows)
				return nil
			}, func() []string { return names })
		},
	}
	output.flag(cmd, kinds{names: "contexts"})
	return cmd
}

func contextRemoveCommand(env map[string]string) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Forget a context",
		Long: `Remove forgets a context. The file with the token stays.`, Example: "  kargo context remove prod",
		ValidArgsFunction: completeContexts(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeContexts(cmd, env, args, "context %s is forgotten\n", func(contexts *contextsFile, name string) error {
				_, err := contexts.named(name)
				contexts.Contexts = slices.DeleteFunc(contexts.Contexts, func(known contextOfUser) bool { return known.Name == name })
				if contexts.Current == name {
					contexts.Current = ""
				}
				return err
			})
		},
	}
}

func completeContexts(env map[string]string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		contexts, err := readContexts(env)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, context := range contexts.Contexts {
			names = append(names, context.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
