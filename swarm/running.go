package swarm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/spelling"
)

// RunningStack reads a stack as it runs, whoever made it: the services with the label
// of the stack, and the networks, configs and secrets that they use. Networks, configs
// and secrets without the label of the stack are external. Secrets have no content,
// because Swarm does not show it. A stack that does not exist is an Invalid error.
func (c *Client) RunningStack(ctx context.Context, name string) (kargo.Stack, error) {
	cluster, err := c.Observe(ctx)
	if err != nil {
		return kargo.Stack{}, err
	}
	stack := kargo.Stack{Name: name, SwarmName: name}
	others := map[string]bool{}
	used := map[string]bool{}
	for _, service := range cluster.Services {
		namespace := service.Spec.Labels[kargo.LabelNamespace]
		if namespace != name {
			others[namespace] = true
			continue
		}
		stack.Services = append(stack.Services, kargo.Service{Name: service.Name, Spec: service.Spec})
		for _, mentioned := range kargo.References(service.Spec) {
			used[mentioned] = true
		}
	}
	if len(stack.Services) == 0 {
		delete(others, "")
		return kargo.Stack{}, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("Swarm has no service of a stack %q", name), //nolint:staticcheck // Swarm is a name
			Hint: spelling.DidYouMean(name, slices.Sorted(maps.Keys(others)))}
	}
	if stack.Networks, err = c.runningNetworks(ctx, name, cluster.Networks, used); err != nil {
		return kargo.Stack{}, err
	}
	stack.Configs, err = c.runningConfigs(ctx, name, cluster.Configs, used)
	return stack, err
}

// engineOption is an option that the engine writes into networks.
const engineOption = "com.docker.network.driver.overlay.vxlanid_list"

// runningNetworks reads the networks that are used.
func (c *Client) runningNetworks(ctx context.Context, stack string, live []kargo.LiveNetwork, used map[string]bool) ([]kargo.Network, error) {
	var networks []kargo.Network
	for _, found := range live {
		if !used[found.Name] {
			continue
		}
		if found.Labels[kargo.LabelNamespace] != stack {
			networks = append(networks, kargo.Network{Name: found.Name, External: true})
			continue
		}
		whole, err := call(ctx, c, "NetworkInspect", func(ctx context.Context) (network.Inspect, error) {
			return c.api.NetworkInspect(ctx, found.ID, network.InspectOptions{})
		})
		if err != nil {
			return nil, fmt.Errorf("read network %s: %w", found.Name, err)
		}
		delete(whole.Options, engineOption)
		networks = append(networks, kargo.Network{
			Name: found.Name, Driver: found.Driver, Attachable: found.Attachable, Internal: found.Internal,
			Options: whole.Options, Labels: found.Labels, IPAM: &whole.IPAM,
		})
	}
	return networks, nil
}

// runningConfigs reads the configs and secrets that are used.
func (c *Client) runningConfigs(ctx context.Context, stack string, live []kargo.LiveConfig, used map[string]bool) ([]kargo.Config, error) {
	var configs []kargo.Config
	for _, found := range live {
		if !used[found.Name] {
			continue
		}
		config := kargo.Config{Name: found.Name, Secret: found.Secret, Labels: found.Labels, External: found.Labels[kargo.LabelNamespace] != stack}
		if !config.Secret && !config.External {
			whole, err := call(ctx, c, "ConfigInspect", func(ctx context.Context) (swarm.Config, error) {
				config, _, err := c.api.ConfigInspectWithRaw(ctx, found.ID)
				return config, err
			})
			if err != nil {
				return nil, fmt.Errorf("read config %s: %w", found.Name, err)
			}
			config.Data = whole.Spec.Data
			if whole.Spec.Templating != nil {
				config.Driver = whole.Spec.Templating.Name
			}
		}
		configs = append(configs, config)
	}
	slices.SortStableFunc(configs, func(a, b kargo.Config) int { return strings.Compare(a.Name, b.Name) })
	return configs, nil
}
