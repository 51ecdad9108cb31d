package swarm

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// names has the names of ids, and the ids of names, that were met so far. Swarm never
// uses an id again, so an entry may be old and is never wrong. An id that Swarm does
// not know any more maps to itself, so that it is asked for only once.
type names struct {
	mu       sync.Mutex
	networks map[string]string // names by id
	services map[string]string // names by id
	configs  map[string]string // ids by name
	secrets  map[string]string // ids by name
	gone     map[string]string // names by id of networks that Swarm has no more
	nodes    map[string]string // names by id
}

// table selects one of the maps.
type table func(*names) *map[string]string

func networkNames(n *names) *map[string]string { return &n.networks }
func serviceNames(n *names) *map[string]string { return &n.services }
func configIDs(n *names) *map[string]string    { return &n.configs }
func secretIDs(n *names) *map[string]string    { return &n.secrets }
func nodeNames(n *names) *map[string]string    { return &n.nodes }
func goneNetworks(n *names) *map[string]string { return &n.gone }

func (n *names) get(of table, key string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	value, ok := (*of(n))[key]
	return value, ok
}

func (n *names) put(of table, key, value string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	entries := of(n)
	if *entries == nil {
		*entries = map[string]string{}
	}
	(*entries)[key] = value
}

func (n *names) drop(of table, key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(*of(n), key)
}

func (n *names) replace(of table, entries map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	*of(n) = maps.Clone(entries)
}

// idsOf returns the ids of services, and whether those of all the names are known. If one
// is not, it returns none.
func (n *names) idsOf(services []string) (ids []string, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	missing := map[string]bool{}
	for _, name := range services {
		missing[name] = true
	}
	for id, name := range n.services {
		if missing[name] {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		delete(missing, n.services[id])
	}
	if len(missing) > 0 {
		return nil, false
	}
	slices.Sort(ids)
	return ids, true
}

// name returns the name of an id, or the id itself.
func (n *names) name(of table, id string) string {
	if name, ok := n.get(of, id); ok {
		return name
	}
	return id
}

// liveService translates a service of Docker's, without its update, whose times are of
// another clock, and without what is counted. The networks that it uses must be in the
// table already.
func (n *names) liveService(service swarm.Service) kargo.LiveService {
	live := kargo.LiveService{
		ID:      service.ID,
		Name:    service.Spec.Name,
		Version: service.Version.Index,
		Spec:    service.Spec,
		Updated: service.UpdatedAt,
	}
	if container := service.Spec.TaskTemplate.ContainerSpec; container != nil {
		live.Image = container.Image
	}
	n.translateSpec(&live.Spec)
	if previous := service.PreviousSpec; previous != nil {
		if container := previous.TaskTemplate.ContainerSpec; container != nil {
			live.PreviousImage = container.Image
		}
		n.translateSpec(previous)
		live.Previous = previous
	}
	return live
}

// counted returns a service with what Docker counts of it.
func counted(live kargo.LiveService, service swarm.Service) kargo.LiveService {
	if status := service.ServiceStatus; status != nil {
		live.Running, live.Desired, live.Completed = status.RunningTasks, status.DesiredTasks, status.CompletedTasks
	}
	if job := service.JobStatus; job != nil {
		live.Run = job.JobIteration.Index
	}
	return live
}

// translateSpec replaces ids by names, and images with digests by those that were
// wanted, in place. Docker's defaults stay: the planner knows them.
func (n *names) translateSpec(spec *swarm.ServiceSpec) {
	n.nameNetworks(spec.TaskTemplate.Networks)
	n.nameNetworks(deprecatedNetworks(spec))
	container := spec.TaskTemplate.ContainerSpec
	if container == nil {
		return
	}
	container.Image = askedImage(container.Image, spec.Labels[kargo.LabelImage])
	for _, config := range container.Configs {
		config.ConfigID = ""
	}
	for _, secret := range container.Secrets {
		secret.SecretID = ""
	}
}

func (n *names) nameNetworks(networks []swarm.NetworkAttachmentConfig) {
	for i := range networks {
		networks[i].Target = n.name(networkNames, networks[i].Target)
	}
}

// deprecatedNetworks returns the networks that services of old clients have in the
// spec itself, and not in the task template.
func deprecatedNetworks(spec *swarm.ServiceSpec) []swarm.NetworkAttachmentConfig {
	//nolint:staticcheck // read, never written
	return spec.Networks
}

// askedImage returns the image as the workspace has it, if the label that records it
// is still about the image that runs.
func askedImage(image, label string) string {
	if label == "" {
		return image
	}
	written := familiar(label)
	if unpinned, _, _ := strings.Cut(image, "@"); image == written || unpinned == written {
		return label
	}
	return image
}

// familiar returns an image as Docker's library sends it to the daemon: with a tag,
// without the default registry.
func familiar(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	return reference.FamiliarString(reference.TagNameOnly(named))
}

// task translates a task of Docker's.
func (n *names) task(task swarm.Task) kargo.Task {
	translated := kargo.Task{
		ID:      task.ID,
		Service: n.name(serviceNames, task.ServiceID),
		Slot:    task.Slot,
		Node:    task.NodeID,
		State:   string(task.Status.State),
		Desired: string(task.DesiredState),
		Message: task.Status.Message,
		Err:     task.Status.Err,
		Time:    task.CreatedAt,
		StateAt: task.Status.Timestamp,
	}
	if run := task.JobIteration; run != nil {
		translated.Run = run.Index
	}
	if spec := task.Spec.ContainerSpec; spec != nil {
		translated.Namespace = spec.Labels[kargo.LabelNamespace]
	}
	if container := task.Status.ContainerStatus; container != nil {
		translated.ExitCode, translated.Container = container.ExitCode, container.ContainerID
	}
	for _, attachment := range task.NetworksAttachments {
		name := attachment.Network.Spec.Name
		if known, ok := n.get(networkNames, attachment.Network.ID); ok {
			name = known
		}
		translated.Networks = append(translated.Networks, name)
	}
	// A task that has no node yet has no attachments, but will get them.
	if len(task.NetworksAttachments) == 0 {
		for _, network := range task.Spec.Networks {
			translated.Networks = append(translated.Networks, n.name(networkNames, network.Target))
		}
	}
	slices.Sort(translated.Networks)
	return translated
}
