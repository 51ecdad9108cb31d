package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Options are the inputs of a plan beside what is wanted and what is there.
type Options struct {
	// Instance is the name under which this controller owns objects.
	Instance string
	// Revision the desired stacks were rendered from.
	Revision kargo.Revision
	// Sent is what was sent before, by service name.
	Sent kargo.Sent
	// Refused are changes that Docker refused as invalid, by Change.Key. They
	// are held as long as they are the same.
	Refused map[string]Refusal
	// Mask hides secrets in reasons.
	Mask kargo.Mask
	// Approved is the ID of the plan whose approvable holds a person lifted.
	// It fits that plan and no other.
	Approved string
}

// Refusal is Docker's answer to a change that it will not take.
type Refusal struct {
	Digest string // of the spec, for a service
	Words  string
}

// Make is the plan that turns live into desired. Stacks come in the order of
// STACKS. An empty desired list is a plan to remove everything and therefore
// held; callers must not pass one because something could not be read.
func Make(desired []kargo.Stack, live kargo.Cluster, opts Options) kargo.Plan {
	plan := newMaker(desired, live, opts).make()
	if opts.Approved != "" && opts.Approved == plan.ID() {
		approved := newMaker(desired, live, opts)
		approved.approved = true
		return approved.make()
	}
	return plan
}

// maker holds the arguments of Make, indexed. Its methods return changes and
// holds; they do not change it.
type maker struct {
	Options
	approved bool
	desired  []kargo.Stack
	live     kargo.Cluster
	services map[string]kargo.LiveService
	networks map[string]kargo.LiveNetwork
	configs  map[configKey]kargo.LiveConfig
	wanted   map[string]bool // service names
}

// Configs and secrets have name spaces of their own.
type configKey struct {
	secret bool
	name   string
}

func newMaker(desired []kargo.Stack, live kargo.Cluster, opts Options) maker {
	m := maker{
		Options: opts, desired: desired, live: live,
		services: map[string]kargo.LiveService{},
		networks: map[string]kargo.LiveNetwork{},
		configs:  map[configKey]kargo.LiveConfig{},
		wanted:   map[string]bool{},
	}
	for _, service := range live.Services {
		m.services[service.Name] = service
	}
	for _, network := range live.Networks {
		m.networks[network.Name] = network
	}
	for _, config := range live.Configs {
		m.configs[configKey{config.Secret, config.Name}] = config
	}
	for _, stack := range desired {
		for _, service := range stack.Services {
			m.wanted[service.Name] = true
		}
	}
	return m
}

func (m maker) make() kargo.Plan {
	plan := kargo.Plan{Revision: m.Revision}
	add := func(changes []kargo.Change, holds []kargo.Hold) {
		plan.Changes = append(plan.Changes, changes...)
		plan.Held = append(plan.Held, holds...)
	}

	removed, heldRemovals := m.serviceRemovals()
	perStack := make([]stackPlan, len(m.desired))
	for i, stack := range m.desired {
		perStack[i] = m.stack(stack)
	}
	early, late := splitByPorts(removed, m.services, perStack)

	add(m.sharedNetworks(), nil)
	add(early, nil)
	for i, stack := range m.desired {
		add(m.afterNeeds(stack, perStack[i], perStack))
	}
	add(late, heldRemovals)
	add(m.objectRemovals(m.usage(removed)))
	return plan
}

// owns tells whether labels say that this instance made the object.
func (m maker) owns(labels map[string]string) bool {
	return labels[kargo.LabelInstance] == m.Instance
}

// stackPlan is what one stack wants, before other stacks have a say.
type stackPlan struct {
	changes []kargo.Change
	holds   []kargo.Hold
}

// stack compares one stack with what runs. An object in the way, or one that
// should be there and is not, holds the stack as a whole: half a stack is
// worse than yesterday's.
func (m maker) stack(stack kargo.Stack) stackPlan {
	if holds := m.obstacles(stack); len(holds) > 0 {
		return stackPlan{holds: holds}
	}
	var p stackPlan
	changes, holds := m.stackServices(stack)
	p.changes = slices.Concat(m.stackNetworks(stack), m.stackConfigs(stack, changes), changes)
	p.holds = holds
	return m.withoutRefused(p)
}

// withoutRefused ends a stack's changes at the first one that Docker refused
// before: what comes after it may depend on it.
func (m maker) withoutRefused(p stackPlan) stackPlan {
	for i, change := range p.changes {
		refusal, refused := m.Refused[change.Key()]
		if !refused || refusal.Digest != change.Digest {
			continue
		}
		p.changes = p.changes[:i]
		p.holds = append(p.holds, kargo.Hold{
			Kind: change.Kind, Stack: change.Stack, Name: change.Name,
			Reason: "Docker refuses it: " + m.Mask.Text(refusal.Words) + "; waits for another revision",
		})
		break
	}
	return p
}

// afterNeeds holds a stack's changes until the stacks it needs have nothing to
// change and have settled.
func (m maker) afterNeeds(stack kargo.Stack, p stackPlan, all []stackPlan) ([]kargo.Change, []kargo.Hold) {
	if len(p.changes) == 0 {
		return p.changes, p.holds
	}
	for _, need := range stack.Needs {
		index := slices.IndexFunc(m.desired, func(s kargo.Stack) bool { return s.Name == need })
		if index < 0 {
			continue // render refuses unknown needs; a named subset may lack them
		}
		reason := ""
		switch health, words := StackHealth(m.desired[index], m.live); {
		case len(all[index].changes)+len(all[index].holds) > 0:
			reason = "waits for stack " + need
		case health != kargo.Healthy:
			reason = fmt.Sprintf("waits for stack %s, which is %s", need, health)
			if words != "" {
				reason += " (" + m.Mask.Text(words) + ")"
			}
		}
		if reason != "" {
			hold := kargo.Hold{Stack: stack.Name, Name: stack.Name, Reason: reason, Passing: true}
			return nil, append(slices.Clone(p.holds), hold)
		}
	}
	return p.changes, p.holds
}

// stackServices are the creations and updates of a stack's services.
func (m maker) stackServices(stack kargo.Stack) (changes []kargo.Change, holds []kargo.Hold) {
	for _, service := range stack.Services {
		change, hold := m.service(stack, service)
		if change != nil {
			changes = append(changes, *change)
		}
		if hold != nil {
			holds = append(holds, *hold)
		}
	}
	return changes, holds
}

// service compares one service. At most one of its answers is set.
func (m maker) service(stack kargo.Stack, service kargo.Service) (*kargo.Change, *kargo.Hold) {
	spec := m.stamp(stack, service.Spec)
	change := kargo.Change{
		Action: kargo.Create, Kind: kargo.KindService, Stack: stack.Name, Name: service.Name,
		Reason: "new", Service: &spec, Digest: SpecDigest(spec), ResolveImage: true,
	}
	live, exists := m.services[service.Name]
	if !exists {
		return &change, nil
	}
	differences := Diff(live.Spec, spec, m.Mask)
	if len(differences) == 0 {
		return nil, nil
	}
	change.Action, change.ID, change.Version = kargo.Update, live.ID, live.Version
	change.Reason = strings.Join(differences, "; ")
	change.ResolveImage = carryOver(&spec, live)
	if reason := m.whyNot(live, change); reason != "" {
		return nil, &kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: service.Name, Reason: reason}
	}
	return &change, nil
}

// stamp is the spec as it is sent: with the marks of ownership, and the
// revision that changes it.
func (m maker) stamp(stack kargo.Stack, spec swarm.ServiceSpec) swarm.ServiceSpec {
	labels := maps.Clone(spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[kargo.LabelInstance] = m.Instance
	labels[kargo.LabelStack] = stack.Name
	labels[kargo.LabelRevision] = m.Revision.Commit
	spec.Labels = labels
	return spec
}

// carryOver keeps what Swarm or a person added to the live spec and the
// workspace has no say in: the restart counter of `docker service update
// --force`, and the digest of an image whose name has not changed, so that an
// unrelated update never rolls out another build of the same tag. It answers
// whether the image must be looked up.
func carryOver(spec *swarm.ServiceSpec, live kargo.LiveService) (resolve bool) {
	spec.TaskTemplate.ForceUpdate = live.Spec.TaskTemplate.ForceUpdate
	wanted, running := spec.TaskTemplate.ContainerSpec, live.Spec.TaskTemplate.ContainerSpec
	if wanted == nil || running == nil || wanted.Image != running.Image {
		return true
	}
	pinned := *wanted // the desired spec belongs to the caller
	pinned.Image = cmp.Or(live.Image, wanted.Image)
	spec.TaskTemplate.ContainerSpec = &pinned
	if live.Spec.TaskTemplate.Placement != nil {
		placement := swarm.Placement{}
		if spec.TaskTemplate.Placement != nil {
			placement = *spec.TaskTemplate.Placement
		}
		placement.Platforms = live.Spec.TaskTemplate.Placement.Platforms
		spec.TaskTemplate.Placement = &placement
	}
	return false
}

// whyNot is the reason for holding an update that is wanted, or "".
func (m maker) whyNot(live kargo.LiveService, change kargo.Change) string {
	if was, is := modeName(live.Spec.Mode), modeName(change.Service.Mode); was != is {
		return fmt.Sprintf("Swarm cannot change the mode of a service (%s -> %s); give it another name", was, is)
	}
	sent, known := m.Sent[live.Name]
	if !known || sent.Digest != change.Digest {
		return ""
	}
	if rolledBack(live.Update) {
		return "Swarm rolled this very change back: " + m.Mask.Text(cmp.Or(live.Update.Message, string(live.Update.State))) +
			"; waits for another revision"
	}
	if !sent.Seen && sent.Reason == change.Reason {
		return "does not converge: Swarm took this very change and still differs: " + change.Reason
	}
	return ""
}

func rolledBack(update *swarm.UpdateStatus) bool {
	return update != nil && strings.HasPrefix(string(update.State), "rollback_")
}

func modeName(mode swarm.ServiceMode) string {
	switch {
	case mode.Global != nil:
		return "global"
	case mode.ReplicatedJob != nil:
		return "replicated-job"
	case mode.GlobalJob != nil:
		return "global-job"
	}
	return "replicated"
}
