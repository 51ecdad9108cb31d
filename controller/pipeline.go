package controller

import (
	"context"
	"fmt"
	"io/fs"

	"kargo"
	"kargo/merge"
	"kargo/permit"
	"kargo/render"
)

// Pipeline turns the files of one revision into what should run. It is the
// same for the loop and for every command.
type Pipeline struct {
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
	// Secrets opens encrypted files in memory.
	Secrets func(context.Context, fs.FS) fs.FS
	// Named are the stacks that a person named; none means all.
	Named []string
	// Key answers the key of the instance, which names of Swarm secrets depend
	// on; nil where no Swarm is at hand. It is called only if there are any.
	Key func(context.Context) ([]byte, error)
	// DigestKey is the key of the digests of stacks, which show.
	DigestKey []byte
	// Hooks gives the workspace's own scripts their say.
	Hooks func(context.Context, kargo.Workspace, ...string) (kargo.Workspace, kargo.Problems, error)
	// After runs the after hooks of one stack; nil where none may run.
	After func(context.Context, kargo.Workspace, string) ([]kargo.HookRun, error)
	// Shell evaluates environment files that run programs; nil where they may
	// not.
	Shell kargo.Shell
}

// Desired is what a revision asks for.
type Desired struct {
	Workspace kargo.Workspace
	Stacks    []kargo.Stack
	// Labels are those that nodes should have.
	Labels []kargo.NodeLabels
	// Provenance says where the stacks come from; nil where there are none.
	Provenance *render.Provenance
	// Problems is all that is wrong or odd. Where any is not a warning, the
	// stacks must not be applied.
	Problems kargo.Problems
	// files are those that all this was read from.
	files fs.FS
}

// at is the same for another revision, whose files say the same. The files stay
// the earlier ones: they know what was asked of them.
func (d Desired) at(revision kargo.Revision) Desired {
	revision.Catalogue = d.Workspace.Revision.Catalogue
	d.Workspace.Revision = revision
	return d
}

// answersAs tells whether all that was read of earlier files is the same in
// these, where they can tell. Rendering is pure, so it need not be done again.
func answersAs(files, earlier fs.FS) bool {
	if layers, isLayered := files.(layeredFiles); isLayered {
		before, wasLayered := earlier.(layeredFiles)
		same := wasLayered && len(layers.shared) == len(before.shared) && answersAs(layers.FS, before.FS)
		for i := 0; same && i < len(layers.shared); i++ {
			same = layers.shared[i].Name == before.shared[i].Name && answersAs(layers.shared[i].Files, before.shared[i].Files)
		}
		return same
	}
	comparable, ok := files.(interface{ AnswersAs(earlier fs.FS) bool })
	return ok && comparable.AnswersAs(earlier)
}

// Run reads a revision. With stacks named, only those are rendered and need to
// be sound. What is wrong with the workspace is in Desired.Problems; an error
// is a fault of something else. The files are those that a Source answered.
func (p Pipeline) Run(ctx context.Context, revision kargo.Revision, files fs.FS, stacks ...string) (Desired, error) {
	desired, err := p.read(ctx, revision, files, stacks...)
	// A problem may quote what it is about.
	mask := Mask(nil, desired.Workspace).Blanked()
	for i, problem := range desired.Problems {
		desired.Problems[i].Message, desired.Problems[i].Hint = mask.Text(problem.Message), mask.Text(problem.Hint)
	}
	for i := range desired.Stacks {
		desired.Stacks[i].Key = p.DigestKey
	}
	if err != nil || p.Key == nil {
		return desired, err
	}
	return desired.Named(ctx, p.Key)
}

// Named is the same with the names that its Swarm secrets have in Swarm. The
// key is asked for only if there are any.
func (d Desired) Named(ctx context.Context, key func(context.Context) ([]byte, error)) (Desired, error) {
	if !render.HasSecrets(d.Stacks) {
		return d, nil
	}
	secret, err := key(ctx)
	if err != nil {
		return d, fmt.Errorf("name secrets: %w", err)
	}
	d.Stacks = render.NameSecrets(d.Stacks, secret)
	return d, nil
}

func (p Pipeline) read(ctx context.Context, revision kargo.Revision, files fs.FS, stacks ...string) (Desired, error) {
	revision.Catalogue = p.Catalogue
	if len(stacks) == 0 {
		stacks = p.Named
	}
	user, shared, err := layersOf(revision, files)
	if err != nil {
		return Desired{}, err
	}
	for i := range shared {
		shared[i].Files = p.Secrets(ctx, shared[i].Files)
	}
	workspace, problems, err := merge.Merge(ctx, merge.Input{
		Defaults: p.Defaults, Shared: shared, User: p.Secrets(ctx, user), Revision: revision,
		Root: p.Root, WorkspacePath: p.Workspace, UserID: p.UserID, GroupID: p.GroupID, Shell: p.Shell,
	})
	if err != nil {
		return Desired{}, fmt.Errorf("merge revision %s: %w", revision.Short(), err)
	}
	desired := Desired{Workspace: workspace, Problems: problems.Printable(), files: files}
	if len(workspace.Env.List("STACKS")) == 0 {
		return desired, nil // merge said so; there is nothing to render
	}
	if problems.Err() == nil { // what is wrong already gives a hook nothing to work on
		workspace, problems, err = p.Hooks(ctx, workspace, stacks...)
		if err != nil {
			return Desired{}, fmt.Errorf("run hooks of revision %s: %w", revision.Short(), err)
		}
	}
	desired.Workspace = workspace
	desired.Problems = append(desired.Problems, problems...)

	rendered, provenance, problems := render.Trace(workspace, stacks...)
	desired.Stacks, desired.Provenance = rendered, provenance
	desired.Problems = append(desired.Problems, problems...)
	desired.Problems = append(desired.Problems, p.judge(rendered, provenance, workspace)...)
	desired.Labels, problems = render.NodeLabels(workspace)
	desired.Problems = append(desired.Problems, problems...).Sort().Printable()
	return desired, nil
}

// judge holds stacks against the operator's policy.
func (p Pipeline) judge(stacks []kargo.Stack, provenance *render.Provenance, workspace kargo.Workspace) kargo.Problems {
	for i := range stacks {
		stacks[i].Permitted = p.Policy.Digest()
	}
	return permit.Check(p.Policy, permit.Input{
		Stacks: stacks, Origins: provenance, Root: p.Root, SocketNetwork: render.SocketNetwork(workspace.Env),
	})
}
