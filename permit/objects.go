package permit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// objects judges the configs and secrets that a service names.
func (e *examiner) objects(container *swarm.ContainerSpec, say say) {
	own := func(secret bool, name string) bool {
		return slices.ContainsFunc(e.stack.Configs, func(c kargo.Config) bool {
			return c.Secret == secret && c.Name == name && !c.External
		})
	}
	for _, config := range container.Configs {
		if !own(false, config.ConfigName) && !e.running(kargo.KindConfig, config.ConfigName) {
			say("external-configs", config.ConfigName, "uses the external config "+config.ConfigName, "configs", config.ConfigName)
		}
	}
	for _, secret := range container.Secrets {
		if !own(true, secret.SecretName) && !e.running(kargo.KindSecret, secret.SecretName) {
			say("external-secrets", secret.SecretName, "uses the external secret "+secret.SecretName, "secrets", secret.SecretName)
		}
	}
}

// running reports whether a config or secret exists in Swarm and belongs to the
// stack: a service that was taken over keeps those that it has.
func (e *examiner) running(kind kargo.Kind, name string) bool {
	labels, exists := e.configs[kargo.ObjectKey{Kind: kind, Name: name}]
	owner := labels[kargo.LabelInstance]
	return exists && labels[kargo.LabelNamespace] == e.stack.Namespace() && (owner == "" || owner == e.in.Instance)
}

// sharedByAll stands for the owner of the shared networks; no stack has a blank
// in its name.
const sharedByAll = "all stacks"

// names refuses names that belong to another stack, or to Docker: whoever makes
// a network "kargo-dbs_default" can receive the services of stack dbs.
func (c *check) names() {
	owners := make(map[kargo.ObjectKey]string, 4*len(c.in.Stacks)) // of services and of what a stack makes
	for _, stack := range c.in.Stacks {
		for _, service := range stack.Services {
			c.claim(owners, stack, kargo.KindService, service.Name)
		}
		for _, config := range stack.Configs {
			if !config.External {
				c.claim(owners, stack, config.Kind(), config.Name)
			}
		}
		for _, network := range stack.Networks {
			switch {
			case network.External, network.Shared && owners[kargo.ObjectKey{Kind: kargo.KindNetwork, Name: network.Name}] == sharedByAll:
			case slices.Contains(dockerNetworks, network.Name):
				c.foreign(stack, kargo.KindNetwork, network.Name, "is Docker's own")
			case network.Shared && inStackForm(network.Name):
				c.foreign(stack, kargo.KindNetwork, network.Name, "has the form of a stack's own")
			case !network.Shared:
				c.claim(owners, stack, kargo.KindNetwork, network.Name)
			}
			if network.Shared {
				owners[kargo.ObjectKey{Kind: kargo.KindNetwork, Name: network.Name}] = sharedByAll // every stack lists them
			}
		}
	}
}

// claim notes that a stack makes an object. It refuses a name that another stack
// uses, too, or that has the form of another stack's names.
func (c *check) claim(owners map[kargo.ObjectKey]string, stack kargo.Stack, kind kargo.Kind, name string) {
	key := kargo.ObjectKey{Kind: kind, Name: name}
	switch owner, taken := owners[key]; {
	case taken && owner != stack.Name:
		c.foreign(stack, kind, name, fmt.Sprintf("is one of stack %q, too", owner))
	case isOthers(name, stack.Namespace(), c.namespaces):
		c.foreign(stack, kind, name, "has the form of another stack's")
	default:
		owners[key] = stack.Name
	}
}

// inStackForm reports whether a name has the form of those that Kargo gives:
// "kargo-dbs_redis".
func inStackForm(name string) bool {
	rest, ok := strings.CutPrefix(name, kargo.StackPrefix)
	return ok && strings.Index(rest, "_") > 0
}

// isOthers reports whether a name has the form of the names of another stack than
// the one of a namespace. "kargo-a_b_c" is a name of the stack "a" only as long as no
// stack "a_b" exists.
func isOthers(name, namespace string, others map[string]bool) bool {
	own := strings.HasPrefix(name, namespace+"_")
	if inStackForm(name) && !own {
		return true
	}
	for end := range len(name) {
		if other := name[:end]; name[end] == '_' && others[other] && other != namespace && (!own || len(other) > len(namespace)) {
			return true
		}
	}
	return false
}

// foreign reports a name that belongs to somebody else. It is not a privilege of
// one service, so only the rule itself can permit it.
func (c *check) foreign(stack kargo.Stack, kind kargo.Kind, name, why string) {
	setting := c.policy.setting(ruleForeign)
	if setting.permits(ruleForeign, name) {
		return
	}
	problem := kargo.Problem{
		Warning: setting.level == warn,
		Message: fmt.Sprintf("the name of %s %s of stack %q %s", kind, name, stack.Name, why),
		Hint:    "choose another name; rule " + ruleForeign,
	}
	if c.in.Origins != nil && len(stack.Services) > 0 {
		problem.Where = c.in.Origins.Place(stack.Services[0].Name, string(kind)+"s", name)
	}
	c.problems = append(c.problems, problem)
}
