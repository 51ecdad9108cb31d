package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/draft"
)

func initCommand(env map[string]string) *cobra.Command {
	s := &catalogueFlags{}
	var services, running []string
	from := ""
	cmd := &cobra.Command{
		Use: "init [DIR]", Short: "Write a workspace for chosen services, from compose files, or of what runs", GroupID: "workspace",
		Long: `Init writes a first workspace: an .env with the chosen services in stacks and with
every variable that they read, a README and a .gitignore. Variables without a
default are empty, and "kargo check" refuses the workspace until they are set.
Init adds Traefik if a service has a route, and docker-socket-proxy if a service
reads the Docker API.

With --from, init makes a workspace of a compose file, or of a folder of them: each
becomes a stack in a directory of its own, stacks/NAME, with the files that it refers
to. Init prints what it could not copy, and the problems of the result.

With --running, init makes a workspace of stacks that run on the Swarm, whoever
deployed them: "docker stack deploy", another tool, or a person. The files ask for the
same as what runs, so that "kargo adopt" replaces no task. Swarm shows the content of
configs, but not that of secrets: the files refer to secrets as external. Passwords in
variables are written as they are: encrypt them before you commit them.

It overwrites nothing: if one of the files exists already, it writes nothing at all.`,
		Example: "  kargo init ./workspace --services redis,mongodb,mongo-express\n  kargo init ./workspace --from ../old/docker-compose.yml\n  kargo init ./workspace --running shop,blog",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("kargo init takes one directory, got %q", args)
			}
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			switch {
			case from != "" && len(services)+len(running) > 0, len(services) > 0 && len(running) > 0:
				return usagef("--services, --from and --running exclude each other")
			case from != "":
				return initFrom(cmd, env, dir, from)
			case len(running) > 0:
				return initRunning(cmd, env, dir, running)
			}
			listed, err := s.catalogue(cmd, env)
			if err != nil {
				return err
			}
			if len(services) == 0 {
				return usagef("which services? name them with --services, see `kargo catalogue`")
			}
			return writeWorkspace(cmd, dir, listed, services)
		},
	}
	cmd.Flags().StringSliceVar(&services, "services", nil, "`names` of services of the catalogue, separated by commas")
	cmd.Flags().StringVar(&from, "from", "", "`path` of a compose file, or of a folder of compose files, to make the workspace of")
	cmd.Flags().StringSliceVar(&running, "running", nil, "`names` of stacks on the Swarm to make the workspace of, separated by commas")
	s.flags(cmd.Flags())
	return cmd
}

func writeWorkspace(cmd *cobra.Command, dir string, listed catalogueList, names []string) error {
	chosen, err := listed.choose(listed.withEntrance(names))
	if err != nil {
		return err
	}
	seed := newSeed(listed, chosen)
	files := map[string]draft.File{".env": {Data: []byte(seed.env())}, "README.md": {Data: []byte(seed.readme())}, ".gitignore": {Data: []byte(gitIgnore)}}
	if err := writeFiles(cmd, dir, files); err != nil {
		return err
	}
	seed.sayNext(cmd.OutOrStdout(), dir)
	return nil
}

// gitIgnore keeps what commands write into a workspace out of its repository.
const gitIgnore = ".kargo/\n.kargo-state/\n.workspace\n"

// writeFiles writes files that must not exist, and prints their names.
func writeFiles(cmd *cobra.Command, dir string, files map[string]draft.File) error {
	order := slices.Sorted(maps.Keys(files))
	for _, name := range order {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("%s is there already; nothing was written", filepath.Join(dir, name)), Hint: "choose an empty directory"}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make workspace: %w", err)
	}
	for _, name := range order {
		full := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		if err == nil {
			err = writeNew(full, string(files[name].Data))
		}
		if err == nil && files[name].Executable {
			err = os.Chmod(full, 0o700)
		}
		if err != nil {
			return fmt.Errorf("write workspace: %w", err)
		}
		say(cmd.OutOrStdout(), "%s", full)
	}
	return nil
}

// writeNew writes a file that must not exist. It will contain passwords, so only
// the user can read it.
func writeNew(name, content string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	return errors.Join(err, file.Close())
}

// withEntrance adds traefik, if a service has a route, and docker-socket-proxy, if
// a service reads the Docker API.
func (c catalogueList) withEntrance(names []string) []string {
	wanted := slices.Clone(names)
	for i := 0; i < len(wanted); i++ { // grows
		at := slices.IndexFunc(c.Services, func(s catalogueService) bool { return s.Name == wanted[i] })
		if at < 0 {
			continue
		}
		for _, need := range c.Services[at].Needs.Services {
			if (need == "traefik" || need == "docker-socket-proxy") && !slices.Contains(wanted, need) {
				wanted = append(wanted, need)
			}
		}
	}
	slices.SortStableFunc(wanted, func(a, b string) int { return c.rank(a) - c.rank(b) })
	return slices.Compact(wanted)
}

func (c catalogueList) rank(name string) int {
	return slices.IndexFunc(c.Services, func(s catalogueService) bool { return s.Name == name })
}

// missing returns a line for each chosen service that connects to services that
// were not chosen.
func (w seed) missing() []string {
	var lines []string
	for _, service := range w.services {
		var others []string
		for _, need := range service.Needs.Services {
			if !slices.ContainsFunc(w.services, func(s catalogueService) bool { return s.Name == need }) {
				others = append(others, need)
			}
		}
		if len(others) > 0 {
			lines = append(lines, fmt.Sprintf("%s speaks to %s, or to others in its place", service.Name, strings.Join(others, ", ")))
		}
	}
	return lines
}
