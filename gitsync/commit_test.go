package gitsync_test

import (
	"net/http"
	"strings"
	"testing"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/signature"
	"kargo/gitsync/wire"
)

// raise returns the edit of one file.
func raise(base, name, content string) kargo.Edit {
	return kargo.Edit{Base: base, Files: map[string][]byte{name: []byte(content)},
		Message: "Raise REDIS_TAG from 7.0 to 7.2\n\nBecause it is newer.\n"}
}

// writable returns an origin with several commits to which one can push.
func writable(t *testing.T) *origin {
	o := newOrigin(t)
	o.git(o.bare, "config", "http.receivepack", "true")
	o.commit("second", "env/more.env", "A=1\n", "env/script.sh", "exit\n", "README", "read me\n")
	o.git(o.work, "update-index", "--chmod=+x", "env/script.sh")
	o.git(o.work, "commit", "--quiet", "--amend", "--no-edit")
	o.push("main")
	return o
}

// wantRaised checks that main has a commit that changes one line, and that git
// finds it sound.
func (o *origin) wantRaised(commit, base, files string) {
	o.t.Helper()
	wantText(o.t, "branch", o.git(o.bare, "rev-parse", "main"), commit)
	wantText(o.t, "parent", o.git(o.bare, "rev-parse", commit+"^"), base)
	wantText(o.t, "commit", o.git(o.bare, "log", "-1", "--format=%an <%ae>, %cn <%ce>: %B", commit),
		"Kargo <kargo@example.org>, Kargo <kargo@example.org>: Raise REDIS_TAG from 7.0 to 7.2\n\nBecause it is newer.")
	wantText(o.t, "files", o.git(o.bare, "diff", "--stat", "--format=", base, commit), files)
	o.git(o.bare, "fsck", "--strict")
}

func TestCommitOverHTTP(t *testing.T) {
	o := writable(t)
	repository := open(t, gitsync.Options{
		URL: serve(t, private(gitHandler(t, o.root))), Access: wire.Access{Username: account, Password: secret(password)}, AuthorName: "Kargo", AuthorEmail: "kargo@example.org",
	})
	base, _ := sync(t, repository)
	commit, branch, err := repository.Commit(deadline(t), raise(base.Commit, ".env", "STACKS=web\n"))
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "branch", branch, "main")
	o.wantRaised(commit, base.Commit, ".env | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)")

	// Its own commit can be read, and be the base of the next.
	next, files := sync(t, repository)
	wantText(t, "revision", next.String(), "main@"+commit[:12]+" “Raise REDIS_TAG from 7.0 to 7.2”")
	wantText(t, "files", listing(t, files), ".env: STACKS=web\nREADME: read me\ndeploy/redis.yml: services: {}\nenv/more.env: A=1\nenv/script.sh: exit\n")
	again, _, err := repository.Commit(deadline(t), raise(next.Commit, "env/more.env", "A=2\n"))
	if err != nil {
		t.Fatal(err)
	}
	o.wantRaised(again, commit, "env/more.env | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)")
}

func TestCommitOverSSH(t *testing.T) {
	o := writable(t)
	client, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	server := newSSHServer(t, o.root, client.PublicKey(), host)
	repository := open(t, gitsync.Options{
		URL: server.url(), Ref: "main", Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content(server.knownHosts(host.PublicKey()))}, AuthorName: "Kargo", AuthorEmail: "kargo@example.org",
	})
	base, _ := sync(t, repository)
	commit, _, err := repository.Commit(deadline(t), raise(base.Commit, "env/script.sh", "exit 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	o.wantRaised(commit, base.Commit, "env/script.sh | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)")
	wantText(t, "mode", o.git(o.bare, "ls-tree", "--format=%(objectmode)", commit, "env/script.sh"), "100755")
}

// A commit is based on the kept history.
func TestCommitWithHistory(t *testing.T) {
	o := writable(t)
	repository := open(t, gitsync.Options{URL: serve(t, gitHandler(t, o.root)), History: true, AuthorName: "Kargo", AuthorEmail: "kargo@example.org"})
	base, _ := sync(t, repository)
	commit, _, err := repository.Commit(deadline(t), raise(base.Commit, ".env", "STACKS=web\n"))
	if err != nil {
		t.Fatal(err)
	}
	o.wantRaised(commit, base.Commit, ".env | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)")
}

func TestCommitToALocalRepository(t *testing.T) {
	o := writable(t)
	repository := open(t, gitsync.Options{URL: o.bare, Path: "env", AuthorName: "Kargo", AuthorEmail: "kargo@example.org"})
	base, _ := sync(t, repository)
	commit, _, err := repository.Commit(deadline(t), raise(base.Commit, "more.env", "A=2\n"))
	if err != nil {
		t.Fatal(err)
	}
	o.wantRaised(commit, base.Commit, "env/more.env | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)")
	if _, _, err := repository.Commit(deadline(t), raise(base.Commit, "more.env", "A=3\n")); kargo.FaultOf(err) != kargo.Conflict {
		t.Errorf("written upon a commit that is no longer the newest: %v", err)
	}

	_, _, err = open(t, gitsync.Options{URL: o.work}).Commit(deadline(t), raise(o.head(), ".env", "A=2\n"))
	wantError(t, err, kargo.Invalid, o.work, "repository: the branch is checked out in the repository's own directory (follow a bare repository)")
}

// If somebody else has pushed, nothing of theirs is lost and nothing is forced.
func TestCommitNeverOverwrites(t *testing.T) {
	o := writable(t)
	address := serve(t, gitHandler(t, o.root))
	repository := open(t, gitsync.Options{URL: address})
	base, _ := sync(t, repository)
	theirs := o.commit("third", "README", "theirs\n")
	o.push("main")
	_, _, err := repository.Commit(deadline(t), raise(base.Commit, ".env", "STACKS=web\n"))
	wantError(t, err, kargo.Conflict, address, "write to ADDRESS: the branch has moved on")
	wantText(t, "branch", o.git(o.bare, "rev-parse", "main"), theirs)

	// The same is true between listing the refs and pushing.
	next, _ := sync(t, repository)
	late := ""
	racing := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "git-receive-pack") {
			late = o.commit("fourth", "README", "faster\n")
			o.push("main")
		}
		gitHandler(t, o.root).ServeHTTP(w, r)
	}))
	other := open(t, gitsync.Options{URL: racing})
	sync(t, other)
	_, _, err = other.Commit(deadline(t), raise(next.Commit, ".env", "STACKS=web\n"))
	wantError(t, err, kargo.Conflict, racing, "write to ADDRESS: the branch has moved on")
	wantText(t, "branch", o.git(o.bare, "rev-parse", "main"), late)
}

func TestCommitIsRefused(t *testing.T) {
	o := writable(t)
	o.git(o.work, "tag", "v1.0.0")
	o.push("v1.0.0")
	address := serve(t, gitHandler(t, o.root))
	readOnly := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.String(), "git-receive-pack") {
			http.Error(w, "read only", http.StatusForbidden)
			return
		}
		gitHandler(t, o.root).ServeHTTP(w, r)
	}))
	const onlyBranches = "repository: only a branch can be written to (set --ref to a branch)"
	for _, c := range []struct {
		name  string
		opts  gitsync.Options
		file  string
		fault kargo.Fault
		want  string
	}{
		{"a tag", gitsync.Options{URL: address, Ref: "v1.0.0"}, ".env", kargo.Invalid, onlyBranches},
		{"a full tag", gitsync.Options{URL: address, Ref: "refs/tags/v1.0.0"}, ".env", kargo.Invalid, onlyBranches},
		{"a range", gitsync.Options{URL: address, Ref: "semver:1.x"}, ".env", kargo.Invalid, onlyBranches},
		{"a commit", gitsync.Options{URL: address, Ref: o.head()}, ".env", kargo.Invalid, onlyBranches},
		{"a read-only account", gitsync.Options{URL: readOnly}, ".env", kargo.Unavailable,
			"write to ADDRESS: the server does not allow this account to write (give credentials that may push to the branch)"},
		{"a file that is not there", gitsync.Options{URL: address}, "env/other.env", kargo.Unavailable, "write to ADDRESS: the commit has no env/other.env to change"},
		{"a directory", gitsync.Options{URL: address}, "env", kargo.Unavailable, "write to ADDRESS: env is not a plain file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			repository := open(t, c.opts)
			base, _ := sync(t, repository)
			_, _, err := repository.Commit(deadline(t), raise(base.Commit, c.file, "STACKS=web\n"))
			wantError(t, err, c.fault, c.opts.URL, c.want)
		})
	}
	signed := open(t, gitsync.Options{URL: address, Signatures: signature.Rules{Required: signature.Commit, SSHSigners: content(nil)}})
	_, _, err := signed.Commit(deadline(t), raise(o.head(), ".env", "STACKS=web\n"))
	wantError(t, err, kargo.Invalid, address, "repository: Kargo's own commit would not be signed, and signatures are verified "+
		"(set the newer tag by hand, or do not use --verify-signatures)")
	wantText(t, "branch", o.git(o.bare, "rev-parse", "main"), o.head())
}

// A branch that a git hook protects stays as it is, and the error has the server's
// words.
func TestCommitToAProtectedBranch(t *testing.T) {
	o := writable(t)
	o.hook("update", "exit 1")
	address := serve(t, gitHandler(t, o.root))
	repository := open(t, gitsync.Options{URL: address})
	base, _ := sync(t, repository)
	_, _, err := repository.Commit(deadline(t), raise(base.Commit, ".env", "STACKS=web\n"))
	wantError(t, err, kargo.Unavailable, address, "write to ADDRESS: the server refuses the push: hook declined (is the branch protected?)")
}
