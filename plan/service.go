package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// servicePlan has the decisions on the services of a stack.
type servicePlan struct {
	decisions
	// unchanged has the names of the services that run as they should.
	unchanged []string
	// unresolved has the images whose registries are to be asked first.
	unresolved []string
}

// stackServices decides on each service of a stack, in the order of their needs.
func (m maker) stackServices(stack kargo.Stack) servicePlan {
	p := servicePlan{decisions: make(decisions, 0, len(stack.Services))}
	moving := map[string]bool{} // has a change or a hold
	for _, service := range needsFirst(stack.Services) {
		d := m.service(stack, service)
		if d.outcome == outcomeChange {
			if d.change.Unresolved != "" {
				p.unresolved = append(p.unresolved, d.change.Unresolved)
			}
			if reason := m.unmetNeed(service, moving); reason != "" {
				d = toHold(serviceHold(stack, service.Name, kargo.UntilSettled, reason))
			}
		}
		if d.outcome == outcomeUnchanged {
			p.unchanged = append(p.unchanged, service.Name)
		}
		if d.outcome == outcomeChange || d.outcome == outcomeHold {
			moving[service.Name] = true
		}
		p.decisions = append(p.decisions, d)
	}
	return p
}

// needsFirst sorts services so that each comes after those it needs, and keeps
// the order of names otherwise. Circles were refused when rendering.
func needsFirst(services []kargo.Service) []kargo.Service {
	if !slices.ContainsFunc(services, func(s kargo.Service) bool { return len(s.Needs) > 0 }) {
		return services
	}
	byName := map[string]kargo.Service{}
	for _, service := range services {
		byName[service.Name] = service
	}
	sorted := make([]kargo.Service, 0, len(services))
	placed := map[string]bool{}
	var place func(service kargo.Service)
	place = func(service kargo.Service) {
		if placed[service.Name] {
			return
		}
		placed[service.Name] = true
		for _, need := range service.Needs {
			if needed, known := byName[need.Service]; known {
				place(needed)
			}
		}
		sorted = append(sorted, service)
	}
	for _, service := range services {
		place(service)
	}
	return sorted
}

// unmetNeed returns the first condition on another service that is not met yet, or
// "". The condition that a service is started needs no more than the order.
func (m maker) unmetNeed(service kargo.Service, moving map[string]bool) string {
	for _, need := range service.Needs {
		if need.Condition == kargo.NeedStarted {
			continue
		}
		live, exists := m.index.Service(need.Service)
		if !exists || moving[need.Service] {
			return "waits for " + need.Service
		}
		if health, words := ServiceHealth(live, m.index); health != kargo.HealthHealthy {
			return fmt.Sprintf("waits for %s, which is %s%s", need.Service, health, inBrackets(m.Mask.Text(words)))
		}
	}
	return ""
}

func inBrackets(words string) string {
	if words == "" {
		return ""
	}
	return " (" + words + ")"
}

func serviceHold(stack kargo.Stack, name string, until kargo.Until, reason string) kargo.Hold {
	return kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: name, Reason: reason, Until: until}
}

// comparison is a service of the workspace beside the one that runs.
type comparison struct {
	stack   kargo.Stack
	service kargo.Service
	live    kargo.LiveService
	// wanted is the spec as the workspace has it; its digest identifies it.
	wanted swarm.ServiceSpec
	// spec is wanted, with what the live spec is allowed to keep.
	spec swarm.ServiceSpec
	// different are the fields in which the live spec and spec differ.
	different []difference
	// digest identifies wanted; it is computed for a service that differs.
	digest string
}

// compare compares a service with the one of its name that runs.
func (m maker) compare(stack kargo.Stack, service kargo.Service, live kargo.LiveService) comparison {
	c := comparison{stack: stack, service: service, live: live, wanted: m.stamp(stack, service.Spec)}
	c.compare(m, false)
	if c.tasksDiffer() {
		c.compare(m, true) // the tasks are replaced anyway
	}
	return c
}

// compare sets the spec and what is different in it. renew is that of withSameContent.
func (c *comparison) compare(m maker, renew bool) {
	spec := m.withSameContent(c.wanted, c.live.Spec, c.stack, c.service, renew)
	spec = m.withKeptSecrets(spec, c.live.Spec, c.stack)
	if ignored := c.stack.Options.Ignore; len(ignored) > 0 {
		spec = m.stamp(c.stack, withIgnored(spec, c.live.Spec, ignored)) // the marks of ownership are never others'
	}
	c.spec = spec
	c.different = differences(c.live.Spec, c.spec, m.Mask)
}

// reason returns the differences in one line.
func (c comparison) reason() string {
	texts := make([]string, 0, len(c.different))
	for _, d := range c.different {
		texts = append(texts, d.text)
	}
	return strings.Join(texts, "; ")
}

// tasksDiffer reports whether a difference concerns the tasks of the service.
func (c comparison) tasksDiffer() bool {
	return slices.ContainsFunc(c.different, func(d difference) bool { return strings.HasPrefix(d.path, "TaskTemplate.") })
}

// fields returns the differences one by one.
func (c comparison) fields() []kargo.FieldChange {
	fields := make([]kargo.FieldChange, 0, len(c.different))
	for _, d := range c.different {
		fields = append(fields, kargo.FieldChange{Path: d.path, Before: d.before, After: d.after})
	}
	return fields
}

// holdUntil holds the update of the service.
func (c comparison) holdUntil(until kargo.Until, reason string) decision {
	return toHold(serviceHold(c.stack, c.live.Name, until, reason))
}

// service decides on one service: first whether it may be changed, then what is
// sent.
func (m maker) service(stack kargo.Stack, service kargo.Service) decision {
	live, exists := m.index.Service(service.Name)
	if !exists {
		return m.missingService(stack, service)
	}
	if m.Comparisons.areSame(stack, live) && !m.renews(live) {
		if why, _ := m.goesOn(live); why == "" {
			return asItShouldBe()
		}
	}
	c := m.compare(stack, service, live)
	if len(c.different) == 0 {
		m.Comparisons.note(c)
		if d, decided := m.goOn(c); decided {
			return d
		}
		return m.renewCredential(c)
	}
	c.digest = SpecDigest(m.Keys.Specs, c.wanted)
	for _, rule := range []func(comparison) (decision, bool){
		m.harmsOwn, m.otherMode, m.otherVolume, m.sentBefore, m.drifted,
	} {
		if d, decided := rule(c); decided {
			return d
		}
	}
	return m.update(c)
}

// update returns the update that makes a service what it should be. It keeps the
// restart counter of `docker service update --force`, which a person sets. Where the
// tasks are as they should be, their part of the spec is sent as it is: Swarm
// restarts tasks for any difference there, also for one that means nothing.
func (m maker) update(c comparison) decision {
	image, same := sameImage(c.spec, c.live)
	if !same {
		image = m.newImage(c.stack, c.service)
	}
	if image.missing != "" {
		return m.holdMissing(c.stack, c.service, image)
	}
	spec := image.into(c.spec)
	spec.TaskTemplate.ForceUpdate = c.live.Spec.TaskTemplate.ForceUpdate
	if same && !c.tasksDiffer() {
		spec.TaskTemplate = c.live.Spec.TaskTemplate
	}
	if isRollback(spec.UpdateConfig) && m.isRefused(c) {
		config := *spec.UpdateConfig
		config.FailureAction = swarm.UpdateFailureActionPause // what lives must not come back; a later update has the workspace's
		spec.UpdateConfig = &config
	}
	update := kargo.UpdateService(c.stack.Name, c.live, spec, c.reason())
	update.Fields = c.fields()
	_, update.Back = m.standIns[c.stack.Name]
	update.Digest, update.Image, update.Unresolved = c.digest, image.resolved, image.unresolved
	if m.isDrift(c.live, c.digest) {
		update.Drifted, update.Repairs = c.live.Updated, true
	}
	return toChange(update)
}

// missingService decides on a service that does not exist: a new one, or one
// that somebody else removed.
func (m maker) missingService(stack kargo.Stack, service kargo.Service) decision {
	spec := m.stamp(stack, service.Spec)
	digest, reason := SpecDigest(m.Keys.Specs, spec), "new"
	drift := m.isDrift(kargo.LiveService{Name: service.Name}, digest)
	if drift {
		reason = "somebody else removed it"
		switch stack.Options.Drift {
		case kargo.DriftOff:
			return skipped("drift is left as it is")
		case kargo.DriftWarn:
			return toHold(serviceHold(stack, service.Name, kargo.UntilRevision,
				fmt.Sprintf("%s; nothing is done (%s=warn)", reason, kargo.SuffixDrift.Of(stack.Name))))
		case kargo.DriftEnforce:
		}
	}
	image := m.newImage(stack, service)
	if image.missing != "" {
		return m.holdMissing(stack, service, image)
	}
	create := kargo.CreateService(stack.Name, image.into(spec), reason)
	create.Digest, create.Image, create.Unresolved, create.Repairs = digest, image.resolved, image.unresolved, drift
	return toChange(create)
}

// stamp returns the spec with the marks of ownership, and the revision that
// changes it.
func (m maker) stamp(stack kargo.Stack, spec swarm.ServiceSpec) swarm.ServiceSpec {
	labels := maps.Clone(spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[kargo.LabelInstance] = m.Instance
	labels[kargo.LabelStack] = stack.Name
	labels[kargo.LabelRevision] = string(m.Revision.ID())
	if stack.Options.Protect {
		labels[kargo.LabelProtect] = "true" // the variable is gone when the stack is
	}
	spec.Labels = labels
	return m.stampVolumes(spec)
}

// stampVolumes returns the spec with the mark of ownership on the volumes that the
// service makes on its nodes.
func (m maker) stampVolumes(spec swarm.ServiceSpec) swarm.ServiceSpec {
	if spec.TaskTemplate.ContainerSpec == nil || len(spec.TaskTemplate.ContainerSpec.Mounts) == 0 {
		return spec
	}
	container := *spec.TaskTemplate.ContainerSpec // the spec belongs to the caller
	container.Mounts = slices.Clone(container.Mounts)
	for i, volume := range container.Mounts {
		if volume.Type != mount.TypeVolume || volume.VolumeOptions == nil {
			continue
		}
		marked := *volume.VolumeOptions
		marked.Labels = maps.Clone(marked.Labels)
		if marked.Labels == nil {
			marked.Labels = map[string]string{}
		}
		marked.Labels[kargo.LabelInstance] = m.Instance
		container.Mounts[i].VolumeOptions = &marked
	}
	spec.TaskTemplate.ContainerSpec = &container
	return spec
}

// sentBefore holds an update that was sent before and would not help if it were
// sent again: Swarm rolled it back, or accepted it and the service still differs. What the
// operator does not permit is not left because Swarm went back to it.
func (m maker) sentBefore(c comparison) (d decision, decided bool) {
	sent, known := m.Memory.Sent[c.live.Name]
	switch {
	case !known || sent.Digest != c.digest:
		return decision{}, false
	case rolledBack(c.live) && isRollback(c.wanted.UpdateConfig) && m.isRefused(c):
		return decision{}, false
	case rolledBack(c.live):
		words := m.Mask.Text(cmp.Or(c.live.Update.Message, string(c.live.Update.State)))
		return c.holdUntil(kargo.UntilRevision, "Swarm rolled back this change: "+words+
			"; waits for another revision, or `kargo retry`"), true
	case !sent.Seen && sent.Reason == c.reason():
		return c.holdUntil(kargo.UntilRevision, "does not converge: Swarm accepted this change before, and the service still differs: "+c.reason()), true
	}
	return decision{}, false
}

// isDrift reports whether a service that differs from the spec with that digest was
// as wanted before. Then somebody else changed it, and not the workspace.
func (m maker) isDrift(service kargo.LiveService, digest string) bool {
	sent := m.Memory.Sent[service.Name]
	return sent.Digest == digest && sent.Seen && !rolledBack(service)
}

// drifted decides on drift that is not to be corrected now. The hold says what to
// write into the workspace so that the difference is left for good.
func (m maker) drifted(c comparison) (d decision, decided bool) {
	if !m.isDrift(c.live, c.digest) {
		return decision{}, false
	}
	if m.isRefused(c) {
		return decision{}, false // what the operator does not permit is not left as it is
	}
	snippet := fmt.Sprintf("; to let others manage it, set %s=%q", kargo.SuffixIgnore.Of(c.stack.Name), strings.Join(pointersTo(c.different), " "))
	switch c.stack.Options.Drift {
	case kargo.DriftOff:
		return skipped("drift is left as it is"), true
	case kargo.DriftWarn:
		return c.holdUntil(kargo.UntilRevision, fmt.Sprintf("drift%s, left as it is (%s=warn): %s%s",
			since(c.live.Updated), kargo.SuffixDrift.Of(c.stack.Name), c.reason(), snippet)), true
	case kargo.DriftEnforce:
	}
	if reason := m.Memory.Drifts[c.live.Name].reason(m.Now); reason != "" {
		return c.holdUntil(kargo.UntilTime, reason+snippet), true
	}
	return decision{}, false
}

// isRefused reports whether the operator does not permit what lives.
func (m maker) isRefused(c comparison) bool {
	return len(m.refusals(kargo.UpdateService(c.stack.Name, c.live, c.live.Spec, ""))) > 0
}

// isRollback reports whether Swarm returns to the spec before, if an update fails.
func isRollback(config *swarm.UpdateConfig) bool {
	return config != nil && config.FailureAction == swarm.UpdateFailureActionRollback
}

func since(when time.Time) string {
	if when.IsZero() {
		return ""
	}
	return " since " + when.UTC().Format(time.RFC3339)
}

// rolledBack reports whether Swarm went back to the spec before, because an update failed.
// It has no previous spec then. After `docker service rollback` it has: what it went back
// from. That is a change by hand, as any other (updater.go and controlapi of SwarmKit).
func rolledBack(service kargo.LiveService) bool {
	return wentBack(service) && service.Previous == nil
}

// wentBack reports whether Swarm goes back to the spec before, or has, whoever wanted it.
func wentBack(service kargo.LiveService) bool {
	return service.Update != nil && strings.HasPrefix(string(service.Update.State), "rollback_")
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
