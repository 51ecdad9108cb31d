package render

import (
	"cmp"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/types"

	"kargo"
	"kargo/spelling"
)

// jobs are the services of a stack that run once: before the rest of it
// changes, and after the rest is healthy.
type jobs struct{ before, after []string }

// readJobs reads <STACK>_BEFORE and <STACK>_AFTER, and reports what is no job
// of the stack.
func readJobs(s *rendering) jobs {
	var read jobs
	for _, list := range []struct {
		suffix kargo.Suffix
		names  *[]string
	}{{kargo.SuffixBefore, &read.before}, {kargo.SuffixAfter, &read.after}} {
		variable := list.suffix.Of(s.name)
		for _, name := range s.ws.List(variable) {
			if isJob(s, variable, name) {
				*list.names = append(*list.names, name)
			}
		}
	}
	checkJobs(s, read)
	return read
}

// checkJobs refuses jobs that would have to wait for what waits for them.
func checkJobs(s *rendering, read jobs) {
	if len(read.before)+len(read.after) == 0 {
		return
	}
	var names []string
	edges := map[string][]string{}
	for _, service := range s.files.Config.Services {
		names = append(names, service.Name)
		for _, need := range needsOf(s, read, service) {
			edges[service.Name] = append(edges[service.Name], strings.TrimPrefix(need.Service, s.namespace+"_"))
		}
	}
	for _, cycle := range cycles(names, edges) {
		s.report.Fail(s.ws.PlaceOf(kargo.SuffixBefore.Of(s.name)), "a job that comes before the rest cannot depend on it",
			"services wait for each other: %s", strings.Join(append(cycle, cycle[0]), " -> "))
	}
}

// isJob reports whether a service that a variable names is a job of the stack.
// One that is not becomes a problem.
func isJob(s *rendering, variable, name string) bool {
	at := s.ws.PlaceOf(variable)
	var names []string
	for _, service := range s.files.Config.Services {
		names = append(names, service.Name)
		if service.Name != name {
			continue
		}
		if !strings.HasSuffix(service.Deploy.Mode, "-job") {
			s.report.Fail(at, "give it deploy.mode: replicated-job", "%s names %q, which is not a job", variable, name)
			return false
		}
		return true
	}
	s.report.Fail(at, cmp.Or(kargo.ListHint(variable, s.ws.Value(variable)), spelling.DidYouMean(name, names)), "%s names %q, which is not in stack %q", variable, name, s.name)
	return false
}

// needs returns what a service waits for because of the stack's jobs.
func (j jobs) needs(s *rendering, service string) []kargo.Need {
	if slices.Contains(j.before, service) {
		return nil
	}
	var needs []kargo.Need
	for _, job := range j.before {
		needs = append(needs, kargo.Need{Service: s.nameOf(job), Condition: kargo.NeedCompleted})
	}
	if !slices.Contains(j.after, service) {
		return needs
	}
	for _, other := range s.files.Config.Services {
		if !slices.Contains(j.before, other.Name) && !slices.Contains(j.after, other.Name) {
			needs = append(needs, kargo.Need{Service: s.nameOf(other.Name), Condition: kargo.NeedHealthy})
		}
	}
	return needs
}

// needsOf returns what a service waits for: the stack's jobs, and the services
// that it depends on. There was a warning about those that are not in the
// stack.
func needsOf(s *rendering, j jobs, service types.ServiceConfig) []kargo.Need {
	needs := j.needs(s, service.Name)
	for _, other := range slices.Compact(slices.Sorted(slices.Values(service.DependsOn))) {
		_, inStack := slices.BinarySearchFunc(s.files.Config.Services, other, func(s types.ServiceConfig, name string) int { return strings.Compare(s.Name, name) })
		if inStack && !s.unordered[[2]string{service.Name, other}] {
			needs = append(needs, kargo.Need{Service: s.nameOf(other), Condition: s.files.Condition(service.Name, other)})
		}
	}
	return needs
}
