// Package compile turns the files of one revision into what should run. It runs
// the other verbs in order: it merges the files with the catalogue, renders
// them, and checks them against the operator's policy. The result says what
// should run, where each part of it comes from, and what is wrong.
//
// The loop and every command that reads a workspace call [Compiler.Compile], so
// they all get the same result. The package has no effects of its own. Whatever
// has an effect (to open encrypted files, to run hooks, to read the key of the
// instance) is a function that the caller gives. A Compiler may be used by
// several goroutines at once if these functions may.
//
// [Layers] joins the repositories of the user configuration and of the shared
// layers below it. It returns the files that a Compiler reads.
package compile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"kargo"
	"kargo/merge"
	"kargo/permit"
	"kargo/render"
	"kargo/render/swarmcheck"
)

// Compiler turns the files of one revision into what should run.
type Compiler struct {
	// Defaults is the default configuration, Catalogue its version.
	Defaults  fs.FS
	Catalogue string
	// Root is the absolute path of the merged configuration (".kargo").
	Root string
	// Workspace is the value of WORKSPACE.
	Workspace string
	// UserID and GroupID are the values of KARGO_USER_ID and KARGO_GROUP_ID.
	UserID, GroupID int
	// Policy is what the operator permits.
	Policy permit.Policy
	// Secrets opens encrypted files in memory. The context ends when they have been read.
	Secrets func(context.Context, kargo.Files) kargo.Files
	// Named are the stacks that a person named; none means all.
	Named []string
	// Keys returns the keys of the digests that show. It is nil if there is no
	// Swarm; then the stacks show zeros in the place of digests.
	Keys func(context.Context) (kargo.Keys, error)
	// Hooks runs the before hooks of the workspace, where they are allowed.
	Hooks func(context.Context, kargo.Workspace, ...string) (kargo.Workspace, kargo.Problems, error)
	// Shell evaluates environment files that run programs; nil where they may
	// not.
	Shell kargo.Shell
	// renderings are those of the last revision; nil renders everything.
	renderings *render.Cache
	// reviews are what the policy found in these; nil examines everything.
	reviews *permit.Memory
	// keyed are these with the digests that they show; nil keeps none.
	keyed *keyed
}

// KeepRenderings makes the compiler keep how it rendered the last revision, and render
// of the next one only the stacks whose input differs. The result is the same.
func (c *Compiler) KeepRenderings() {
	c.renderings, c.reviews, c.keyed = &render.Cache{}, &permit.Memory{}, &keyed{}
}

// Known says of each stack from what it was rendered.
type Known = render.Known

// Known returns from what the stacks of the last revision were rendered, for a trial
// of the next one in another process.
func (c Compiler) Known() []Known { return c.renderings.Known() }

// Try makes the compiler one for a trial: it leaves out the stacks that another
// process knows, if they would be the same here. The result is not complete.
func (c *Compiler) Try(known []Known) { c.renderings = render.Trial(known) }

// RenderedAnew returns how many stacks the last revision did not take over from the
// one before.
func (c Compiler) RenderedAnew() int { return c.renderings.Anew() }

// Desired is what a revision asks for.
type Desired struct {
	Workspace kargo.Workspace
	Stacks    []kargo.Stack
	// Keys are those of the digests; zero if there are none.
	Keys kargo.Keys
	// Labels are those that nodes should have.
	Labels []kargo.NodeLabels
	// Provenance says where the stacks come from; nil where there are none.
	Provenance *render.Provenance
	// Problems is all that is wrong or odd. Where any is not a warning, the
	// stacks must not be applied.
	Problems kargo.Problems
	// tree is what all this was read from.
	tree kargo.Tree
}

// At returns the same result for another revision whose files have the same
// content. The files stay the earlier ones, because these know what was read of
// them.
func (d Desired) At(revision kargo.Revision) Desired {
	revision.Catalogue = d.Workspace.Revision.Catalogue
	d.Workspace.Revision = revision
	return d
}

// UnchangedIn reports whether everything that this result was read from has the
// same content in another tree. Then that tree need not be compiled.
func (d Desired) UnchangedIn(tree kargo.Tree) bool { return tree.Unchanged(d.tree) }

// Rewrite changes the value of a variable in the file of the user configuration
// that assigns it. It adds the changed file to edits, by path. If edits has the
// file already, Rewrite changes it there.
func (d Desired) Rewrite(edits map[string][]byte, variable, value string) error {
	return merge.Rewrite(d.Workspace, d.tree.User.FS, edits, variable, value)
}

// Compile reads a revision. If stacks are named, only those are rendered, and
// errors in others do not matter. Errors of the workspace are in
// Desired.Problems. The returned error is about something else, such as a key
// service that cannot be reached.
func (c Compiler) Compile(ctx context.Context, tree kargo.Tree, stacks ...string) (Desired, error) {
	desired, err := c.read(ctx, tree, stacks...)
	// A problem may quote what it is about.
	mask := desired.Workspace.Mask(nil)
	for i, problem := range desired.Problems {
		desired.Problems[i].Message, desired.Problems[i].Hint = mask.Text(problem.Message), mask.Text(problem.Hint)
	}
	if err != nil || c.Keys == nil || desired.Problems.Err() != nil {
		return desired, err
	}
	if desired.Keys, err = c.Keys(ctx); err != nil {
		return desired, fmt.Errorf("look at swarm: %w", err)
	}
	desired.Stacks = c.keyed.withKey(desired.Stacks, desired.Provenance, desired.Keys.Objects)
	for i := range desired.Stacks {
		desired.Stacks[i].Key = desired.Keys.Specs
	}
	return desired, nil
}

func (c Compiler) read(ctx context.Context, tree kargo.Tree, stacks ...string) (Desired, error) {
	revision := tree.Revision
	revision.Catalogue = c.Catalogue
	if len(stacks) == 0 {
		stacks = c.Named
	}
	if len(tree.Shared) != len(revision.Layers) {
		// Without its layers the revision would mean something else.
		return Desired{}, errors.New("the files of the revision's shared layers are missing")
	}
	opening, opened := context.WithCancel(ctx)
	defer opened() // what opens files ends
	shared := slices.Clone(tree.Shared)
	for i := range shared {
		shared[i].Files = c.Secrets(opening, shared[i].Files)
	}
	workspace, problems, err := merge.Merge(ctx, merge.Input{
		Defaults: c.Defaults, Shared: shared, User: c.Secrets(opening, tree.User), Revision: revision,
		Root: c.Root, WorkspacePath: c.Workspace, UserID: c.UserID, GroupID: c.GroupID, Shell: c.Shell,
	})
	if err != nil {
		return Desired{}, fmt.Errorf("merge revision %s: %w", revision.Short(), err)
	}
	desired := Desired{Workspace: workspace, Problems: problems.Printable(), tree: tree}
	if len(workspace.StackNames()) == 0 {
		return desired, nil // merge said so; there is nothing to render
	}
	if problems.Err() == nil { // what is wrong already gives a hook nothing to work on
		workspace, problems, err = c.Hooks(ctx, workspace, stacks...)
		if err != nil {
			return Desired{}, fmt.Errorf("run hooks of revision %s: %w", revision.Short(), err)
		}
	}
	desired.Workspace = workspace
	desired.Problems = append(desired.Problems, problems...)

	rendered, provenance, problems := c.renderings.Trace(workspace, stacks...)
	desired.Stacks, desired.Provenance = rendered, provenance
	desired.Problems = append(desired.Problems, problems...)
	desired.Labels, problems = render.NodeLabels(workspace)
	desired.Problems = append(desired.Problems, problems...)
	desired.Problems = append(desired.Problems, c.judge(desired)...).Sort().Printable()
	return desired, nil
}

// judge holds what is desired against the operator's policy, and notes in the
// stacks what it permits.
func (c Compiler) judge(desired Desired) kargo.Problems {
	in := c.judged(desired)
	granted, problems := c.reviews.Review(c.Policy, in)
	for i := range desired.Stacks {
		desired.Stacks[i].Permitted = c.Policy.Digest()
		for j, service := range desired.Stacks[i].Services {
			desired.Stacks[i].Services[j].Granted = granted[service.Name]
		}
	}
	return problems
}

// judged returns what the policy looks at.
func (c Compiler) judged(desired Desired) permit.Input {
	in := permit.Input{
		Stacks: desired.Stacks, Labels: desired.Labels, Root: c.Root,
		Files: maps.Keys(desired.Workspace.Files), Images: desired.Workspace.Images, Satisfies: c.Satisfies,
	}
	if desired.Provenance != nil {
		in.Origins = desired.Provenance
	}
	seen := map[permit.SharedNetwork]bool{}
	add := func(env kargo.Environment) {
		for _, network := range render.SharedNetworks(env) {
			if shared := permit.SharedNetwork(network); !seen[shared] {
				seen[shared] = true
				in.Shared = append(in.Shared, shared)
			}
		}
	}
	add(desired.Workspace.Env)
	for _, directory := range desired.Workspace.Directories {
		add(desired.Workspace.For(directory.Name).Env)
	}
	return in
}

// Satisfies reports whether a node satisfies constraints, as Swarm's scheduler decides
// it.
func (Compiler) Satisfies(node kargo.LiveNode, constraints []string) bool {
	return swarmcheck.Satisfies(node, constraints)
}

// Refuses returns the operator's last word on the changes of a plan, which is made
// of what a revision desires and of what was seen of Swarm: why an instance must not
// send a change.
func (c Compiler) Refuses(instance string, desired Desired, live kargo.Cluster) func(kargo.Stack, kargo.Change) []string {
	judge := sync.OnceValue(func() *permit.Judge { // most plans have no change
		in := c.judged(desired)
		in.Instance = instance
		return permit.NewJudge(c.Policy, in, live)
	})
	return func(stack kargo.Stack, change kargo.Change) []string { return judge().Refuses(stack, change) }
}
