package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
	"kargo/controller"
	"kargo/plan"
	"kargo/swarm"
)

// longestCleaning is how long a clean-up of all nodes may take.
const longestCleaning = 15 * time.Minute

// cleanFlags say when nodes remove old images; by default they never do.
type cleanFlags struct {
	schedule string
	image    string
	age      time.Duration
}

func (c *cleanFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.schedule, "clean-images", "", "cron `expression` for the times at which nodes remove old images of services (\"0 4 * * *\"); by default never")
	flags.StringVar(&c.image, "clean-image", "", "`name` of Kargo's own image, which removes the images on each node; --clean-images needs it")
	flags.DurationVar(&c.age, "clean-images-age", 24*time.Hour, "age of an image on a node from which on it may be removed")
}

// cleanImages sets the parts of a controller that have nodes remove old images.
func (s *serveFlags) cleanImages(parts *controller.Parts, client *swarm.Client) error {
	if s.clean.schedule == "" {
		return nil
	}
	if s.clean.image == "" {
		return usagef("--clean-images needs --clean-image: the image of Kargo that nodes run for it")
	}
	when, err := cronSchedule("--clean-images", s.clean.schedule)
	if err != nil {
		return err
	}
	parts.Cleaning.Schedule, parts.Cleaning.Age = when, s.clean.age
	parts.Cleaning.Clean = func(ctx context.Context, cleaning kargo.Cleaning) ([]kargo.NodeReport, error) {
		told, err := json.Marshal(cleaning)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, longestCleaning)
		defer cancel()
		return client.RunOnNodes(ctx, kargo.NodeJob{
			Name: "kargo-clean-images-" + s.instance, Instance: s.instance, Image: s.clean.image,
			Args: []string{"clean-images", "--cleaning", string(told)},
		})
	}
	return nil
}

// cleanCommand returns the command of the job that runs on each node.
func cleanCommand(env map[string]string) *cobra.Command {
	s := &registryFlags{}
	var told string
	cmd := &cobra.Command{
		Use: "clean-images", Short: "Remove images that a node does not need", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cleaning kargo.Cleaning
			if err := json.Unmarshal([]byte(told), &cleaning); err != nil {
				return usagef("--cleaning: %w", err)
			}
			client, err := s.docker(env)
			if err != nil {
				return err
			}
			defer client.Close()
			return cleanNode(cmd.Context(), client, cleaning, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&told, "cleaning", "", "images that may be removed, and those that must stay, as `JSON`")
	return cmd
}

// cleanNode removes the images that may be removed, and prints how many they were.
func cleanNode(ctx context.Context, client *swarm.Client, cleaning kargo.Cleaning, out io.Writer) error {
	images, err := client.LocalImages(ctx)
	if err != nil {
		return err
	}
	var removed int
	var bytes int64
	var errs []error
	for _, image := range plan.MayGo(cleaning, images, time.Now()) {
		if err := client.RemoveImage(ctx, image); err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
		bytes += image.Size
	}
	say(out, "removed %d of %d images, %d MB at most", removed, len(images), bytes/1_000_000)
	return errors.Join(errs...)
}
