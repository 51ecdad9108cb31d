package plan

import "kargo"

// Index has the services and tasks of one look at the Swarm by the service's name.
// Make it once for all stacks: to search the lists for each stack takes time that
// grows with the square of their number.
type Index struct {
	services map[string]*kargo.LiveService
	tasks    map[string][]kargo.Task // in the order of the look
}

// NewIndex returns the index of a look. It points into live, which must not change
// while the index is used.
func NewIndex(live kargo.Cluster) Index {
	index := Index{
		services: make(map[string]*kargo.LiveService, len(live.Services)),
		tasks:    map[string][]kargo.Task{},
	}
	for i := range live.Services {
		index.services[live.Services[i].Name] = &live.Services[i]
	}
	for _, task := range live.Tasks {
		if service := index.services[task.Service]; service != nil && task.Run < service.Run {
			continue // of an earlier run of a job, which says nothing of this one
		}
		index.tasks[task.Service] = append(index.tasks[task.Service], task)
	}
	return index
}

// Service returns the service of a name, if it exists.
func (i Index) Service(name string) (service kargo.LiveService, exists bool) {
	if found := i.services[name]; found != nil {
		return *found, true
	}
	return kargo.LiveService{}, false
}
