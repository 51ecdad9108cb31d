// Package permit says what of a rendering the operator does not permit: stacks
// and a policy in, kargo.Problems out.
//
// It is pure, and it looks at what would be sent to Swarm, not at compose files:
// whatever way a privilege found into a service's spec, it is in one of the
// fields that are looked at here. So a creation, an update and a rollback are
// judged alike. Origins tell in whose file the property is, for the message, and
// whether the workspace had a say in it at all: the services of the catalogue
// keep the privileges that the catalogue gives them.
package permit

import (
	"fmt"

	"kargo"
)

// Origins tell where the properties of services come from. A service is named
// as Swarm knows it; a property is a path below it in its compose file, such as
// "cap_add", "SYS_ADMIN".
type Origins interface {
	// Place is the line that has the last word on a property, or the nearest.
	Place(service string, property ...string) kargo.Place
	// Default tells that a property is the catalogue's, and that the workspace
	// has no hand in what the service does with it.
	Default(service string, property ...string) bool
}

// Input is what is judged.
type Input struct {
	Stacks []kargo.Stack
	// Origins may be nil: then problems have no place, and nothing is exempt.
	Origins Origins
	// Root is where the merged configuration lies. Its files are the
	// workspace's own, and Kargo alone writes them.
	Root string
	// SocketNetwork is the shared network on which Docker's API is reached.
	SocketNetwork string
}

// Check answers what the policy does not permit, in order of place. What it
// only warns of is a warning.
func Check(policy Policy, in Input) kargo.Problems {
	j := &judge{policy: policy, in: in}
	j.names()
	for i := range in.Stacks {
		j.stack = &in.Stacks[i]
		for _, service := range j.stack.Services {
			j.service(service)
		}
	}
	return j.problems.Sort()
}

// judge is the work on one rendering.
type judge struct {
	policy   Policy
	in       Input
	stack    *kargo.Stack
	problems kargo.Problems
}

// finding is one privilege of one service.
type finding struct {
	service  string   // as Swarm knows it
	property []string // of the compose file
	rule     string
	value    string // what the rule's patterns are held against
	what     string // "adds the capability SYS_ADMIN"
}

// find judges one privilege.
func (j *judge) find(f finding) {
	setting := j.policy.setting(f.rule)
	if setting.permits(f.rule, f.value) || j.policy.excepts(f.service, f.rule) {
		return
	}
	if j.in.Origins != nil && j.in.Origins.Default(f.service, f.property...) {
		return
	}
	problem := kargo.Problem{}
	if j.in.Origins != nil {
		problem.Where = j.in.Origins.Place(f.service, f.property...)
	}
	if setting.level == warn {
		problem.Warning = true
		problem.Message = fmt.Sprintf("service %s %s (a stricter policy refuses it: rule %s)", f.service, f.what, f.rule)
	} else {
		problem.Message = fmt.Sprintf("service %s %s, which rule %s of policy %s does not permit", f.service, f.what, f.rule, j.policy.name())
		problem.Hint = fmt.Sprintf("an operator permits it by adding %q to that rule: --policy-rule", f.value)
	}
	j.problems = append(j.problems, problem)
}
