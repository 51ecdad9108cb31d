// Package permit finds what the operator does not permit: a policy, and what would
// run, in; kargo.Problems and reasons out.
//
// A policy has two looks at everything. [Check] judges a rendering, before it is
// compared with anything: however a privilege came into a service's spec, it is in
// one of the fields that are judged here, and the message names the file and line.
// A [Judge] has the last word on each change of a plan, beside what lives in Swarm:
// on what is sent, after fields were left to others, objects were taken over or an
// earlier rendering stands in. Both look through the same examiner.
//
// A [Memory] keeps what was found in each stack, so that of the next revision only the
// stacks are examined that were rendered anew.
//
// A [Policy] starts as one of three ([New]) and may have rules on top ([Policy.Set])
// and exceptions for single services ([Policy.Except]). [Origins] say in which file
// a property is, for the message, and whether the workspace set it at all: the
// services of the catalogue keep the privileges that the catalogue gives them, as
// long as the operator sets no rule of that name.
//
// The package is pure, and a Policy is a value: several may use one at once.
package permit

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/swarm"
	units "github.com/docker/go-units"

	"kargo"
)

// Origins know where the properties of services come from. A service has its
// name in Swarm; a property is a path below it in its compose file, such as
// "cap_add", "SYS_ADMIN".
type Origins interface {
	// Place returns the line that sets a property, or the nearest one.
	Place(service string, property ...string) kargo.Place
	// VariablePlace returns the line that sets a variable of the environment.
	VariablePlace(variable string) kargo.Place
	// Default reports whether a property is the catalogue's, and the program
	// that uses it is, too.
	Default(service string, property ...string) bool
	// Untouched reports whether the workspace has no hand in any input of a
	// service of the catalogue, except for what the catalogue calls harmless.
	Untouched(service string) bool
	// Excluded reports whether the catalogue says of a service of its own that
	// it is not for the policy of that name.
	Excluded(service, policy string) bool
	// Rendering identifies how a stack was rendered: two equal values mean equal stacks.
	// It is nil if that is not known.
	Rendering(stack kargo.Stack) any
}

// Input is what is judged.
type Input struct {
	// Instance is the name under which the controller owns objects; it matters
	// only to a Judge.
	Instance string
	Stacks   []kargo.Stack
	// Labels are those that nodes should have.
	Labels []kargo.NodeLabels
	// Origins may be nil: then problems have no place, and nothing is exempt.
	Origins Origins
	// Root is the absolute path of the merged configuration, and Files are the
	// paths below it of what Kargo writes there. A workspace may bind these, to
	// read them.
	Root  string
	Files iter.Seq[string]
	// Shared are the networks that join the stacks.
	Shared []SharedNetwork
	// Images are the rules by which tags of images are looked up.
	Images []kargo.ImageRule
	// Satisfies reports whether a node satisfies constraints, as Swarm decides it. It
	// matters only to a Judge, and may be nil: then only constraints about the role of a
	// node tell which services ask for managers.
	Satisfies func(kargo.LiveNode, []string) bool
}

// Check returns what the policy does not permit, in order of place. What the
// policy only warns of is a warning.
func Check(policy Policy, in Input) kargo.Problems {
	_, problems := Review(policy, in)
	return problems
}

// Review returns the same as Check, and what the catalogue may do that the policy does
// not permit others: for each service, by its name in Swarm, findings as text. Whoever
// sends the rendering later, without its origins, knows from it what was permitted.
func Review(policy Policy, in Input) (granted map[string][]string, problems kargo.Problems) {
	var nothing *Memory
	return nothing.Review(policy, in)
}

// review judges what was examined: it returns what the catalogue is granted, and what the
// policy does not permit of the stacks, and of names, networks, labels and numbers.
func review(policy Policy, in Input, all []*examined) (granted map[string][]string, problems kargo.Problems) {
	c := &check{policy: policy, in: in, namespaces: map[string]bool{}}
	for _, stack := range in.Stacks {
		c.namespaces[stack.Namespace()] = true
	}
	c.names()
	c.shared()
	c.nodes()
	granted = map[string][]string{}
	for _, stack := range all {
		for _, found := range stack.refused {
			if policy.isCatalogues(found, in.Origins) {
				granted[found.service] = append(granted[found.service], found.key())
			} else {
				c.report(found, c.placeOfFinding(found))
			}
		}
	}
	for _, rule := range in.Images {
		image(rule.Image, func(name, value, what string, _ ...string) {
			if found := (finding{subject: "the rule of " + rule.Variable, rule: name, value: value, what: what}); !policy.permits(found) {
				c.report(found, rule.Where)
			}
		})
	}
	for _, found := range wholeFindings(all) {
		if !policy.permits(found) {
			c.report(found, kargo.Place{File: kargo.FileEnv})
		}
	}
	return granted, c.problems.Sort()
}

// amounts are how much the stacks ask for of what all share.
type amounts struct {
	tasks            uint64
	cpus, memory     float64 // that are reserved of the nodes; memory in bytes
	networks, stored int     // the latter in bytes, by the managers
}

// amountsOf returns what one stack asks for. Tasks that run on every node count once.
func amountsOf(stack *kargo.Stack) (a amounts) {
	for _, made := range stack.Networks {
		if !made.External && !made.Shared {
			a.networks++
		}
	}
	for _, made := range stack.Configs {
		if !made.External {
			a.stored += len(made.Data)
		}
	}
	for _, service := range stack.Services {
		count, all := tasks(service.Spec.Mode), tasksInAll(service.Spec.Mode)
		a.tasks += all
		if size := textBytes(service.Spec); size > usualTextBytes {
			a.stored += size * int(1+min(all, 1<<20)) // each task has the spec
		}
		if resources := service.Spec.TaskTemplate.Resources; resources != nil && resources.Reservations != nil {
			a.cpus += float64(count) * float64(max(0, resources.Reservations.NanoCPUs)) / 1e9
			a.memory += float64(count) * float64(max(0, resources.Reservations.MemoryBytes))
		}
	}
	return a
}

// wholeFindings returns what the workspace as a whole asks for: how many tasks it may
// have, what these reserve of the nodes, and what it makes of that which all share: the
// subnets of the Swarm, and the store of the managers.
func wholeFindings(stacks []*examined) []finding {
	var sum amounts
	for _, stack := range stacks {
		sum.tasks += stack.amounts.tasks
		sum.cpus += stack.amounts.cpus
		sum.memory += stack.amounts.memory
		sum.networks += stack.amounts.networks
		sum.stored += stack.amounts.stored
	}
	const subject = "the workspace"
	found := []finding{{subject: subject, rule: "tasks", value: strconv.FormatUint(sum.tasks, 10), what: fmt.Sprintf("has %d tasks", sum.tasks)}}
	if sum.networks > 0 {
		found = append(found, finding{subject: subject, rule: ruleNetworks, value: strconv.Itoa(sum.networks), what: fmt.Sprintf("makes %d networks", sum.networks)})
	}
	if sum.stored > 0 {
		found = append(found, finding{subject: subject, rule: ruleStored, value: strconv.Itoa(sum.stored),
			what: "stores " + units.BytesSize(float64(sum.stored)) + " on the managers: configs, secrets, and for each task the texts of its service"})
	}
	if sum.cpus > 0 {
		found = append(found, finding{subject: subject, rule: ruleReservations, value: "cpus:" + strconv.FormatFloat(sum.cpus, 'f', -1, 64),
			what: fmt.Sprintf("reserves %g CPUs for its tasks", sum.cpus)})
	}
	if sum.memory > 0 {
		found = append(found, finding{subject: subject, rule: ruleReservations, value: "memory:" + strconv.FormatFloat(sum.memory, 'f', 0, 64),
			what: "reserves " + units.BytesSize(sum.memory) + " of memory for its tasks"})
	}
	return found
}

// usualTextBytes is how long the texts of a service may be before they count.
const usualTextBytes = 64 << 10

// textBytes returns about how many bytes of text a service has: only what a workspace can
// make long.
func textBytes(spec swarm.ServiceSpec) (size int) {
	list := func(texts []string) {
		for _, text := range texts {
			size += len(text)
		}
	}
	pairs := func(labels map[string]string) {
		for key, value := range labels {
			size += len(key) + len(value)
		}
	}
	pairs(spec.Labels)
	if c := spec.TaskTemplate.ContainerSpec; c != nil {
		pairs(c.Labels)
		list(c.Env)
		list(c.Command)
		list(c.Args)
		list(c.Hosts)
		if c.Healthcheck != nil {
			list(c.Healthcheck.Test)
		}
		for _, m := range c.Mounts {
			size += len(m.Source) + len(m.Target)
			if m.VolumeOptions != nil {
				pairs(m.VolumeOptions.Labels)
			}
		}
	}
	if spec.TaskTemplate.Placement != nil {
		list(spec.TaskTemplate.Placement.Constraints)
	}
	return size
}

// finding is one privilege that is asked for.
type finding struct {
	subject  string   // "service kargo-web_app"
	service  string   // as Swarm knows it; "" where it is none
	property []string // of the compose file
	rule     string
	value    string // what is compared with the patterns of the rule
	what     string // "adds the capability SYS_ADMIN"
}

// key identifies a finding among those of its service.
func (f finding) key() string { return f.rule + " " + f.value + " " + f.what }

// examiner finds what a stack asks for, whatever the policy says to it.
type examiner struct {
	in      Input
	around  *surroundings
	stack   *kargo.Stack
	configs liveLabels
	asked   []answered // about the surroundings, so far
}

// ask returns an answer about the workspace as a whole, and notes that it was asked for.
func (e *examiner) ask(about topic, name string) bool {
	q := question{about, name}
	answer := e.around.answer(q)
	e.asked = append(e.asked, answered{q, answer})
	return answer
}

// liveLabels are the labels of the configs and secrets that exist; nil where that is
// not known.
type liveLabels map[kargo.ObjectKey]map[string]string

// stackFindings returns all that a stack asks for.
func (e *examiner) stackFindings() []finding {
	var all []finding
	for _, service := range e.stack.Services {
		all = append(all, e.serviceFindings(service)...)
	}
	for _, made := range e.stack.Networks {
		if !made.External && !made.Shared {
			all = append(all, e.networkFindings(made)...)
		}
	}
	for _, made := range e.stack.Configs {
		if !made.External {
			all = append(all, e.configFindings(made)...)
		}
	}
	return all
}

// configFindings returns what the name and the template of a config or secret ask for.
func (e *examiner) configFindings(made kargo.Config) []finding {
	found := templateFindings(made)
	if !e.hasOwnName(made.Name) {
		found = append(found, finding{subject: made.Key().String(), property: []string{string(made.Kind()) + "s", made.Name}, rule: ruleOwnNames,
			value: made.Name, what: "has a name that others may use, because it does not begin with " + e.stack.Namespace() + "_"})
	}
	return found
}

// hasOwnName reports whether a name is in the namespace of the stack.
func (e *examiner) hasOwnName(name string) bool {
	return strings.HasPrefix(name, e.stack.Namespace()+"_")
}

func (e *examiner) serviceFindings(service kargo.Service) (all []finding) {
	e.service(service, func(rule, value, what string, property ...string) {
		all = append(all, finding{"service " + service.Name, service.Name, property, rule, value, what})
	})
	return all
}

// networkFindings returns what a network asks for. It belongs to a service of the
// stack that uses it, for the place in a message.
func (e *examiner) networkFindings(made kargo.Network) (all []finding) {
	user := ""
	for _, service := range e.stack.Services {
		for _, attached := range service.Spec.TaskTemplate.Networks {
			if attached.Target == made.Name {
				user = cmp.Or(user, service.Name)
			}
		}
	}
	say := func(rule, value, what string, _ ...string) {
		all = append(all, finding{"network " + made.Name, user, []string{"networks", made.Name}, rule, value, what})
	}
	if !e.hasOwnName(made.Name) {
		say(ruleOwnNames, made.Name, "has a name that others may use, because it does not begin with "+e.stack.Namespace()+"_")
	}
	madeNetwork(made, say)
	return all
}

// permits reports whether the policy itself permits what was found.
func (p Policy) permits(f finding) bool {
	return p.setting(f.rule).permits(f.rule, f.value) || p.excepts(f.service, f.rule)
}

// isCatalogues reports whether the catalogue asks for what was found, and may. A
// rule that the operator sets binds the catalogue, too.
func (p Policy) isCatalogues(f finding, origins Origins) bool {
	_, byName := p.settings[f.rule]
	switch {
	case byName, origins == nil, f.service == "", !origins.Default(f.service, f.property...), origins.Excluded(f.service, p.name()):
		return false
	}
	return p.name() == Open || slices.Contains(gentle, f.rule) || origins.Untouched(f.service)
}

// check judges one rendering.
type check struct {
	policy     Policy
	in         Input
	namespaces map[string]bool
	problems   kargo.Problems
}

// placeOfFinding returns the line that asks for a privilege.
func (c *check) placeOfFinding(f finding) kargo.Place {
	if c.in.Origins == nil || f.service == "" {
		return kargo.Place{}
	}
	return c.in.Origins.Place(f.service, f.property...)
}

// report adds the problem that a finding is.
func (c *check) report(f finding, where kargo.Place) {
	setting := c.policy.setting(f.rule)
	problem := kargo.Problem{Where: where, Rule: f.rule}
	if setting.level == warn {
		problem.Warning = true
		problem.Message = fmt.Sprintf("%s %s (a stricter policy refuses it: rule %s)", f.subject, f.what, f.rule)
	} else {
		problem.Message = fmt.Sprintf("%s %s, which rule %s of policy %s does not permit", f.subject, f.what, f.rule, c.policy.name())
		problem.Hint = fmt.Sprintf("an operator permits it by adding %q to that rule: --policy-rule", f.value)
	}
	c.problems = append(c.problems, problem)
}

// findVariable judges what a variable of the environment asks for.
func (c *check) findVariable(f finding, variable string) {
	if c.policy.permits(f) {
		return
	}
	where := kargo.Place{}
	if c.in.Origins != nil {
		where = c.in.Origins.VariablePlace(variable)
	}
	c.report(f, where)
}

// shared judges the names of the shared networks, and what the variables of
// stacks leave to others.
func (c *check) shared() {
	for _, network := range c.in.Shared {
		c.findVariable(finding{
			subject: "the variable " + network.Variable, rule: ruleShared, value: network.Role + ":" + network.Name,
			what: fmt.Sprintf("names the network %s", network.Name),
		}, network.Variable)
	}
	for i := range c.in.Stacks {
		if found := stackName(&c.in.Stacks[i]); !c.policy.permits(found) {
			c.report(found, c.placeOf(c.in.Stacks[i]))
		}
	}
	for _, stack := range c.in.Stacks {
		if stack.Options.Adopt {
			c.findVariable(finding{
				subject: fmt.Sprintf("stack %q", stack.Name), rule: ruleAdoption, value: stack.Name, what: "takes over what has no owner",
			}, kargo.SuffixAdopt.Of(stack.Name))
		}
		for _, pointer := range stack.Options.Ignore {
			c.findVariable(finding{
				subject: fmt.Sprintf("stack %q", stack.Name), rule: ruleIgnored, value: pointer, what: "leaves the field " + pointer + " to others",
			}, kargo.SuffixIgnore.Of(stack.Name))
		}
	}
}

// stackName returns what the name of a stack in Swarm asks for: its services, networks
// and volumes are called after it.
func stackName(stack *kargo.Stack) finding {
	return finding{subject: fmt.Sprintf("stack %q", stack.Name), rule: ruleStackNames, value: stack.Namespace(),
		what: "has the name " + stack.Namespace() + " in Swarm"}
}

// placeOf returns the first line of a stack's services that is known.
func (c *check) placeOf(stack kargo.Stack) kargo.Place {
	if c.in.Origins == nil || len(stack.Services) == 0 {
		return kargo.Place{}
	}
	return c.in.Origins.Place(stack.Services[0].Name)
}

// nodes judges the labels of nodes.
func (c *check) nodes() {
	for _, labels := range c.in.Labels {
		for _, key := range slices.Sorted(maps.Keys(labels.Labels)) {
			c.findVariable(finding{subject: "the variable " + labels.Variable, rule: ruleNodeLabels, value: key, what: "sets the label " + key + " of a node"}, labels.Variable)
		}
	}
}
