package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"kargo"
	"kargo/controller"
	"kargo/secrets"
	"kargo/swarm"
)

func doctorCommand(env map[string]string) *cobra.Command {
	s := &planFlags{}
	var output output
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check git, registries, Swarm, clock, disk and permissions", GroupID: "controller", Args: noArgs,
		Long: `Doctor checks everything that Kargo depends on: whether git and the registries answer,
the state of the Swarm and the versions of its engines, clocks, space on the disk, and
who may read the files of Kargo. For what is not well it says what to do. It changes
nothing.

If a controller runs, with the same data directory or at --url, it checks, because it
sees what counts. Otherwise the command checks from here. The exit code is 4 if
something does not work.`,
		Example: "  kargo doctor\n  kargo doctor --repo https://git.example/ops/platform.git",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			findings, err := s.examine(cmd, env)
			if err != nil {
				return err
			}
			names := func() []string {
				var names []string
				for _, finding := range findings {
					if !finding.OK {
						names = append(names, finding.What)
					}
				}
				return names
			}
			if err := output.show(cmd, findings, func(out screen) error { printFindings(out, findings); return nil }, names); err != nil {
				return err
			}
			if broken := names(); len(broken) > 0 {
				return printedError{notWellError{fmt.Errorf("not well: %s", strings.Join(broken, ", "))}}
			}
			return nil
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "what does not work"})
	return cmd
}

func printFindings(out screen, findings []kargo.Finding) {
	for _, finding := range findings {
		word, colour := "ok", green
		switch {
		case !finding.OK:
			word, colour = "FAIL", red
		case finding.Warning:
			word, colour = "warn", yellow
		}
		out.entry(fmt.Sprintf("%s  %s", out.paint(colour, fmt.Sprintf("%-4s", word)), finding.What), finding.Says, columnOfFindings)
		if finding.Remedy != "" {
			out.entry("", "→ "+finding.Remedy, columnOfFindings)
		}
	}
}

// columnOfFindings is where the texts of findings begin.
const columnOfFindings = 19

// examine asks the controller, or checks from here where none answers.
func (s *planFlags) examine(cmd *cobra.Command, env map[string]string) (findings []kargo.Finding, err error) {
	ctx := cmd.Context()
	s.readOnly = true
	none := kargo.Odd("controller", "none runs with the data directory "+s.data, "run `kargo serve`; or name its directory with --data, or its address with --url")
	asks, err := s.asksController()
	switch {
	case errors.Is(err, fs.ErrPermission):
		none = kargo.Unwell("controller", err, "")
	case err != nil:
		return nil, err
	}
	if asks {
		if err := s.askSlowly(ctx, "/api/v1/doctor", &findings); err != nil {
			return nil, err
		}
		var status kargo.Status
		if err := s.askSlowly(ctx, "/api/v1/status", &status); err != nil {
			return nil, err
		}
		return append(findings, sameVersion(status.Version)), nil
	}
	findings = []kargo.Finding{none}
	client, err := s.docker(env)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	e := examiner{client: client, moved: &s.moved, dataDir: s.dataDir, secrets: secretFilesOf(cmd.Flags())}
	if s.repo != "" || s.workspace != "" {
		if e.source, e.address, err = s.source(); err != nil {
			return nil, err
		}
	}
	return append(findings, e.all(ctx, kargo.Status{})...), nil
}

func sameVersion(controllers string) kargo.Finding {
	if controllers == version {
		return kargo.Well("version", "%s, as the controller's", version)
	}
	return kargo.Odd("version", fmt.Sprintf("this program is %s, the controller is %s", version, controllers), "use the same version for both")
}

// examiner checks what Kargo depends on.
type examiner struct {
	client  *swarm.Client
	source  controller.Source // nil: not checked
	address string
	moved   *moves
	dataDir dataDir
	trouble func() string // of the history; nil: not checked
	secrets []string      // files of the settings that hold secrets
}

// longestExamination is how long one check may take.
const longestExamination = 20 * time.Second

// all returns the findings, in a fixed order.
func (e examiner) all(ctx context.Context, status kargo.Status) []kargo.Finding {
	checks := []func(context.Context) []kargo.Finding{
		e.git, e.swarm, func(ctx context.Context) []kargo.Finding { return e.registries(ctx, status) },
		e.disk, e.history, e.owner, e.permissions, func(context.Context) []kargo.Finding { return ofSecretsProgram(secretsProgram) },
	}
	var all []kargo.Finding
	for _, check := range checks {
		ctx, cancel := context.WithTimeout(ctx, longestExamination)
		all = append(all, check(ctx)...)
		cancel()
	}
	return all
}

func (e examiner) git(ctx context.Context) []kargo.Finding {
	if e.source == nil {
		return nil
	}
	began := time.Now()
	head, err := e.source.Head(ctx)
	if err != nil {
		return []kargo.Finding{kargo.Unwell("git", err, "is the address reachable from here, and is the credential valid?")}
	}
	answers := kargo.Well("git", "%s answers in %s; newest is %s", e.address, time.Since(began).Round(time.Millisecond), head.Short())
	return append([]kargo.Finding{answers}, e.moved.findings()...)
}

// oldestEngine is the first version that Kargo works with.
const oldestEngine = "20.10"

// mostClockSkew is how far clocks may differ: certificates of Swarm and times of
// deadlines are read by both.
const mostClockSkew = 5 * time.Second

func (e examiner) swarm(ctx context.Context) []kargo.Finding {
	found, err := e.client.Examine(ctx)
	if err != nil {
		return []kargo.Finding{kargo.Unwell("swarm", err, "does DOCKER_HOST name a manager of the Swarm? `docker node ls` must work")}
	}
	return ofSwarm(found)
}

// ofSwarm returns the findings about the nodes, engines and the clock of a Swarm.
func ofSwarm(found swarm.Examination) []kargo.Finding {
	if found.NodesHidden {
		return append([]kargo.Finding{kargo.Odd("nodes", "a proxy in front of Docker does not show them: tasks of a node that is down count as running, and stacks wait for their end",
			"let the proxy pass GET /nodes on, as docs/docker-proxy.cfg does")}, ofClock(found)...)
	}
	all := []kargo.Finding{kargo.Well("swarm", "%s, %s", kargo.Count(found.Nodes, "node"), kargo.Count(found.Managers, "manager"))}
	if len(found.Unreachable) > 0 {
		all = append(all, kargo.Odd("managers", "not reachable: "+strings.Join(found.Unreachable, " "), "restart Docker there, or replace the manager; without a majority the Swarm cannot change"))
	}
	if found.Managers%2 == 0 {
		all = append(all, kargo.Odd("managers", fmt.Sprintf("%d managers survive no more failures than %d", found.Managers, found.Managers-1), "have an odd number of managers"))
	}
	if len(found.Down) > 0 {
		all = append(all, kargo.Odd("nodes", "down: "+strings.Join(found.Down, " "), "start Docker there, or remove the node: docker node rm NAME"))
	}
	if idle := append(found.Drained, found.Paused...); len(idle) > 0 {
		all = append(all, kargo.Odd("nodes", "take no tasks: "+strings.Join(idle, " "), "to use them: docker node update --availability active NAME"))
	}
	all = append(all, engines(found.Engines)...)
	return append(all, ofClock(found)...)
}

// ofClock returns the finding about the manager's clock, if the manager says its time.
func ofClock(found swarm.Examination) []kargo.Finding {
	switch {
	case !found.ClockKnown:
		return nil
	case found.Behind.Abs() > mostClockSkew:
		return []kargo.Finding{kargo.Odd("clock", fmt.Sprintf("the manager's clock differs by %s", found.Behind.Round(time.Second)), "synchronise the clocks of both (chrony, systemd-timesyncd)")}
	}
	return []kargo.Finding{kargo.Well("clock", "the same as the manager's")}
}

// engines checks the versions of the nodes' engines.
func engines(nodes map[string][]string) []kargo.Finding {
	versions := slices.Sorted(maps.Keys(nodes))
	var all []kargo.Finding
	for _, version := range versions {
		if olderThan(version, oldestEngine) {
			all = append(all, kargo.Unwell("engines", fmt.Errorf("engine %s runs on %s", version, strings.Join(nodes[version], " ")), "upgrade it to "+oldestEngine+" or later"))
		}
	}
	switch {
	case len(all) > 0, len(versions) == 0:
		return all
	case len(versions) > 1:
		var words []string
		for _, version := range versions {
			words = append(words, fmt.Sprintf("%s on %s", version, strings.Join(nodes[version], " ")))
		}
		return append(all, kargo.Odd("engines", "versions differ: "+strings.Join(words, "; "), "upgrade all nodes to one version"))
	}
	return append(all, kargo.Well("engines", "Docker %s on all nodes", versions[0]))
}

// olderThan reports whether a version of Docker is older than another one.
func olderThan(version, than string) bool {
	var a, b, c, d int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n != 2 {
		return false // a version that nobody knows
	}
	fmt.Sscanf(than, "%d.%d", &c, &d) //nolint:errcheck // a constant
	return a < c || a == c && b < d
}

// mostRegistries is how many registries are asked.
const mostRegistries = 8

// registries asks each registry for one image that runs.
func (e examiner) registries(ctx context.Context, status kargo.Status) []kargo.Finding {
	byHost := map[string]string{}
	for _, stack := range status.Stacks {
		for _, service := range stack.Services {
			named, err := reference.ParseNormalizedNamed(shortImage(service.Image))
			if err == nil {
				byHost[reference.Domain(named)] = shortImage(service.Image)
			}
		}
	}
	var all []kargo.Finding
	hosts := slices.Sorted(maps.Keys(byHost))
	for _, host := range hosts[:min(len(hosts), mostRegistries)] {
		image := byHost[host]
		answers, err := e.client.Images(ctx, image)
		switch answer := answers[image]; {
		case err != nil:
			all = append(all, kargo.Unwell("registry", fmt.Errorf("%s: %w", host, err), "is it reachable from the manager?"))
		case answer.Missing != "":
			all = append(all, kargo.Odd("registry", fmt.Sprintf("%s has no %s: %s", host, image, answer.Missing), "push the image, or check the credential (--registry-auth-file)"))
		case answer.Pinned == "":
			all = append(all, kargo.Odd("registry", host+" does not say what "+image+" is", "is it reachable from the manager? images that nodes have keep running"))
		default:
			all = append(all, kargo.Well("registry", "%s answers for %s", host, image))
		}
	}
	return all
}

// When the disk of the data directory has little room, in bytes and as a share: a
// twentieth of a large disk is still room for years of history.
const (
	leastFree        = 256 << 20
	leastFreePercent = 5
	enoughFree       = 2 << 30
)

func (e examiner) disk(context.Context) []kargo.Finding {
	directory := e.dataDir.state("")
	if _, err := os.Stat(directory); err != nil {
		directory = e.dataDir.data
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(directory, &disk); err != nil {
		return []kargo.Finding{kargo.Unwell("disk", fmt.Errorf("%s: %w", directory, err), "does the data directory (--data) exist?")}
	}
	return []kargo.Finding{ofDisk(disk.Bavail*uint64(disk.Bsize), max(disk.Blocks*uint64(disk.Bsize), 1), directory)}
}

// ofSecretsProgram returns the finding if the program that opens encrypted files is
// missing. Path returns where it should be.
func ofSecretsProgram(path func() (string, error)) []kargo.Finding {
	program, err := path()
	if err == nil {
		_, err = os.Stat(program)
	}
	if err == nil {
		return nil
	}
	return []kargo.Finding{kargo.Odd("secrets", fmt.Sprintf("encrypted files cannot be opened: %v", err),
		"install kargo and "+secrets.ProgramName+" of one version beside each other, if the workspace has any")}
}

// ofDisk returns the finding about a disk of so many bytes, of which some are free.
func ofDisk(free, all uint64, directory string) kargo.Finding {
	says := fmt.Sprintf("%d MiB of %d MiB are free at %s", free>>20, all>>20, directory)
	if free < leastFree || free < enoughFree && free*100/all < leastFreePercent {
		return kargo.Odd("disk", says, "make room: without it the history is kept in memory only, and is lost with the process")
	}
	return kargo.Well("disk", "%s", says)
}

func (e examiner) history(context.Context) []kargo.Finding {
	if e.trouble == nil {
		return nil
	}
	if trouble := e.trouble(); trouble != "" {
		return []kargo.Finding{kargo.Unwell("history", errors.New(trouble), "see the disk; a damaged file is set aside and can be removed")}
	}
	return []kargo.Finding{kargo.Well("history", "is written")}
}

// doctor returns the function with which a controller examines itself.
func (s *serveFlags) doctor(client *swarm.Client, parts controller.Parts, status func() kargo.Status, trouble func() string) func(context.Context) []kargo.Finding {
	e := examiner{client: client, source: parts.Source, moved: &s.moved, address: parts.Behavior.Repository, dataDir: s.dataDir, trouble: trouble, secrets: s.secretFiles}
	return func(ctx context.Context) []kargo.Finding { return e.all(ctx, status()) }
}
