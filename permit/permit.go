// Package permit finds what the operator does not permit in a rendering: stacks
// and a policy in, kargo.Problems out.
//
// [Check] judges what would be sent to Swarm, not compose files: however a
// privilege came into a service's spec, it is in one of the fields that are
// judged here. So a creation, an update and a rollback are judged alike. A
// [Policy] starts as one of three ([New]) and may have rules on top ([Policy.Set]) and
// exceptions for single services ([Policy.Except]). [Origins] say in which file
// a property is, for the message, and whether the workspace set it at all: the
// services of the catalogue keep the privileges that the catalogue gives them.
//
// The package is pure, and a Policy is a value: several may use one at once.
package permit

import (
	"fmt"

	"kargo"
)

// Origins know where the properties of services come from. A service has its
// name in Swarm; a property is a path below it in its compose file, such as
// "cap_add", "SYS_ADMIN".
type Origins interface {
	// Place returns the line that sets a property, or the nearest one.
	Place(service string, property ...string) kargo.Place
	// Default reports whether a property is the catalogue's, and the program
	// that uses it is, too.
	Default(service string, property ...string) bool
}

// Input is what is judged.
type Input struct {
	Stacks []kargo.Stack
	// Origins may be nil: then problems have no place, and nothing is exempt.
	Origins Origins
	// Root is the absolute path of the merged configuration. A workspace may
	// bind its files, which only Kargo writes.
	Root string
	// Directories are the stack directories below Root, which belong to the
	// merged configuration as kargo.LayerFolders do.
	Directories []kargo.StackDirectory
	// SocketNetwork is the shared network on which Docker's API is reached.
	SocketNetwork string
}

// Check returns what the policy does not permit, in order of place. What the
// policy only warns of is a warning.
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

// judge judges one rendering.
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
	value    string // what is compared with the patterns of the rule
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
