package draft

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"kargo"
)

// FromStacks makes a workspace of stacks as they run (swarm.Client.RunningStack).
// Each becomes a compose file with the contents of its configs. Rendered, the files
// ask for the same services: so a stack can be taken over, and no task is replaced.
//
// Swarm does not show the content of secrets. The files refer to them, and to all that
// does not belong to the stack, as external. What compose files cannot say is in Lost.
func FromStacks(stacks []kargo.Stack) (Draft, error) {
	d := newDraft()
	for _, stack := range stacks {
		w := writing{Draft: d, stack: stack, volumes: map[string]string{}, declared: map[string]mapping{}}
		if err := w.write(); err != nil {
			return Draft{}, fmt.Errorf("write the compose file of stack %s: %w", stack.Name, err)
		}
	}
	return *d, nil
}

// writing writes the compose file of one stack.
type writing struct {
	*Draft
	stack kargo.Stack
	// volumes has the keys of the volumes in the compose file, by name in Swarm.
	// declared has what the compose file says of each key.
	volumes  map[string]string
	declared map[string]mapping
}

func (w writing) write() error {
	var services mapping
	for _, service := range w.stack.Services {
		name, isNamed := strings.CutPrefix(service.Name, w.stack.Namespace()+"_")
		switch {
		case !isNamed:
			w.lose("service %s: it has the label of stack %s, but its name does not begin with %s_; it was left out", service.Name, w.stack.Name, w.stack.Name)
		case service.Spec.TaskTemplate.ContainerSpec == nil:
			w.lose("service %s: it runs no container (it is a plugin or an attachment); it was left out", service.Name)
		default:
			services.put(name, w.service(service.Name, name, service.Spec))
		}
	}
	var file mapping
	file.put("services", services)
	file.set("networks", w.networks())
	var volumes mapping
	for _, key := range slices.Sorted(maps.Keys(w.declared)) {
		volumes.put(key, w.declared[key])
	}
	file.set("volumes", volumes)
	file.set("configs", w.configs())
	file.set("secrets", w.secrets())
	data, err := file.yaml()
	if err != nil {
		return err
	}
	w.Files[path.Join(place, w.stack.Name, "compose.yml")] = File{Data: data}
	w.Stacks = append(w.Stacks, w.stack.Name)
	return nil
}
