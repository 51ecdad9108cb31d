package permit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

const ruleForeign = "foreign-names"

// dockerNetworks are Docker's own. The first is the node's network itself.
var dockerNetworks = []string{"host", "bridge", "none", "ingress", "docker_gwbridge"}

// networks judges what a service is attached to.
func (j *judge) networks(attached []swarm.NetworkAttachmentConfig, say say) {
	for _, attachment := range attached {
		name := attachment.Target
		known := slices.IndexFunc(j.stack.Networks, func(n kargo.Network) bool { return n.Name == name })
		switch {
		case slices.Contains(dockerNetworks, name) && name != "none":
			say("host-network", name, fmt.Sprintf("is on the network %q of the node", name), "networks", name)
		case known < 0 || j.stack.Networks[known].External:
			say("external-networks", name, "is on the external network "+name, "networks", name)
		case name == j.in.SocketNetwork && j.stack.Networks[known].Shared:
			say("socket-network", name, "is on the network of Docker's API", "networks", name)
		}
	}
}

// objects judges the configs and secrets that a service names.
func (j *judge) objects(container *swarm.ContainerSpec, say say) {
	own := func(secret bool, name string) bool {
		return slices.ContainsFunc(j.stack.Configs, func(c kargo.Config) bool {
			return c.Secret == secret && c.Name == name && !c.External
		})
	}
	for _, config := range container.Configs {
		if !own(false, config.ConfigName) {
			say("external-configs", config.ConfigName, "uses the external config "+config.ConfigName, "configs", config.ConfigName)
		}
	}
	for _, secret := range container.Secrets {
		if !own(true, secret.SecretName) {
			say("external-secrets", secret.SecretName, "uses the external secret "+secret.SecretName, "secrets", secret.SecretName)
		}
	}
}

// sharedByAll stands for the owner of the shared networks; no stack has a blank
// in its name.
const sharedByAll = "all stacks"

// names refuses names that belong to another stack, or to Docker: whoever makes
// a network "kargo-dbs_default" can receive the services of stack dbs.
func (j *judge) names() {
	owners := map[string]string{} // of services and of what a stack makes, by kind and name
	for _, stack := range j.in.Stacks {
		for _, service := range stack.Services {
			j.claim(owners, stack, kargo.KindService, service.Name)
		}
		for _, config := range stack.Configs {
			if !config.External {
				j.claim(owners, stack, config.Kind(), config.Name)
			}
		}
		for _, network := range stack.Networks {
			switch {
			case network.External, network.Shared && owners[string(kargo.KindNetwork)+" "+network.Name] == sharedByAll:
			case slices.Contains(dockerNetworks, network.Name):
				j.foreign(stack, kargo.KindNetwork, network.Name, "is Docker's own")
			case network.Shared && inStackForm(network.Name):
				j.foreign(stack, kargo.KindNetwork, network.Name, "has the form of a stack's own")
			case !network.Shared:
				j.claim(owners, stack, kargo.KindNetwork, network.Name)
			}
			if network.Shared {
				owners[string(kargo.KindNetwork)+" "+network.Name] = sharedByAll // every stack lists them
			}
		}
	}
}

// claim notes that a stack makes an object. It refuses a name that another stack
// uses, too, or that has the form of another stack's names.
func (j *judge) claim(owners map[string]string, stack kargo.Stack, kind kargo.Kind, name string) {
	key := string(kind) + " " + name
	switch owner, taken := owners[key]; {
	case taken && owner != stack.Name:
		j.foreign(stack, kind, name, fmt.Sprintf("is one of stack %q, too", owner))
	case j.isOthers(stack, name):
		j.foreign(stack, kind, name, "has the form of another stack's")
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

// isOthers reports whether a name has the form of those of another stack.
func (j *judge) isOthers(stack kargo.Stack, name string) bool {
	if strings.HasPrefix(name, stack.Namespace()+"_") {
		return false
	}
	return inStackForm(name) || slices.ContainsFunc(j.in.Stacks, func(other kargo.Stack) bool {
		return strings.HasPrefix(name, other.Namespace()+"_")
	})
}

// foreign reports a name that belongs to somebody else. It is not a privilege of
// one service, so only the rule itself can permit it.
func (j *judge) foreign(stack kargo.Stack, kind kargo.Kind, name, why string) {
	setting := j.policy.setting(ruleForeign)
	if setting.permits(ruleForeign, name) {
		return
	}
	problem := kargo.Problem{
		Warning: setting.level == warn,
		Message: fmt.Sprintf("the name of %s %s of stack %q %s", kind, name, stack.Name, why),
		Hint:    "choose another name; rule " + ruleForeign,
	}
	if j.in.Origins != nil && len(stack.Services) > 0 {
		problem.Where = j.in.Origins.Place(stack.Services[0].Name, string(kind)+"s", name)
	}
	j.problems = append(j.problems, problem)
}
