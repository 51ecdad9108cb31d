package swarm

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// listedLong is for how long a list of configs counts as a part of a look. The calls of a
// look are not of one moment either. What is missed meanwhile does no harm: Swarm removes
// no config that a service has, and refuses to create one that exists.
const listedLong = 10 * time.Second

// listedConfigs has the configs that were read for the key of the instance, until the
// first look takes them. So a controller that starts asks for them once. It may be used
// from any goroutine.
type listedConfigs struct {
	mu      sync.Mutex
	configs []kargo.LiveConfig
	at      time.Time // when they were asked for; zero if there are none
}

// keep keeps a list that was asked for at a time.
func (l *listedConfigs) keep(configs []kargo.LiveConfig, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.configs, l.at = configs, at
}

// take returns the list, once, if it is fresh.
func (l *listedConfigs) take(now time.Time) (configs []kargo.LiveConfig, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	configs, fresh = l.configs, !l.at.IsZero() && now.Sub(l.at) < listedLong
	l.configs, l.at = nil, time.Time{}
	return configs, fresh
}

// put puts a config into the list, if there is one, in place of that of its name.
func (l *listedConfigs) put(config kargo.LiveConfig) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() {
		return
	}
	others := slices.DeleteFunc(l.configs, func(c kargo.LiveConfig) bool { return c.Name == config.Name })
	l.configs = append(others, config)
}

// drop forgets the list: a config was changed.
func (l *listedConfigs) drop() { l.keep(nil, time.Time{}) }

// amongAllConfigs returns a function that returns the config of a name; without an id if
// there is none. The function reads all configs, once, and keeps what the next look needs
// of them.
func (c *Client) amongAllConfigs() func(ctx context.Context, name string) (swarm.Config, error) {
	var all []swarm.Config
	read := false
	return func(ctx context.Context, name string) (swarm.Config, error) {
		if !read {
			asked := time.Now()
			configs, live, err := c.listConfigs(ctx)
			if err != nil {
				return swarm.Config{}, err
			}
			c.listedConfigs.keep(live, asked)
			all, read = configs, true
		}
		at := slices.IndexFunc(all, func(config swarm.Config) bool { return config.Spec.Name == name })
		if at < 0 {
			return swarm.Config{}, nil
		}
		return all[at], nil
	}
}

// observeConfigs returns the configs, see listConfigs. It takes a list that was just read
// for the key of the instance.
func (c *Client) observeConfigs(ctx context.Context) ([]kargo.LiveConfig, error) {
	listed, fresh := c.listedConfigs.take(time.Now())
	if !fresh {
		_, live, err := c.listConfigs(ctx)
		if err != nil {
			return nil, err
		}
		listed = live
	}
	ids := map[string]string{}
	for _, config := range listed {
		ids[config.Name] = config.ID
	}
	c.names.replace(configIDs, ids)
	return listed, nil
}

// listConfigs returns the configs as Docker has them, and as they are kept. What is kept
// has no contents, which Docker always sends: a digest of them is enough.
func (c *Client) listConfigs(ctx context.Context) ([]swarm.Config, []kargo.LiveConfig, error) {
	configs, err := call(ctx, c, "ConfigList", func(ctx context.Context) ([]swarm.Config, error) {
		return c.api.ConfigList(ctx, swarm.ConfigListOptions{})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list configs: %w", err)
	}
	live := make([]kargo.LiveConfig, 0, len(configs))
	for _, config := range configs {
		live = append(live, liveConfig(config))
	}
	return configs, live, nil
}

func liveConfig(config swarm.Config) kargo.LiveConfig {
	return kargo.LiveConfig{
		ID: config.ID, Name: config.Spec.Name, Version: config.Version.Index, Labels: config.Spec.Labels,
		Digest: kargo.ContentDigest(templateDriver(config.Spec), config.Spec.Data),
	}
}

func templateDriver(spec swarm.ConfigSpec) string {
	if spec.Templating == nil {
		return ""
	}
	return spec.Templating.Name
}
