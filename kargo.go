// Package kargo defines the types that all packages share, and their meaning.
// It has no I/O, no clock and no settings.
//
// Kargo keeps a Docker Swarm equal to a git repository. A commit of the user's
// repository is a [Revision]. Its files, laid over the embedded defaults, are a
// [Workspace], the merged configuration. A Workspace is rendered to [Stack]
// values: what should run. Swarm reports a [Cluster]: what does run. The
// comparison of both gives a [Plan]: an ordered list of [Change] values, each
// with its reason, and of [Hold] values. A Hold is a change that is wanted but
// must wait, and says why. A Plan that was carried out leaves a [Deployment] in
// the history.
//
// Values are passed in that order and never back. The packages whose names are
// verbs (merge, render, plan) are pure: they turn one of these values into the
// next. The packages whose names are nouns (gitsync, swarm, history, server, …)
// have effects. No package imports another one on the same level; see
// ARCHITECTURE.md.
//
// # Glossary
//
// One word has one meaning, in code, commands, messages and docs:
//
//   - configuration: files that say what should run. There is the default one (the
//     catalogue), the user one, and the merged one.
//   - environment: the variables that environment files declare.
//   - layer: one source of files of the merged configuration.
//   - origin: the layer that a file or value came from.
//   - place: a line of a file, see [Place].
//   - workspace: the merged configuration of one revision.
//   - revision: one state of all layers, named by its [RevisionID].
//   - stack, service, network, config, secret, node, task: as in Docker. A config
//     is always a Swarm config; the program's own options are settings.
//   - compose file: one file that a stack is read from.
//   - stack variable: a variable <STACK>_X. It sets a field of [StackOptions].
//   - rendering: a stack as it should run.
//   - rollout: the time from sending a rendering until it is good or has failed.
//   - plan, change, hold: see [Plan], [Change], [Hold].
//   - deployment: the record of a plan that was carried out.
//   - drift: a difference that somebody else made.
//   - policy: the operator's rules for what a workspace may ask of Docker.
//   - hook: a workspace's script that runs before or after a deployment.
//   - webhook: a request that a git host sends after a push.
//   - job: a service that runs once.
//   - round: one pass of the controller, from git to the history.
package kargo

import (
	"strings"
	"time"
)

// Revision names one state of the user configuration, and the version of the
// catalogue below it. Two rounds with an equal Revision have equal input.
type Revision struct {
	// Commit is the full hash of the commit, or "dir-" and a digest of the
	// content where the workspace is a plain directory.
	Commit string `json:"commit"`
	// Ref is the branch or tag that was asked for, or the directory.
	Ref string `json:"ref,omitempty"`
	// Author and Subject are the commit's, for people.
	Author  string `json:"author,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Signer is who signed the commit or its tag, with the key's fingerprint,
	// where signatures are verified.
	Signer string `json:"signer,omitempty"`
	// Rewrote is the commit that this one took the place of without coming
	// after it: the branch was pushed by force. It is set where that is known.
	Rewrote string `json:"rewrote,omitempty"`
	// Time is the commit's committer time.
	Time time.Time `json:"time,omitzero"`
	// Catalogue is the version of the default configuration. It is part of
	// the revision because an upgrade of Kargo can change what runs.
	Catalogue string `json:"catalogue,omitempty"`
	// Layers are the shared layers between the defaults and the user
	// configuration, lowest first. Commit and all that goes with it are the
	// user configuration's alone.
	Layers []LayerRevision `json:"layers,omitempty"`
}

// LayerRevision is one state of a shared layer.
type LayerRevision struct {
	Name    string `json:"name"`
	Commit  string `json:"commit"`
	Ref     string `json:"ref,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// RevisionID names the state of every source of a revision: the commit, and
// after it the commits of the shared layers, lowest first:
// "COMMIT+NAME@COMMIT". Without shared layers it is the commit. Two revisions
// are the same where their IDs are equal; their commits alone do not say so.
type RevisionID string

// ID returns the identity of the revision.
func (r Revision) ID() RevisionID {
	id := r.Commit
	for _, layer := range r.Layers {
		id += "+" + layer.Name + "@" + layer.Commit
	}
	return RevisionID(id)
}

// Same reports whether two revisions have the same input: every source and the
// catalogue.
func (r Revision) Same(other Revision) bool {
	return r.ID() == other.ID() && r.Catalogue == other.Catalogue
}

// Short returns the ID as people write it: twelve characters of each hash.
func (r Revision) Short() string { return r.ID().Short() }

// Revision returns a Revision with the commits of the ID, and nothing else.
func (id RevisionID) Revision() Revision {
	parts := strings.Split(string(id), "+")
	revision := Revision{Commit: parts[0]}
	for _, part := range parts[1:] {
		name, commit, _ := strings.Cut(part, "@")
		revision.Layers = append(revision.Layers, LayerRevision{Name: name, Commit: commit})
	}
	return revision
}

// Short returns the ID as people write it: twelve characters of each hash.
func (id RevisionID) Short() string {
	revision := id.Revision()
	text := shortCommit(revision.Commit)
	for _, layer := range revision.Layers {
		text += "+" + layer.Name + "@" + shortCommit(layer.Commit)
	}
	return text
}

func shortCommit(commit string) string {
	if rest, ok := strings.CutPrefix(commit, "dir-"); ok {
		return "dir-" + clip(rest, 8)
	}
	return clip(commit, 12)
}

// String returns the revision in one line: the ref, the commit, the subject,
// and the same of each shared layer.
func (r Revision) String() string {
	text := describe(r.Ref, r.Commit, r.Subject)
	for _, layer := range r.Layers {
		text += " + " + layer.Name + " " + describe(layer.Ref, layer.Commit, layer.Subject)
	}
	return text
}

func describe(ref, commit, subject string) string {
	text := shortCommit(commit)
	if ref != "" {
		text = ref + "@" + text
	}
	if subject != "" {
		text += " “" + shortSubject(subject) + "”"
	}
	return text
}

// longestSubject is how many characters of a subject are shown.
const longestSubject = 72

// shortSubject returns a subject that is not too long; of one that was cut the last
// character is "…".
func shortSubject(subject string) string {
	if short := clip(subject, longestSubject); short != subject {
		return strings.TrimRight(clip(short, longestSubject-1), " ") + "…"
	}
	return subject
}

func clip(text string, length int) string {
	if runes := []rune(text); len(runes) > length {
		return string(runes[:length])
	}
	return text
}

// Environment has every declared variable, after the default and the user
// environment files were read. It never has a variable of the controller's own
// process (workspace contract, section 16, item 30).
type Environment map[string]string

// Lookup returns a variable as os.LookupEnv does, for interpolation.
func (e Environment) Lookup(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

// List splits a variable at blanks, such as STACKS or <STACK>_STACK.
func (e Environment) List(name string) []string { return strings.Fields(e[name]) }

// Layers a file of the merged configuration can come from, beside the shared
// ones, which have names of the operator's choice.
const (
	OriginDefault  = "default"  // the catalogue
	OriginUser     = "user"     // the user configuration
	OriginRendered = "rendered" // made from a template of either
	OriginHook     = "hook"     // made or changed by a hook
)

// File is one file of the merged configuration.
type File struct {
	Data []byte
	// Origin says which layer won: OriginDefault, OriginUser, the name of a
	// shared layer, OriginRendered or OriginHook.
	Origin string
	// Over are the layers whose file of the same path does not count for it,
	// lowest first.
	Over []string
	// Source is the path inside its layer, for messages. It differs from the
	// key in Workspace.Files for rendered templates only.
	Source string
	// Executable files have mode 0755 in a container, all others 0644.
	Executable bool
	// Secret says that Data was encrypted in the repository, wholly or in
	// part, or was made of what was. It must not be written to a disk; see
	// OnDisk.
	Secret bool
	// Opened is how a secret file got its Data; nil if it was plain, as most are.
	Opened *Opened
}

// Workspace is the merged configuration: the files of one Revision, laid over
// the defaults. It is a value; nothing in it refers to a disk.
type Workspace struct {
	Revision Revision
	// Root is the absolute directory that relative paths of stacks resolve
	// against: where the merged configuration is written, ".kargo" included.
	Root string
	Env  Environment
	// Files by slash-separated path below Root: ".env", "deploy/redis.yml", …
	Files map[string]File
	// Lines holds the place of each variable's last assignment, Assignments the
	// places of all of them, in order. A variable that Kargo sets has none.
	Lines       map[string]Place
	Assignments map[string][]Place
	// Reader is the reader the environment needed: "dotenv", "bash", or
	// "bash-process" for files that run programs.
	Reader string
	// Ran are the hooks that ran before the rendering.
	Ran []HookRun
	// Hooked are the compose files of the stacks whose list a hook has changed;
	// see ComposeFiles.
	Hooked map[string][]ComposeFile
	// SecretNames are the variables whose values were encrypted in the
	// repository or come from outside of it; SecretValues are all values that
	// were or do. Both are hidden in every text, whatever KARGO_SECRETS says.
	SecretNames, SecretValues []string
	// External says that some value comes from outside the repository and may
	// change without a commit.
	External bool
	// Images say which variables follow the tags of which images.
	Images []ImageRule
	// Freeze are the times in which nothing may change.
	Freeze []FreezeWindow
	// Directories are the stacks that lie in directories of their own, in order
	// of name.
	Directories []StackDirectory
}

// Mask returns a Mask that hides the secrets of the workspace: the variables
// that KARGO_SECRETS names, a list of patterns that replaces the default ones,
// and everything that was encrypted in the repository. The key is the key of
// the digests that the mask shows.
func (w Workspace) Mask(key []byte) Mask {
	mask := NewMask(key, w.Env, w.Env.List("KARGO_SECRETS")...).WithSecrets(w.Env, w.SecretNames, w.SecretValues)
	for _, directory := range w.Directories {
		mask = mask.With(directory.Env).WithSecrets(directory.Env, directory.SecretNames, nil)
	}
	return mask
}

// Layer returns the name of the layer that a file of the merged configuration
// came from. For a rendered file it is the layer of its template.
func (w Workspace) Layer(name string) string {
	return w.LayerOf(w.Files[name])
}

// LayerOf returns the same for a file of the workspace.
func (w Workspace) LayerOf(file File) string {
	if file.Origin == OriginRendered {
		return w.Files[file.Source].Origin
	}
	return file.Origin
}

// EnvName turns a stack, service or node name into the start of a variable
// name: upper case, every character that no variable name can hold becomes
// "_" (workspace contract, sections 5 and 16, item 18).
func EnvName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, name)
}
