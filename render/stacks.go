package render

import (
	"slices"

	"kargo"
)

// stackNames are the entries of STACKS in order, without repetitions.
func (r *renderer) stackNames() []string {
	at := r.variable("STACKS")
	var names []string
	byVariable := map[string]string{}
	for _, name := range r.ws.Env.List("STACKS") {
		variable := kargo.SuffixStack.Of(name)
		other, taken := byVariable[variable]
		switch {
		case name == kargo.AllStacks:
			r.fail(at, "", "%q means every stack and cannot be the name of one", kargo.AllStacks)
			continue
		case slices.Contains(names, name):
			r.fail(at, "", "STACKS names %q twice", name)
			continue
		case taken:
			r.warn(at, "rename one of them", "stacks %q and %q share the variable %s", other, name, variable)
		}
		byVariable[variable] = name
		names = append(names, name)
	}
	return names
}

// serviceList are the services of a stack in order.
func (r *renderer) serviceList(stack string) []string {
	variable := kargo.SuffixStack.Of(stack)
	listed := r.ws.Env.List(variable)
	if len(listed) == 0 {
		at := r.variable(variable)
		if at.Line == 0 {
			at = r.variable("STACKS")
		}
		hint := "list its services, as in " + variable + `="redis mongodb"`
		if near := kargo.Nearest(variable, r.unlisted(), 2); near != "" {
			hint = "did you mean " + near + "?"
		}
		r.fail(at, hint,
			"stack %q has no services: %s is empty or not set", stack, variable)
		return nil
	}
	var services []string
	for _, service := range listed {
		if slices.Contains(services, service) {
			r.fail(r.variable(variable), "", "%s names %q twice", variable, service)
			continue
		}
		services = append(services, service)
	}
	return services
}
