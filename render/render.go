// Package render turns a workspace into the stacks that should run: for each
// entry of STACKS the compose files of its services, merged and converted to
// Swarm's own service specs as `docker stack deploy` would do it.
//
// It is pure. What a compose file means is decided by Docker's own loader and
// converter (github.com/docker/cli), but they are handed everything they could
// look for outside: contents of env_file, configs and secrets come from the
// merged tree, variables from the workspace's environment and nowhere else.
// What is wrong comes back as kargo.Problems with file and line.
package render

import (
	"fmt"
	"slices"

	"github.com/docker/cli/cli/compose/types"

	"kargo"
)

// Render makes the named stacks out of a workspace, or all of STACKS if none
// is named, in the order of STACKS. The problems are sorted. A stack with a
// problem that is not a warning is left out.
func Render(ws kargo.Workspace, names ...string) ([]kargo.Stack, kargo.Problems) {
	stacks, _, problems := Trace(ws, names...)
	return stacks, problems
}

// Trace is Render, and says where what it rendered comes from.
func Trace(ws kargo.Workspace, names ...string) ([]kargo.Stack, *Provenance, kargo.Problems) {
	r := &renderer{ws: ws, places: map[string]kargo.Place{}, services: map[string]bool{}, files: map[string]bool{}}
	if r.tooMany() {
		return nil, &Provenance{ws: ws}, r.problems
	}
	r.stacks = r.stackNames()
	needs := r.needs()

	var stacks []kargo.Stack
	for _, name := range r.chosen(names) {
		r.failed = false
		stack := r.stack(name)
		stack.Needs = needs[name]
		stack.Options = r.options(name)
		if !r.failed {
			stacks = append(stacks, stack)
		}
	}
	r.checkAliases(stacks)
	r.checkPorts(stacks)
	r.checkHash()
	r.checkPin()
	if len(stacks) == len(r.stacks) { // else names may belong to what is missing
		r.checkNames()
	}
	return stacks, &Provenance{ws: ws, works: r.works}, r.problems.Sort()
}

// renderer is the work on one workspace.
type renderer struct {
	ws       kargo.Workspace
	stacks   []string // STACKS, without repetitions
	problems kargo.Problems
	failed   bool                   // the stack at hand has a problem that is not a warning
	places   map[string]kargo.Place // where each rendered service is defined
	services map[string]bool        // compose services of the stacks
	files    map[string]bool        // entries of <STACK>_STACK
	works    []*work                // of the stacks that have a configuration
	counted  int                    // services so far, and
	expanded int                    // bytes of their files with variables replaced; see bounds.go
}

// fail reports a problem.
func (r *renderer) fail(at kargo.Place, hint, format string, args ...any) {
	r.failed = true
	r.report(kargo.Problem{Where: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// warn reports what is odd and does no harm to the rendering.
func (r *renderer) warn(at kargo.Place, hint, format string, args ...any) {
	r.report(kargo.Problem{Where: at, Message: fmt.Sprintf(format, args...), Hint: hint, Warning: true})
}

// report keeps a problem, as long as anybody would read it. An error takes the
// place of a warning.
func (r *renderer) report(problem kargo.Problem) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, problem)
	} else if !problem.Warning && r.problems.Err() == nil {
		r.problems[maxProblems-1] = problem
	}
}

// stack renders one stack.
func (r *renderer) stack(name string) kargo.Stack {
	w := &work{renderer: r, name: name, namespace: kargo.StackPrefix + name, needs: map[string]kargo.NeedCondition{}, filesRead: map[string]bool{}}
	w.readLayers()
	if !w.withinBounds() {
		return kargo.Stack{}
	}
	w.checkVariables()
	if r.failed {
		return kargo.Stack{}
	}
	w.inlineEnvFiles()
	w.settleHealthchecks()
	w.translateRoutes()
	w.normalise()
	if r.failed {
		return kargo.Stack{}
	}
	config := w.load()
	if config == nil {
		return kargo.Stack{}
	}
	w.lint(config)
	w.readHooks(config)
	w.config, w.objects = config, newObjects(w, config)
	r.works = append(r.works, w)
	stack := kargo.Stack{Name: name}
	stack.Services, stack.Configs = w.convert(config)
	stack.Networks = w.networks(config)
	if w.usesCatalogue() {
		stack.NeedsApproval = w.unaccepted()
	}
	return stack
}

// work is the rendering of one stack.
type work struct {
	*renderer
	name      string
	namespace string
	layers    []*layer
	config    *types.Config // what the layers come to
	objects   *objects
	needs     map[string]kargo.NeedCondition // by "service\x00other"
	before    []string                       // jobs that come before the rest
	after     []string                       // jobs that come after the rest
	filesRead map[string]bool                // of the merged tree, beside compose files
}

// chosen are the stacks to render, in the order of STACKS.
func (r *renderer) chosen(names []string) []string {
	if len(names) == 0 || slices.Contains(names, kargo.AllStacks) {
		return r.stacks
	}
	for _, name := range names {
		if !slices.Contains(r.stacks, name) {
			r.fail(r.variable("STACKS"), kargo.DidYouMean(name, r.stacks),
				"STACKS has no stack %q", name)
		}
	}
	return slices.DeleteFunc(slices.Clone(r.stacks), func(name string) bool {
		return !slices.Contains(names, name)
	})
}

// variable is where a variable was assigned last. One that never was is
// missed in the user's environment file.
func (r *renderer) variable(name string) kargo.Place {
	if where, assigned := r.ws.Lines[name]; assigned {
		return where
	}
	return kargo.Place{File: kargo.FileEnv}
}
