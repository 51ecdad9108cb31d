package kargo

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"kargo/pattern"
	"kargo/spelling"
)

// Suffix is the end of a variable's name that follows the name of a stack, a
// service or a node.
type Suffix string

// Of returns the variable of one stack, service or node: SuffixNeeds.Of("my-app")
// is "MY_APP_NEEDS".
func (s Suffix) Of(name string) string { return EnvName(name) + string(s) }

// The suffixes, for those who read or name a single variable.
const (
	SuffixStack       Suffix = "_STACK"
	SuffixNeeds       Suffix = "_NEEDS"
	SuffixBefore      Suffix = "_BEFORE"
	SuffixAfter       Suffix = "_AFTER"
	SuffixName        Suffix = "_NAME"
	SuffixAdopt       Suffix = "_ADOPT"
	SuffixOnFailure   Suffix = "_ON_FAILURE"
	SuffixDeadline    Suffix = "_DEADLINE"
	SuffixStable      Suffix = "_STABLE"
	SuffixDrift       Suffix = "_DRIFT"
	SuffixIgnore      Suffix = "_IGNORE"
	SuffixResolve     Suffix = "_RESOLVE"
	SuffixProtect     Suffix = "_PROTECT"
	SuffixRecreate    Suffix = "_RECREATE"
	SuffixExtension   Suffix = "_EXTENSION"
	SuffixConstraints Suffix = "_CONSTRAINTS"
	SuffixBinds       Suffix = "_BINDS"
	SuffixLabels      Suffix = "_LABELS"
)

// StackVariable is a variable that Kargo reads for each stack: <STACK>_NEEDS.
type StackVariable struct {
	Suffix Suffix
	// Key is the variable's key below stacks.NAME in kargo.yml; empty where
	// only the environment can set it.
	Key string
	// Meaning is what the variable does, in Markdown, as docs/workspace.md has
	// it.
	Meaning string
	// Set reads a value, which is not empty, into the options of the stack. The
	// error is an *Error whose message continues "<STACK>_X …". Set is nil
	// where the value is a list of names: package render reads those together
	// with what they name.
	Set func(options *StackOptions, value string) error
}

// StackVariables are all stack variables, in the order of docs/workspace.md. A
// new one is added here; merging (kargo.yml), rendering, the check for
// misspelled names and the test of the docs take it from here.
var StackVariables = []StackVariable{
	{SuffixStack, "", "services of the stack, in the order in which their files are merged", nil},
	{SuffixNeeds, "needs", "stacks that must have settled before this one changes", nil},
	{SuffixBefore, "before", "jobs of the stack that must complete before the rest of it changes", nil},
	{SuffixAfter, "after", "jobs of the stack that run once the rest of it is healthy", nil},
	{SuffixName, "name", "the stack's name in Swarm, in the place of the usual one: `SHOP_NAME=shop` for a stack that exists under this name", func(_ *StackOptions, value string) error {
		return checkSwarmName(value)
	}},
	{SuffixAdopt, "adopt", "`true`: take over a stack that was deployed by other means", func(o *StackOptions, value string) error {
		return setBool(&o.Adopt, value)
	}},
	{SuffixOnFailure, "on-failure", "what happens when a rendering fails: `rollback` (default), `hold` or `continue`", func(o *StackOptions, value string) error {
		return setWord(&o.OnFailure, value, FailureRollback, FailureHold, FailureContinue)
	}},
	{SuffixDeadline, "deadline", "the time that a rendering has to become healthy (default `10m`)", func(o *StackOptions, value string) error {
		return setDuration(&o.Deadline, value)
	}},
	{SuffixStable, "stable", "how long a rendering must then have run before it is good (default `5s`)", func(o *StackOptions, value string) error {
		return setDuration(&o.Stable, value)
	}},
	{SuffixDrift, "drift", "what happens when somebody changes a service by hand: `enforce` (default), `warn` or `off`", func(o *StackOptions, value string) error {
		return setWord(&o.Drift, value, DriftEnforce, DriftWarn, DriftOff)
	}},
	{SuffixIgnore, "ignore", "fields that someone else manages, as JSON pointers: `/Spec/Mode/Replicated/Replicas`", func(o *StackOptions, value string) error {
		return setPointers(&o.Ignore, value)
	}},
	{SuffixResolve, "resolve", "when the registry is asked what an image tag means: `once` for an image that is new to its service (default); `always` with each revision and at each verification, so that a moved tag is rolled out; `never`", func(o *StackOptions, value string) error {
		return setWord(&o.Resolve, value, ResolveOnce, ResolveAlways, ResolveNever)
	}},
	{SuffixProtect, "protect", "`true`: removing the stack waits for approval", func(o *StackOptions, value string) error {
		return setBool(&o.Protect, value)
	}},
	{SuffixRecreate, "recreate", "`true`: what Swarm cannot change in place (a service's mode, a network's options) may be removed and created again", func(o *StackOptions, value string) error {
		return setBool(&o.Recreate, value)
	}},
}

// DefaultStackOptions returns the options of a stack whose variables are not
// set. The deadline is long enough for a large image on a slow line. The time
// to be stable is long enough to notice a crash at the start.
func DefaultStackOptions() StackOptions {
	return StackOptions{
		OnFailure: FailureRollback, Drift: DriftEnforce, Resolve: ResolveOnce,
		Deadline: 10 * time.Minute, Stable: 5 * time.Second,
	}
}

// ServiceVariable is a variable that Kargo reads for each service.
type ServiceVariable struct {
	Suffix Suffix
	// Entry is true where the name in front is an entry of <STACK>_STACK, false
	// where it is a service of a compose file.
	Entry bool
	// Meaning is what the variable does, as docs/workspace.md has it.
	Meaning string
	// Orphan continues "<SERVICE>_X …" in the warning about a variable of a
	// service that does not exist.
	Orphan string
}

// ServiceVariables are all variables of services, in the order of
// docs/workspace.md.
var ServiceVariables = []ServiceVariable{
	{SuffixExtension, true, "an extra compose file for a service", "extends a service that no stack lists"},
	{SuffixConstraints, false, "placement constraints, added to those of the files", "constrains a service that no stack has"},
	{SuffixBinds, false, "`keep`: the service's binds of the merged configuration stay binds", "is about a service that no stack has"},
}

// swarmName is what the name of a stack in Swarm may be: it is the start of the
// names of its services.
var swarmName = pattern.Lazy(`^[a-zA-Z0-9]+([-_]*[a-zA-Z0-9]+)*$`)

// IsSwarmName reports whether a stack can have a name in Swarm.
func IsSwarmName(name string) bool { return swarmName().MatchString(name) }

func checkSwarmName(value string) error {
	if !IsSwarmName(value) {
		return badValue("letters, digits, - and _, as in shop", "is %q, which cannot be the name of a stack in Swarm", value)
	}
	return nil
}

func setBool(into *bool, value string) error {
	if value != "true" && value != "false" {
		return badValue("", "is %q, neither true nor false", value)
	}
	*into = value == "true"
	return nil
}

// setWord accepts one of a few words.
func setWord[W ~string](into *W, value string, words ...W) error {
	if !slices.Contains(words, W(value)) {
		var texts []string
		for _, word := range words {
			texts = append(texts, string(word))
		}
		return badValue(spelling.DidYouMean(value, texts), "is %q, not one of %s", value, strings.Join(texts, ", "))
	}
	*into = W(value)
	return nil
}

func setDuration(into *time.Duration, value string) error {
	duration, err := time.ParseDuration(value)
	if err != nil || duration < 0 {
		return badValue(`write it as "90s" or "10m"`, "is %q, which is not a duration", value)
	}
	*into = duration
	return nil
}

// setPointers accepts JSON pointers (RFC 6901) into a service, between blanks.
func setPointers(into *[]string, value string) error {
	pointers := strings.Fields(value)
	for _, pointer := range pointers {
		if err := checkPointer(pointer); err != nil {
			return err
		}
	}
	*into = pointers
	return nil
}

func badValue(hint, format string, args ...any) error {
	return &Error{Fault: Invalid, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// ListHint helps with a list of names whose names are separated by something else than
// blanks. It is empty where a list has only blanks.
func ListHint(variable, list string) string {
	names := strings.FieldsFunc(list, func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == ';' })
	for i, name := range names {
		names[i] = strings.Trim(name, `[]()"'`)
	}
	if slices.Equal(names, strings.Fields(list)) {
		return ""
	}
	return fmt.Sprintf("separate names by blanks: %s=%q", variable, strings.Join(names, " "))
}

// PlaceOf returns the place of a variable's last assignment; for one that was
// never assigned, the environment file of the user configuration, where it can
// be.
func (w Workspace) PlaceOf(variable string) Place {
	if where, assigned := w.Lines[variable]; assigned {
		return where
	}
	return Place{File: FileEnv}
}

// IsDefault reports whether the catalogue made a variable's last assignment.
func (w Workspace) IsDefault(variable string) bool { return w.Lines[variable].File == FileEnvDefault }
