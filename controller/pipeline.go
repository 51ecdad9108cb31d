package controller

import (
	"fmt"
	"io/fs"

	"kargo"
	"kargo/merge"
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
	// Secrets opens encrypted files in memory.
	Secrets func(fs.FS) fs.FS
	// Hooks gives the workspace's own scripts their say.
	Hooks func(kargo.Workspace, ...string) (kargo.Workspace, kargo.Problems)
}

// Desired is what a revision asks for.
type Desired struct {
	Workspace kargo.Workspace
	Stacks    []kargo.Stack
	// Labels are those that nodes should have.
	Labels []kargo.NodeLabels
	// Problems is all that is wrong or odd. Where any is not a warning, the
	// stacks must not be applied.
	Problems kargo.Problems
}

// Run reads a revision. With stacks named, only those are rendered and need to
// be sound. What is wrong with the workspace is in Desired.Problems; an error
// is a fault of something else. The files are those that a Source answered.
func (p Pipeline) Run(revision kargo.Revision, files fs.FS, stacks ...string) (Desired, error) {
	revision.Catalogue = p.Catalogue
	user, shared, err := layersOf(revision, files)
	if err != nil {
		return Desired{}, err
	}
	for i := range shared {
		shared[i].Files = p.Secrets(shared[i].Files)
	}
	workspace, problems, err := merge.Merge(merge.Input{
		Defaults: p.Defaults, Shared: shared, User: p.Secrets(user), Revision: revision,
		Root: p.Root, WorkspacePath: p.Workspace, UserID: p.UserID, GroupID: p.GroupID,
	})
	if err != nil {
		return Desired{}, fmt.Errorf("merge revision %s: %w", revision.Short(), err)
	}
	desired := Desired{Workspace: workspace, Problems: problems}
	if len(workspace.Env.List("STACKS")) == 0 {
		return desired, nil // merge said so; there is nothing to render
	}
	workspace, problems = p.Hooks(workspace, stacks...)
	desired.Workspace = workspace
	desired.Problems = append(desired.Problems, problems...)

	rendered, problems := render.Render(workspace, stacks...)
	desired.Stacks = rendered
	desired.Problems = append(desired.Problems, problems...)
	desired.Labels, problems = render.NodeLabels(workspace)
	desired.Problems = append(desired.Problems, problems...).Sort()
	return desired, nil
}
