package permit

import (
	"iter"
	"slices"
	"sync"

	"kargo"
)

// Memory keeps what was found in the stacks of one workspace. In another workspace,
// [Memory.Review] examines only those that were rendered anew, or that asked about
// something which differs there. Its result is the same as that of [Review].
//
// The zero value is empty. Several goroutines may use a Memory, one after another.
type Memory struct {
	mutex  sync.Mutex
	policy string // its digest
	root   string
	shared []SharedNetwork
	stacks map[string]*examined // by their names in Swarm
}

// examined is what was found in one stack. It depends on nothing but the stack, the
// answers, and what a Memory holds once for all stacks.
type examined struct {
	rendering any // identifies the stack; nil if nothing does
	refused   []finding
	asked     []answered
	routes    []string // the services that it has in Traefik
	amounts   amounts
}

// Review does the same as the function Review, and keeps what was found. A nil Memory
// keeps nothing.
func (m *Memory) Review(policy Policy, in Input) (granted map[string][]string, problems kargo.Problems) {
	if m != nil {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		m.forget(policy, in)
	}
	all := make([]*examined, len(in.Stacks))
	around := surroundingsOf(in, func(stack int) []string { return all[stack].routes })
	anew := make([]bool, len(in.Stacks))
	for i := range in.Stacks {
		all[i] = m.has(in, &in.Stacks[i])
		if anew[i] = all[i] == nil; anew[i] {
			all[i] = begin(in, &in.Stacks[i])
		}
	}
	for i := range in.Stacks { // the routes of all stacks are known now
		if anew[i] || around.differs(all[i].asked) {
			e := &examiner{in: in, stack: &in.Stacks[i], around: around}
			all[i] = all[i].examine(policy, e)
		}
	}
	m.keep(in, all)
	return review(policy, in, all)
}

// forget drops what was found for another policy or root, or beside other networks.
func (m *Memory) forget(policy Policy, in Input) {
	digest := policy.Digest()
	if m.policy != digest || m.root != in.Root || !slices.Equal(m.shared, in.Shared) {
		m.policy, m.root, m.shared, m.stacks = digest, in.Root, in.Shared, nil
	}
}

// has returns what was found in a stack that was rendered in the same way; nil if nothing
// is known of it.
func (m *Memory) has(in Input, stack *kargo.Stack) *examined {
	if m == nil || in.Origins == nil {
		return nil
	}
	before := m.stacks[stack.Namespace()]
	if before == nil || before.rendering == nil || before.rendering != in.Origins.Rendering(*stack) {
		return nil
	}
	return before
}

func (m *Memory) keep(in Input, all []*examined) {
	if m == nil {
		return
	}
	m.stacks = make(map[string]*examined, len(all))
	for i, found := range all {
		m.stacks[in.Stacks[i].Namespace()] = found
	}
}

// begin returns what one stack alone tells.
func begin(in Input, stack *kargo.Stack) *examined {
	x := &examined{routes: routesOf(stack), amounts: amountsOf(stack)}
	if in.Origins != nil {
		x.rendering = in.Origins.Rendering(*stack)
	}
	return x
}

// examine returns the same with what the stack asks for and the policy itself does not
// permit.
func (x *examined) examine(policy Policy, e *examiner) *examined {
	found := *x
	found.refused = nil
	for _, f := range e.stackFindings() { // few are refused, and all are many
		if !policy.permits(f) {
			found.refused = append(found.refused, f)
		}
	}
	found.asked = e.asked
	return &found
}

// topic is what a question about the workspace as a whole is about.
type topic int

const (
	asksForFile    topic = iota // of the merged configuration, or a folder that has some
	asksForRoute                // a service that the workspace has in Traefik
	asksForService              // a service of the workspace, by its name in Swarm
)

// question is what is asked about the workspace as a whole while one stack is examined.
type question struct {
	about topic
	name  string
}

// answered is a question with its answer.
type answered struct {
	question
	answer bool
}

// surroundings answer questions about the workspace as a whole. Most stacks ask none, so
// what the answers need is made when the first question comes.
type surroundings struct {
	files, routed, services func() map[string]bool
}

// surroundingsOf returns what answers about a workspace. The function returns the services
// that a stack has in Traefik.
func surroundingsOf(in Input, routes func(stack int) []string) *surroundings {
	return &surroundings{
		files:    sync.OnceValue(func() map[string]bool { return withFolders(in.Files) }),
		routed:   sync.OnceValue(func() map[string]bool { return routeNames(len(in.Stacks), routes) }),
		services: sync.OnceValue(func() map[string]bool { return serviceNames(in.Stacks) }),
	}
}

func (s *surroundings) answer(q question) bool {
	switch q.about {
	case asksForFile:
		return s.files()[q.name]
	case asksForRoute:
		return s.routed()[q.name]
	case asksForService:
		return s.services()[q.name]
	}
	return false
}

// differs reports whether an answer is another one here.
func (s *surroundings) differs(asked []answered) bool {
	return slices.ContainsFunc(asked, func(a answered) bool { return s.answer(a.question) != a.answer })
}

// withFolders returns the paths of files and of the folders above them.
func withFolders(files iter.Seq[string]) map[string]bool {
	all := map[string]bool{}
	if files == nil {
		return all
	}
	for name := range files {
		for at := len(name); at > 0 && !all[name[:at]]; at = lastSlash(name[:at]) {
			all[name[:at]] = true
		}
	}
	return all
}

func lastSlash(name string) int {
	for i := len(name) - 1; i > 0; i-- {
		if name[i] == '/' {
			return i
		}
	}
	return 0
}

func routeNames(stacks int, routes func(stack int) []string) map[string]bool {
	all := map[string]bool{}
	for i := range stacks {
		for _, name := range routes(i) {
			all[name] = true
		}
	}
	return all
}

func serviceNames(stacks []kargo.Stack) map[string]bool {
	all := map[string]bool{}
	for _, stack := range stacks {
		for _, service := range stack.Services {
			all[service.Name] = true
		}
	}
	return all
}
