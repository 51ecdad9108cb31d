package main

import (
	"cmp"
	"errors"
	"net/http"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
	"kargo/compile"
	"kargo/controller"
	"kargo/registry"
)

// imageFlags say how newer tags of images are looked for, where a workspace asks
// for it.
type imageFlags struct {
	interval time.Duration
	insecure []string
}

func (i *imageFlags) flags(flags *pflag.FlagSet) {
	flags.DurationVar(&i.interval, "images-interval", time.Hour, "time between two requests to registries for newer tags, where kargo.yml follows some; 0 asks never")
	flags.StringArrayVar(&i.insecure, "insecure-registry", nil, "`host` of a registry that may be asked without encryption, written as in image names; can be repeated")
}

// followImages sets the parts of a controller that follow the tags of images.
func (s *serveFlags) followImages(parts *controller.Parts) error {
	if s.images.interval == 0 {
		return nil
	}
	if s.images.interval < time.Minute {
		return usagef("--images-interval %s is shorter than a minute", s.images.interval)
	}
	parts.Tags.Registry = &registry.Client{Credentials: s.registryCredentials(s.env), Insecure: s.images.insecure}
	parts.Tags.Committer, _ = parts.Source.(compile.Committer)
	parts.Tags.Interval = s.images.interval
	return nil
}

// mailbox is a flag of the form "Name <address>".
type mailbox mail.Address

func (m *mailbox) String() string {
	if m.Address == "" {
		return ""
	}
	return m.Name + " <" + m.Address + ">"
}

func (m *mailbox) Type() string { return "mailbox" }

// Set accepts what git can store in a commit: a name must not hold "<".
func (m *mailbox) Set(text string) error {
	parsed, err := mail.ParseAddress(text)
	bad := func(r rune) bool { return r == '<' || r == '>' || unicode.IsControl(r) }
	if err != nil || parsed.Name == "" || strings.ContainsFunc(parsed.Name+parsed.Address, bad) {
		return errors.New("write it as in: Kargo <kargo@example.org>")
	}
	*m = mailbox(*parsed)
	return nil
}

func imagesCommand(env map[string]string) *cobra.Command {
	s := &remoteFlags{}
	var output output
	cmd := &cobra.Command{
		Use: "images", Short: "Print the image tags that are followed, and newer ones", GroupID: "controller", Args: noArgs,
		Example: "  kargo images\n  kargo images -o json",
		Long: `Images prints what the controller knows about the image tags that kargo.yml
follows: the variable of a tag, the newest tag that fits, and whether it was
written to the repository (-o wide). After "kargo sync" the registries are asked at
once.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var status kargo.Status
			if err := s.ask(cmd, env, http.MethodGet, "/api/v1/status", nil, &status); err != nil {
				return err
			}
			text := func(out screen) error {
				if len(status.Images) == 0 {
					out.line("no image tags are followed; see images in kargo.yml")
				}
				printImages(out, status.Images, output == outputWide, clock())
				return nil
			}
			return output.show(cmd, append([]kargo.ImageStatus{}, status.Images...), text, func() []string {
				var names []string
				for _, image := range status.Images {
					names = append(names, image.Variable)
				}
				return names
			})
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "variables", wide: "ranges, when registries were asked, commits"})
	return cmd
}

// printImages prints a table of the tags that are followed.
func printImages(out screen, images []kargo.ImageStatus, wide bool, now time.Time) {
	header := []string{"VARIABLE", "CURRENT", "NEWEST", "BEHIND", "IMAGE"}
	if wide {
		header = []string{"VARIABLE", "CURRENT", "NEWEST", "BEHIND", "FITS", "ASKED", "WRITTEN", "IMAGE"}
	}
	var rows [][]cell
	for _, image := range images {
		behind := plain("no")
		switch {
		case image.Behind:
			behind = cell{"since " + ago(image.Since, now), yellow}
		case image.Newest == "":
			behind = plain("?")
		}
		row := []cell{plain(image.Variable), plain(cmp.Or(image.Current, "-")), plain(cmp.Or(image.Newest, "?")), behind}
		if wide {
			row = append(row, plain(image.Range()), plain(ago(image.Asked, now)), plain(written(image)))
		}
		rows = append(rows, append(row, plain(image.Image)))
	}
	out.table(header, rows)
	for _, image := range images {
		if image.Error != "" {
			out.line("\n%s: %s", image.Variable, image.Error)
		}
	}
}

// written returns the commit that wrote the newest tag to the repository.
func written(image kargo.ImageStatus) string {
	switch {
	case image.Commit != "":
		return kargo.RevisionID(image.Commit).Short() + " on " + image.Branch
	case image.Write:
		return "-"
	}
	return "only reported"
}
