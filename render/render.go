// Package render turns a workspace into the stacks that should run: for each
// entry of STACKS the compose files of its services, for each stack directory
// its own, merged and converted to Swarm's own service specs as `docker stack
// deploy` does.
//
// [Render] is the whole of it. [Trace] returns the [Provenance] of what was
// rendered, too: the file and line of every property, and whether the catalogue
// or the workspace set it. [NameSecrets] gives Swarm secrets names that do not
// tell their content; a caller does that once it has the instance's key.
// [NodeLabels] reads the labels that nodes should have.
//
// The package is pure: equal workspaces render to equal stacks. Package
// render/compose reads the compose files; Docker's converter
// (github.com/docker/cli) makes the specs. Whatever is wrong, or will not work
// in Swarm, is returned as kargo.Problems with file, line and a hint. A stack
// with an error is left out; warnings do not stop anything.
package render

import (
	"slices"

	"kargo"
	"kargo/render/compose"
	"kargo/render/swarmcheck"
	"kargo/spelling"
)

// Render renders the named stacks of a workspace, or all if none is named, in the
// order of kargo.Workspace.StackNames. The problems are sorted by place. A stack with
// an error is left out.
func Render(ws kargo.Workspace, names ...string) ([]kargo.Stack, kargo.Problems) {
	stacks, _, problems := Trace(ws, names...)
	return stacks, problems
}

// Trace does the same as Render, and also returns where everything that it
// rendered comes from.
func Trace(ws kargo.Workspace, names ...string) ([]kargo.Stack, *Provenance, kargo.Problems) {
	if stacks, origins, problems, valid := together(ws, names); valid {
		return stacks, origins, problems
	}
	return each(ws, names)
}

// together validates all compose files together, which is fast. It reports whether
// all are valid; the rest of the result counts only then.
func together(ws kargo.Workspace, names []string) (stacks []kargo.Stack, origins *Provenance, problems kargo.Problems, valid bool) {
	defer func() {
		if recover() != nil { // Docker's converter relies on what the schema refuses
			valid = false
		}
	}()
	r := newRenderer(ws)
	r.reader.ValidateTogether()
	stacks, origins = r.all(names)
	return stacks, origins, r.report.Problems(), r.reader.Valid()
}

// each validates every compose file by itself. So it can say which is wrong, and why.
func each(ws kargo.Workspace, names []string) ([]kargo.Stack, *Provenance, kargo.Problems) {
	r := newRenderer(ws)
	stacks, origins := r.all(names)
	return stacks, origins, r.report.Problems()
}

func newRenderer(ws kargo.Workspace) *renderer {
	report := &compose.Report{}
	return &renderer{ws: ws, report: report, reader: compose.NewReader(ws, report)}
}

// all renders the named stacks, or all if none is named.
func (r *renderer) all(names []string) ([]kargo.Stack, *Provenance) {
	ws, report := r.ws, r.report
	r.swarm = swarmcheck.New()
	defer r.swarm.Close()
	origins := &Provenance{ws: ws}
	if tooMany(ws, report) {
		return nil, origins
	}
	checkPrefix(ws, report)
	all := stackNames(ws, report)
	needs := stackNeeds(ws, report, all)

	var stacks []kargo.Stack
	for _, name := range chosen(ws, report, all, names) {
		before := report.Errors()
		stack, rendering := r.stack(name)
		if rendering != nil {
			origins.stacks = append(origins.stacks, rendering)
		}
		stack.Needs = needs[name]
		stack.Options = options(ws.For(name), report, name)
		if report.Errors() == before && rendering != nil {
			stacks = append(stacks, stack)
		}
	}
	checkAliases(report, origins, stacks)
	checkPorts(report, origins, stacks)
	checkHash(ws, report)
	checkPin(ws, report)
	if len(stacks) == len(all) { // else a name may belong to what is missing
		checkNames(ws, report, knownNames{stacks: ws.StackNames(), entries: r.entries, services: r.services})
	}
	return stacks, origins
}

// renderer renders the stacks of one workspace.
type renderer struct {
	ws     kargo.Workspace
	report *compose.Report
	reader *compose.Reader
	swarm  *swarmcheck.Swarm
	// entries are those of <STACK>_STACK of the stacks so far, services the
	// services of their compose files.
	entries, services []string
}

// stack renders one stack. The second value is nil where its files could not be
// read.
func (r *renderer) stack(name string) (kargo.Stack, *rendering) {
	ws := r.ws.For(name)
	var entries []string
	if _, isDirectory := ws.Directory(name); !isDirectory {
		if entries = stackEntries(ws, r.report, name); len(entries) == 0 {
			return kargo.Stack{}, nil
		}
	}
	r.entries = append(r.entries, entries...)
	files := r.reader.Read(ws, name, entries)
	if files == nil {
		return kargo.Stack{}, nil
	}
	for _, service := range files.Config.Services {
		r.services = append(r.services, service.Name)
	}
	return r.render(ws, name, files)
}

// render converts the configuration of one stack.
func (r *renderer) render(ws kargo.Workspace, name string, files *compose.Configuration) (kargo.Stack, *rendering) {
	stack := kargo.Stack{Name: name, SwarmName: swarmName(ws, name)}
	s := &rendering{ws: ws, report: r.report, swarm: r.swarm, name: name, namespace: stack.Namespace(), files: files, unordered: map[[2]string]bool{}}
	s.objects = newObjects(s)
	before := r.report.Errors()
	lint(s)
	s.jobs = readJobs(s)
	stack.Services = services(s)
	stack.Configs = s.objects.used()
	stack.Networks = networks(s)
	if r.report.Errors() == before {
		refuseNetworks(s, stack.Networks)
	}
	if files.UsesCatalogue() {
		stack.NeedsApproval = unaccepted(r.ws)
	}
	return stack, s
}

// rendering is the rendering of one stack.
type rendering struct {
	ws        kargo.Workspace // as the stack sees it
	report    *compose.Report
	name      string // as the workspace has it: "dbs"
	namespace string // as Swarm has it: "kargo-dbs"
	files     *compose.Configuration
	swarm     *swarmcheck.Swarm
	objects   *objects
	jobs      jobs
	// unordered are dependencies, of a service on another, that are not kept:
	// they are part of a cycle.
	unordered map[[2]string]bool
}

// nameOf returns the name in Swarm of a service of the stack's compose files.
func (s *rendering) nameOf(service string) string { return s.namespace + "_" + service }

// chosen returns the stacks to render, in order.
func chosen(ws kargo.Workspace, report *compose.Report, all, names []string) []string {
	if len(names) == 0 || slices.Contains(names, kargo.AllStacks) {
		return all
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			report.Fail(ws.PlaceOf("STACKS"), spelling.DidYouMean(name, all), "%s no stack %q", whoLists(ws), name)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return !slices.Contains(names, name)
	})
}
