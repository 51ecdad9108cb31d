package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"kargo"
)

// DefaultTimeout is how long one script may take.
const DefaultTimeout = time.Minute

// sourcing runs a hook as the historic tool did, by sourcing it: the status of its
// last command is ignored, `exit` with another status than 0 is not. What the hook
// can see beside the environment are variables of the shell: the service, and the
// list of compose files.
const sourcing = serviceVariable + `=$3 ` + listVariable + `=$4
. "./$1" "$2"
kargo_report
exit 0
`

// Runner runs hooks. It is safe for concurrent use.
type Runner struct {
	// Timeout is how long one script may take; 0 means DefaultTimeout.
	Timeout time.Duration
	// User is the user that scripts run as; nil means the user of this process. Only
	// root can run them as another one.
	User *User

	mu   sync.Mutex
	runs []run // the newest last
}

// run is a workspace as its hooks left it. They run once a revision and not once a
// round, so that their result is the same in each round.
type run struct {
	of        string
	workspace kargo.Workspace
	problems  kargo.Problems
}

// keptRuns is for how many revisions the result is kept: the one in force, the
// next, and two more.
const keptRuns = 4

func (r *Runner) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return DefaultTimeout
}

// Before runs the before hooks of stacks, in their order, or of all stacks in
// STACKS if none is named. It returns the workspace as they left it: with the files
// that they created or changed, the variables that they exported, and their output.
// It runs them once for each revision and selection of stacks, and returns the same
// result afterwards.
//
// A failed hook is a problem of the workspace. A hook that does not end in time, or
// is stopped because ctx has ended, is an Unavailable error: it may have waited for
// something.
func (r *Runner) Before(ctx context.Context, workspace kargo.Workspace, stacks ...string) (kargo.Workspace, kargo.Problems, error) {
	hooks := hooksOf(workspace, before, stacks...)
	if problems := refused(workspace, hooks); len(problems) > 0 || len(hooks) == 0 {
		return workspace, problems, nil
	}
	of := strings.Join(append([]string{string(workspace.Revision.ID()), workspace.Revision.Catalogue, workspace.Root, valuesOf(workspace.Env)}, stacks...), " ")
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, done := range r.runs {
		if done.of == of {
			return done.workspace, done.problems, nil
		}
	}
	next, problems, err := r.before(ctx, workspace, hooks)
	if err != nil {
		return workspace, nil, err
	}
	r.runs = append(r.runs, run{of, next, problems})
	r.runs = r.runs[max(0, len(r.runs)-keptRuns):]
	return next, problems, nil
}

// valuesOf identifies the values of an environment: some may come from outside the
// repository, and change without another revision.
func valuesOf(env kargo.Environment) string {
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(hash, "%s=%s\x00", name, env[name])
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func (r *Runner) before(ctx context.Context, workspace kargo.Workspace, hooks []hook) (next kargo.Workspace, problems kargo.Problems, err error) {
	s, err := newScratch()
	if err != nil {
		return workspace, nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	if err := errors.Join(s.fill(workspace.Files), s.give(r.User)); err != nil {
		return workspace, nil, err
	}
	next = cloned(workspace)
	lists := composeLists{}
	for _, hook := range hooks {
		list := lists.upTo(next, hook)
		result, err := r.runHook(ctx, s, next, hook, list)
		if err != nil {
			return workspace, nil, err
		}
		next.Ran = append(next.Ran, result.HookRun)
		if result.Err != "" {
			problems = append(problems, kargo.Problem{Where: kargo.Place{File: hook.path}, Message: result.Err + inWords(result.Output)})
			return next, problems, nil // the next hook may depend on this one
		}
		take(&next, s, hook, result)
		if result.variables != nil { // nil: it ended with exit 0
			problems = append(problems, lists.change(next, hook, list, s.back(result.list, next.Root))...)
		}
	}
	next.Hooked = lists.of(next)
	files, wrong, err := s.collect(workspace.Files, workspace.Root)
	next.Files = files
	return next, append(problems, wrong...), err
}

// cloned returns a workspace whose environment may be changed.
func cloned(workspace kargo.Workspace) kargo.Workspace {
	workspace.Lines, workspace.Assignments = maps.Clone(workspace.Lines), maps.Clone(workspace.Assignments)
	if workspace.Lines == nil {
		workspace.Lines = map[string]kargo.Place{}
	}
	if workspace.Assignments == nil {
		workspace.Assignments = map[string][]kargo.Place{}
	}
	return workspace
}

// take takes the variables that a hook exported.
func take(next *kargo.Workspace, s *scratch, hook hook, result hookResult) {
	if result.variables == nil {
		return // it ended with exit 0
	}
	for _, name := range []string{serviceVariable, listVariable} { // the shell's, not the workspace's
		delete(result.variables, name)
		if value, declared := result.given[name]; declared {
			result.variables[name] = value
		}
	}
	env, changed := s.exported(next.Env, result.given, result.variables, next.Root)
	next.Env = env
	for _, name := range changed {
		next.Lines[name] = kargo.Place{File: hook.path, Line: 1}
		next.Assignments[name] = append(slices.Clone(next.Assignments[name]), next.Lines[name])
	}
}

func inWords(output string) string {
	if words := lastLines(output, 3); words != "" {
		return ": " + words
	}
	return ""
}

// hookResult is a run with the variables that it started and ended with.
type hookResult struct {
	kargo.HookRun
	given, variables kargo.Environment
	list             string // SERVICES_TO_DEPLOY at its end
}

func (r *Runner) runHook(ctx context.Context, s *scratch, workspace kargo.Workspace, hook hook, list []kargo.ComposeFile) (hookResult, error) {
	given := s.variables(workspace.Env, workspace.Root)
	result, err := child{
		dir: s.tree, program: sourcing, args: []string{hook.path, hook.path, hook.stack, hook.service, listText(list)}, env: given, timeout: r.timeout(), user: r.User,
	}.run(ctx)
	if err != nil {
		return hookResult{}, fmt.Errorf("%s: %w", hook.path, err)
	}
	done := hookResult{HookRun: kargo.HookRun{
		Script: hook.path, Stack: hook.stack, Took: result.took.Round(time.Millisecond), Output: s.back(result.output, workspace.Root),
	}, given: given, variables: result.variables, list: result.list}
	switch {
	case result.ended != "":
		done.Err = "hook " + result.ended
		return done, &kargo.Error{Fault: kargo.Unavailable, Where: kargo.Place{File: hook.path},
			Err: errors.New(done.Err + inWords(done.Output)), Hint: hintLonger}
	case result.code != 0:
		done.Err = fmt.Sprintf("hook ended with exit code %d", result.code)
	}
	return done, nil
}

// After runs the after hooks of one stack, after all of it was submitted. It
// returns the run of each, and an error if one failed. Changes of the scratch copy
// are lost.
func (r *Runner) After(ctx context.Context, workspace kargo.Workspace, stack string) (runs []kargo.HookRun, err error) {
	hooks := hooksOf(workspace, after, stack)
	if len(hooks) == 0 {
		return nil, nil
	}
	s, err := newScratch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	if err := errors.Join(s.fill(workspace.Files), s.give(r.User)); err != nil {
		return nil, err
	}
	var errs []error
	for _, hook := range hooks {
		done, err := r.runHook(ctx, s, workspace, hook, workspace.ComposeFiles(stack))
		if err != nil && done.Script == "" {
			return runs, errors.Join(append(errs, err)...)
		}
		runs = append(runs, done.HookRun)
		if done.Err != "" {
			errs = append(errs, fmt.Errorf("%s: %s%s", hook.path, done.Err, inWords(done.Output)))
		}
	}
	return runs, errors.Join(errs...)
}
