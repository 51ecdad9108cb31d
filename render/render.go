// Package render turns a workspace into the stacks that should run: for each
// entry of STACKS the compose files of its services, for each stack directory
// its own, merged and converted to Swarm's own service specs as `docker stack
// deploy` does.
//
// [Render] is the whole of it. [Trace] returns the [Provenance] of what was
// rendered, too: the file and line of every property, and whether the catalogue
// or the workspace set it. [WithKey] gives names and labels the digests of
// content that they show; a caller does that once it has the instance's key.
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
	"kargo/render/view"
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
	return trace(ws, names, nil)
}

func trace(ws kargo.Workspace, names []string, cache *Cache) ([]kargo.Stack, *Provenance, kargo.Problems) {
	fast := newRenderer(ws, cache)
	if stacks, origins, valid := fast.together(names); valid {
		return stacks, origins, fast.report.Problems()
	}
	slow := newRenderer(ws, cache)
	slow.reader.Trust(fast.reader)
	return slow.each(names)
}

// together validates all compose files together, which is fast. It reports whether
// all are valid; the rest of the result counts only then.
func (r *renderer) together(names []string) (stacks []kargo.Stack, origins *Provenance, valid bool) {
	defer func() {
		if recover() != nil { // Docker's converter relies on what the schema refuses
			valid = false
		}
	}()
	r.reader.ValidateTogether()
	stacks, origins = r.all(names)
	if valid = r.reader.Valid(); valid {
		r.cache.keep(r)
	}
	return stacks, origins, valid
}

// each validates every compose file by itself, but for those that are known to be valid.
// So it can say which is wrong, and why.
func (r *renderer) each(names []string) ([]kargo.Stack, *Provenance, kargo.Problems) {
	stacks, origins := r.all(names)
	r.cache.keep(r)
	return stacks, origins, r.report.Problems()
}

func newRenderer(ws kargo.Workspace, cache *Cache) *renderer {
	return &renderer{ws: view.New(ws), report: &compose.Report{}, reader: &compose.Reader{}, cache: cache, done: map[string]*rendered{}}
}

// all renders the named stacks, or all if none is named.
func (r *renderer) all(names []string) ([]kargo.Stack, *Provenance) {
	ws, report := r.ws, r.report
	r.swarm = swarmcheck.New()
	defer r.swarm.Close()
	origins := &Provenance{ws: ws, positions: map[string]int{}}
	if tooMany(ws, report) {
		return nil, origins
	}
	checkPrefix(ws, report)
	all := stackNames(ws, report)
	needs := stackNeeds(ws, report, all)

	exist := knownNames{stacks: ws.StackNames()}
	stacks, leftOut := make([]kargo.Stack, 0, len(all)), 0
	for _, name := range chosen(ws, report, all, names) {
		done := r.stack(name)
		report.Append(done.report)
		exist.entries, exist.services = append(exist.entries, done.entries...), append(exist.services, done.services...)
		if done.leftOut {
			leftOut++
		}
		if done.source == nil {
			continue
		}
		origins.add(done.source)
		if done.report.Errors() == 0 {
			stacks = append(stacks, done.finished(needs[name], unaccepted(ws)))
		}
	}
	checkAliases(report, origins, stacks)
	checkPorts(report, origins, stacks)
	checkSubnets(report, origins, stacks)
	checkHash(ws, report)
	checkPin(ws, report)
	if len(stacks)+leftOut == len(ws.StackNames()) { // else a name may belong to what is missing
		checkNames(ws, report, exist, r.cache.index())
	}
	return stacks, origins
}

// renderer renders the stacks of one workspace.
type renderer struct {
	ws      *view.Workspace
	report  *compose.Report
	reader  *compose.Reader
	swarm   *swarmcheck.Swarm
	cache   *Cache               // nil if every stack is rendered
	done    map[string]*rendered // the stacks so far, by name
	digests view.Digests         // for a trial
	// anewCount is how many of them were not taken over.
	anewCount int
}

// rendered is what became of one stack. It depends on nothing but what was read.
type rendered struct {
	stack  kargo.Stack // without what depends on other stacks
	report *compose.Report
	// source is nil where the stack's files could not be read.
	source *source
	// entries are those of <STACK>_STACK, services those of the compose files.
	entries, services []string
	usesCatalogue     bool
	leftOut           bool // of a trial, as it is the same as where it is known
	reads             *view.Reads
	answers           []byte // digest of the answers to what was read, once somebody asked for it
}

// finished returns the stack with what depends on others: the stacks that it needs,
// and why what uses the catalogue may not change.
func (r *rendered) finished(needs []string, unaccepted string) kargo.Stack {
	stack := r.stack
	stack.Services = slices.Clone(stack.Services) // a caller may note in them what is permitted
	stack.Needs = needs
	if r.usesCatalogue {
		stack.NeedsApproval = unaccepted
	}
	return stack
}

// stack renders one stack, or takes it over from the cache.
func (r *renderer) stack(name string) *rendered {
	own := r.ws.For(name)
	done := r.leaveOut(own, name)
	if done == nil {
		done = r.takeOver(own, name)
	}
	if done == nil {
		done = r.anew(own.Recorded(), name)
		r.anewCount++
	}
	r.done[name] = done
	return done
}

// anew renders one stack.
func (r *renderer) anew(own view.View, name string) *rendered {
	done := &rendered{report: &compose.Report{}}
	s := r.read(own, name, done)
	done.stack.Options = options(own, done.report, name)
	if s != nil {
		checkDeadline(s, done.stack)
	}
	done.reads = own.Reads(!done.report.IsEmpty())
	if s != nil {
		done.source = sourceOf(s, done.services, done.reads)
	}
	return done
}

// read reads the files of a stack, and renders them if that is possible; else it
// returns nil.
func (r *renderer) read(own view.View, name string, done *rendered) *rendering {
	if _, isDirectory := own.Directory(); !isDirectory {
		if done.entries = stackEntries(r.ws, own, done.report, name); len(done.entries) == 0 {
			return nil
		}
	}
	files := r.reader.Read(own, done.report, name, own.ComposeFiles(name))
	if files == nil {
		return nil
	}
	for _, service := range files.Config.Services {
		done.services = append(done.services, service.Name)
	}
	return r.render(own, name, files, done)
}

// render converts the configuration of one stack.
func (r *renderer) render(own view.View, name string, files *compose.Configuration, done *rendered) *rendering {
	stack := kargo.Stack{Name: name, SwarmName: swarmName(own, name)}
	s := &rendering{ws: own, report: done.report, swarm: r.swarm, name: name, namespace: stack.Namespace(), files: files, unordered: map[[2]string]bool{}}
	s.objects = newObjects(s)
	before := done.report.Errors()
	lint(s)
	s.jobs = readJobs(s)
	stack.Services = services(s)
	stack.Configs = s.objects.used()
	stack.Networks = networks(s)
	if done.report.Errors() == before {
		refuseNetworks(s, stack.Networks)
	}
	done.usesCatalogue = files.UsesCatalogue()
	done.stack = stack
	return s
}

// rendering is the rendering of one stack, while it goes on.
type rendering struct {
	ws        view.View
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
func chosen(ws *view.Workspace, report *compose.Report, all, names []string) []string {
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
