package permit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Judge has the last word on the changes of one plan, beside the objects that
// exist. It changes nothing, and several may use it at once.
type Judge struct {
	policy  Policy
	in      Input
	around  *surroundings
	configs liveLabels
	// networks has the networks that exist, by name.
	networks map[string]kargo.LiveNetwork
	// names has, by network and name in lower case, the services of others that answer
	// to it. Docker's name service does not tell cases apart.
	names map[[2]string]string
	// beside has, for each network, the networks on which services of others are that are on
	// it, too. Docker looks a name up on all networks of a container.
	beside map[string]map[string]bool
	// own returns the names of the workspace's services on each network, in lower case.
	own func() map[string]map[string]bool
	// routes has what services of others have in Traefik.
	routes map[string]string
	// namespaces are those of objects that are not this instance's.
	namespaces map[string]bool
	nodes      map[string]kargo.LiveNode // by id
	// volumes are those that were seen on a node and were not made by this instance,
	// without those that its services mount already.
	volumes map[string]bool
}

// NewJudge returns the judge of the changes that a plan makes to what was seen.
func NewJudge(policy Policy, in Input, live kargo.Cluster) *Judge {
	j := &Judge{
		policy: policy, in: in, around: surroundingsOf(in, func(stack int) []string { return routesOf(&in.Stacks[stack]) }), configs: liveLabels{}, networks: map[string]kargo.LiveNetwork{},
		names: map[[2]string]string{}, beside: map[string]map[string]bool{}, routes: map[string]string{}, nodes: map[string]kargo.LiveNode{},
	}
	j.own = sync.OnceValue(func() map[string]map[string]bool { return ownNames(in.Stacks) }) // few plans need it
	foreign := map[string]bool{}
	note := func(labels map[string]string) {
		if namespace := labels[kargo.LabelNamespace]; namespace != "" && labels[kargo.LabelInstance] != in.Instance {
			foreign[namespace] = true
		}
	}
	for _, config := range live.Configs {
		note(config.Labels)
		j.configs[config.Key()] = config.Labels
	}
	for _, network := range live.Networks {
		note(network.Labels)
		if !network.Local {
			j.networks[network.Name] = network
		}
	}
	for _, service := range live.Services {
		note(service.Spec.Labels)
		if service.Spec.Labels[kargo.LabelInstance] != in.Instance {
			j.noteNames(service)
			j.noteRoutes(service)
		}
	}
	for _, node := range live.Nodes {
		j.nodes[node.ID] = node
	}
	j.namespaces = foreign
	j.noteVolumes(live)
	return j
}

// noteVolumes notes the volumes of others.
func (j *Judge) noteVolumes(live kargo.Cluster) {
	j.volumes = map[string]bool{}
	for _, volume := range live.Volumes {
		if volume.Labels[kargo.LabelInstance] != j.in.Instance {
			j.volumes[volume.Name] = true
		}
	}
	for _, service := range live.Services {
		if service.Spec.Labels[kargo.LabelInstance] == j.in.Instance {
			for _, name := range volumesOf(service.Spec) {
				delete(j.volumes, name)
			}
		}
	}
}

// volumesOf returns the names of the volumes that a service mounts.
func volumesOf(spec swarm.ServiceSpec) (names []string) {
	if spec.TaskTemplate.ContainerSpec == nil {
		return nil
	}
	for _, m := range spec.TaskTemplate.ContainerSpec.Mounts {
		if m.Type == mount.TypeVolume {
			names = append(names, m.Source)
		}
	}
	return names
}

// noteNames notes the names to which a service of somebody else answers.
func (j *Judge) noteNames(service kargo.LiveService) {
	//nolint:staticcheck // Swarm still reads the field of old clients
	all := slices.Concat(service.Spec.TaskTemplate.Networks, service.Spec.Networks)
	for _, attached := range all {
		for _, name := range namesOn(attached, service.Name, service.Spec) {
			j.names[[2]string{attached.Target, strings.ToLower(name)}] = service.Name
		}
		if j.beside[attached.Target] == nil {
			j.beside[attached.Target] = map[string]bool{}
		}
		for _, other := range all {
			j.beside[attached.Target][other.Target] = true
		}
	}
}

// namesOn returns the names to which a service answers on a network.
func namesOn(attached swarm.NetworkAttachmentConfig, service string, spec swarm.ServiceSpec) []string {
	names := append([]string{service}, attached.Aliases...)
	if hostname := hostnameOf(kargo.Service{Spec: spec}); hostname != "" {
		names = append(names, hostname)
	}
	return names
}

// ownNames returns the names of the services of a workspace on each network.
func ownNames(stacks []kargo.Stack) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, stack := range stacks {
		for _, service := range stack.Services {
			for _, attached := range service.Spec.TaskTemplate.Networks {
				if all[attached.Target] == nil {
					all[attached.Target] = map[string]bool{}
				}
				for _, name := range namesOn(attached, service.Name, service.Spec) {
					all[attached.Target][strings.ToLower(name)] = true
				}
			}
		}
	}
	return all
}

// Refuses returns why a change must not be made, one reason each, sorted; nothing
// where it may. The stack is the one that the change is of, as it was rendered; it
// is the zero stack for what belongs to none. Removals are never refused.
func (j *Judge) Refuses(stack kargo.Stack, change kargo.Change) []string {
	var found []finding
	e := &examiner{in: j.in, stack: &stack, around: j.around, configs: j.configs}
	switch {
	case change.Service != nil:
		found = j.serviceFindings(e, change)
	case change.Network != nil && change.Network.Shared:
		found = nil // its name was judged with the rendering, and the rest of it is Kargo's choice
	case change.Network != nil:
		found = append(e.networkFindings(*change.Network), j.nameFindings(stack, change)...)
	case change.Config != nil:
		found = append(e.configFindings(*change.Config), j.nameFindings(stack, change)...)
	case change.Node != nil:
		found = j.nodeFindings(change)
	}
	if stack.Name != "" && (change.Service != nil || change.Network != nil || change.Config != nil) {
		found = append(found, stackName(&stack))
	}
	var reasons []string
	for _, f := range found {
		if setting := j.policy.setting(f.rule); setting.level == refuse && !j.policy.permits(f) {
			reasons = append(reasons, fmt.Sprintf("%s, which rule %s of policy %s does not permit", f.what, f.rule, j.policy.name()))
		}
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}

// serviceFindings returns what the spec asks for that is sent, less what the
// rendering was granted as the catalogue's own.
func (j *Judge) serviceFindings(e *examiner, change kargo.Change) []finding {
	found := e.serviceFindings(kargo.Service{Name: change.Name, Spec: *change.Service})
	at := slices.IndexFunc(e.stack.Services, func(s kargo.Service) bool { return s.Name == change.Name })
	if at >= 0 && sameProgram(e.stack.Services[at].Spec, *change.Service) {
		granted := e.stack.Services[at].Granted
		found = slices.DeleteFunc(found, func(f finding) bool { return slices.Contains(granted, f.key()) })
	}
	for _, name := range volumesOf(*change.Service) {
		if existing := j.volumeLike(name); existing != "" {
			found = append(found, finding{service: change.Name, rule: ruleExternalVolumes, value: existing,
				what: "mounts the volume " + existing + ", which exists on the manager and was not made by this instance"})
		}
	}
	if j.onlyOnManagers(*change.Service) {
		found = append(found, finding{service: change.Name, rule: rulePlacement, value: "manager",
			what: asksForManagers + ": no worker satisfies its constraints"})
	}
	return slices.Concat(found, j.nameFindings(*e.stack, change), j.meetings(*e.stack, change), j.crossings(change))
}

// volumeLike returns the volume of others that a name is, or can become on a node; "" if
// there is none.
func (j *Judge) volumeLike(name string) string {
	switch {
	case j.volumes[name]:
		return name
	case !strings.Contains(name, "{{"):
		return ""
	}
	pattern := placeholder().ReplaceAllString(name, "*")
	for _, existing := range slices.Sorted(maps.Keys(j.volumes)) {
		if wildcard(pattern, existing) {
			return existing
		}
	}
	return ""
}

// onlyOnManagers reports whether the constraints of a service leave it managers only,
// though the Swarm has workers: by a name or a label of a node, for instance.
func (j *Judge) onlyOnManagers(spec swarm.ServiceSpec) bool {
	if j.in.Satisfies == nil || spec.TaskTemplate.Placement == nil || len(spec.TaskTemplate.Placement.Constraints) == 0 {
		return false
	}
	managers, workers := false, false
	for _, node := range j.nodes {
		worker := node.Spec.Role == swarm.NodeRoleWorker
		workers = workers || worker
		if j.in.Satisfies(node, spec.TaskTemplate.Placement.Constraints) {
			if worker {
				return false
			}
			managers = true
		}
	}
	return managers && workers
}

// meetings finds the networks of others that a service joins, and the names on
// them that somebody else's service answers to already.
func (j *Judge) meetings(stack kargo.Stack, change kargo.Change) (all []finding) {
	for _, attached := range change.Service.TaskTemplate.Networks {
		live, exists := j.networks[attached.Target]
		if exists && live.Labels[kargo.LabelInstance] != j.in.Instance && j.isShared(stack, attached.Target) && !j.named(attached.Target) {
			all = append(all, finding{service: change.Name, rule: ruleExternal, value: attached.Target, what: fmt.Sprintf(
				"joins the network %s, which was not made by this instance; an operator permits it by naming the network in rule %s or %s",
				attached.Target, ruleShared, ruleExternal)})
		}
		for _, shared := range j.in.Shared {
			if shared.Name == attached.Target {
				all = append(all, finding{service: change.Name, rule: ruleShared, value: shared.Role + ":" + shared.Name, what: fmt.Sprintf(
					"joins the network %s as the shared network %q", shared.Name, shared.Role)})
			}
		}
		for _, name := range namesOn(attached, change.Name, *change.Service) {
			if other, on := j.whoAnswers(attached.Target, name); other != "" && other != change.Name {
				all = append(all, finding{service: change.Name, rule: ruleAliases, value: name, what: fmt.Sprintf(
					"answers to the name %q on %s, as %s already does%s", name, attached.Target, other, on)})
			}
			if other := j.surrounding(name, stack.Namespace()); other != "" && name != change.Name && !isOwn(stack, attached.Target) {
				all = append(all, finding{service: change.Name, rule: ruleAliases, value: name, what: fmt.Sprintf(
					"answers to the name %q on %s, which lies in the namespace %s of somebody else", name, attached.Target, other)})
			}
		}
	}
	return append(all, j.shadows(change)...)
}

// whoAnswers returns the service of somebody else that answers to a name on a network, or
// on another one that a service of others on this network is on, too; and in that case
// where.
func (j *Judge) whoAnswers(network, name string) (service, on string) {
	name = strings.ToLower(name)
	if service = j.names[[2]string{network, name}]; service != "" {
		return service, ""
	}
	for _, other := range slices.Sorted(maps.Keys(j.beside[network])) {
		if service = j.names[[2]string{other, name}]; service != "" {
			return service, fmt.Sprintf(" on %s for services that are on both", other)
		}
	}
	return "", ""
}

// shadows finds the names that a service looks for on one of its networks, and to which
// somebody else's service answers on another one.
func (j *Judge) shadows(change kargo.Change) (all []finding) {
	for _, mine := range change.Service.TaskTemplate.Networks {
		for _, theirs := range change.Service.TaskTemplate.Networks {
			if mine.Target == theirs.Target || j.beside[theirs.Target] == nil {
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(j.own()[mine.Target])) {
				if other := j.names[[2]string{theirs.Target, name}]; other != "" {
					all = append(all, finding{service: change.Name, rule: ruleAliases, value: name, what: fmt.Sprintf(
						"finds %s under the name %q on %s, and a service of the workspace under the same name on %s", other, name, theirs.Target, mine.Target)})
				}
			}
		}
	}
	return all
}

// isOwn reports whether a network is the stack's own.
func isOwn(stack kargo.Stack, network string) bool {
	return slices.ContainsFunc(stack.Networks, func(n kargo.Network) bool { return n.Name == network && !n.External && !n.Shared })
}

// isShared reports whether a network of a stack is one that joins the stacks.
func (j *Judge) isShared(stack kargo.Stack, network string) bool {
	return slices.ContainsFunc(stack.Networks, func(n kargo.Network) bool { return n.Name == network && n.Shared })
}

// named reports whether the operator names a network as a shared one.
func (j *Judge) named(network string) bool {
	setting, byName := j.policy.settings[ruleShared]
	return byName && slices.ContainsFunc(j.in.Shared, func(n SharedNetwork) bool {
		return n.Name == network && setting.permits(ruleShared, n.Role+":"+n.Name)
	})
}

// nameFindings finds a name, of an object or of a volume, that lies in the
// namespace of a stack that is not this instance's.
func (j *Judge) nameFindings(stack kargo.Stack, change kargo.Change) (all []finding) {
	if stack.Name == "" {
		return nil
	}
	names := []string{change.Name}
	if change.Service != nil {
		names = append(names, volumesOf(*change.Service)...)
	}
	for _, name := range names {
		if isOthers(name, stack.Namespace(), j.namespaces) {
			all = append(all, finding{service: change.Name, rule: ruleForeign, value: name, what: fmt.Sprintf(
				"uses the name %s, which has the form of another stack's", name)})
		} else if other := j.surrounding(name, stack.Namespace()); other != "" {
			all = append(all, finding{service: change.Name, rule: ruleOwnNames, value: name, what: fmt.Sprintf(
				"uses the name %s, which lies in the namespace %s of somebody else", name, other)})
		}
	}
	return all
}

// surrounding returns the namespace of somebody else in which a name lies, whatever the
// case of its letters: "kargo-web_b" is a name in "kargo-web", also where it is that of a
// stack of its own. So the volumes of both would have the same names.
func (j *Judge) surrounding(name, namespace string) string {
	lower := strings.ToLower(name)
	for _, other := range slices.Sorted(maps.Keys(j.namespaces)) {
		if other != namespace && strings.HasPrefix(lower, strings.ToLower(other)+"_") {
			return other
		}
	}
	return ""
}

// nodeFindings finds the labels of a node that a change sets or takes away.
func (j *Judge) nodeFindings(change kargo.Change) (all []finding) {
	before, after := j.nodes[change.ID].Spec.Labels, change.Node.Labels
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if old, had := before[key]; (!had || old != after[key]) && !strings.HasPrefix(key, kargo.LabelNodeLabels) {
			all = append(all, finding{rule: ruleNodeLabels, value: key, what: "sets the label " + key + " of a node"})
		}
	}
	return all
}

// sameProgram reports whether what is sent runs what was rendered: the same
// program, with the same input, that sees the same of its node. What the catalogue
// is granted holds for nothing else. Swarm fills in fields of a spec that it has,
// so only what matters is compared.
func sameProgram(rendered, sent swarm.ServiceSpec) bool {
	a, b := rendered.TaskTemplate.ContainerSpec, sent.TaskTemplate.ContainerSpec
	return a != nil && b != nil && sameImage(a.Image, b.Image) && slices.Equal(program(a), program(b))
}

// program returns what decides about a container's doings, as text.
func program(c *swarm.ContainerSpec) []string {
	texts := []string{
		fmt.Sprintf("%q %q %q %q %q", c.Command, c.Args, c.Dir, c.User, c.Hostname),
		fmt.Sprintf("%q %q", c.Hosts, slices.Sorted(slices.Values(c.Env))),
		fmt.Sprintf("%q", slices.Sorted(slices.Values(c.CapabilityAdd))),
	}
	if c.Healthcheck != nil {
		texts = append(texts, fmt.Sprintf("%q", c.Healthcheck.Test))
	}
	var lists []string
	for _, m := range c.Mounts {
		lists = append(lists, fmt.Sprintf("%s %q %q %t", m.Type, m.Source, m.Target, m.ReadOnly))
	}
	for _, config := range c.Configs {
		if config.File != nil {
			lists = append(lists, fmt.Sprintf("config %q", config.File.Name)) // the names are judged on their own
		}
	}
	for _, secret := range c.Secrets {
		if secret.File != nil {
			lists = append(lists, fmt.Sprintf("secret %q %q", secret.File.Name, secret.SecretName))
		}
	}
	slices.Sort(lists)
	return append(texts, lists...)
}

// sameImage reports whether an image is the rendered one, with the digest of its
// tag or without.
func sameImage(rendered, sent string) bool {
	tagged, _, _ := strings.Cut(sent, "@")
	if rendered == sent || rendered == tagged {
		return true
	}
	a, errA := reference.ParseNormalizedNamed(rendered)
	b, errB := reference.ParseNormalizedNamed(tagged)
	return errA == nil && errB == nil && reference.TagNameOnly(a).String() == reference.TagNameOnly(b).String()
}
