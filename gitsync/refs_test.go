package gitsync_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kargo"
	"kargo/gitsync"
)

// names lists a directory, "" if it is empty.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return strings.Join(list, " ")
}

// Every history a branch can have is followed, over HTTP and in place.
func TestFollowRefs(t *testing.T) {
	for _, remote := range []string{"http", "local"} {
		t.Run(remote, func(t *testing.T) {
			o := newOrigin(t)
			address := o.bare
			if remote == "http" {
				address = serve(t, gitHandler(t, o.root))
			}
			follow := func(ref string) *gitsync.Repository {
				return open(t, gitsync.Options{URL: address, Ref: ref})
			}
			expect := func(repository *gitsync.Repository, want string) {
				t.Helper()
				revision, files := sync(t, repository)
				wantText(t, "revision", revision.String(), want)
				listing(t, files)
			}
			short := func(commit string) string { return commit[:12] }

			main := follow("main")
			first := o.head()
			expect(main, "main@"+short(first)+" “first”")

			second := o.commit("second", "deploy/redis.yml", "services: {redis: {}}\n")
			o.push("main")
			expect(main, "main@"+short(second)+" “second”")
			expect(follow(""), "main@"+short(second)+" “second”")
			expect(follow("refs/heads/main"), "refs/heads/main@"+short(second)+" “second”")

			o.git(o.work, "tag", "--annotate", "--message", "the first release", "v1")
			o.git(o.work, "tag", "light", first)
			o.push("v1", "light")
			expect(follow("v1"), "v1@"+short(second)+" “second”")
			expect(follow("refs/tags/v1"), "refs/tags/v1@"+short(second)+" “second”")
			expect(follow("light"), "light@"+short(first)+" “first”")

			o.git(o.work, "reset", "--quiet", "--hard", first)
			o.push("main")
			expect(main, "main@"+short(first)+" “first”")

			third := o.commit("other", ".env", "STACKS=\n")
			o.push("main")
			expect(main, "main@"+short(third)+" “other”")

			o.git(o.work, "checkout", "--quiet", "--orphan", "fresh")
			orphan := o.commit("orphan")
			o.push("fresh:main")
			expect(main, "main@"+short(orphan)+" “orphan”")

			o.push("fresh:side")
			side := follow("side")
			expect(side, "side@"+short(orphan)+" “orphan”")
			o.git(o.work, "push", "--quiet", "origin", ":side")
			_, err := side.Head(deadline(t))
			if err == nil || !strings.Contains(err.Error(), "couldn't find remote ref") || kargo.FaultOf(err) != kargo.Unavailable {
				t.Errorf("deleted branch: error %v", err)
			}
		})
	}
}

// The ref moves between Head and Fetch: what comes is what the remote has now,
// and it says so.
func TestRefMovesBeforeFetch(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	repository := open(t, gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: dir})
	before := head(t, repository)
	after := o.commit("moved", "deploy/redis.yml", "services: {moved: {}}\n")
	o.push("main")
	revision, files, err := repository.Fetch(deadline(t), before)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "commit", revision.Commit, after)
	wantText(t, "files", listing(t, files), ".env: STACKS=redis\ndeploy/redis.yml: services: {moved: {}}\n")
	wantText(t, "on disk", names(t, dir), after)
}

// What was fetched is there after a restart, without the remote, and what a
// killed fetch left is not.
func TestRestartOffline(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	opts := gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: dir}
	fetched, _ := sync(t, open(t, opts))

	stale := filepath.Join(dir, strings.Repeat("a", 40)+".tmp")
	if err := os.MkdirAll(filepath.Join(stale, "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	opts.URL = "http://" + silentPeer(t) + "/gone.git"
	again := open(t, opts)
	wantText(t, "on disk", names(t, dir), fetched.Commit)
	revision, files, err := again.Fetch(deadline(t), fetched.Commit)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "revision", revision.String(), fetched.String())
	wantText(t, "files", listing(t, files), ".env: STACKS=redis\ndeploy/redis.yml: services: {}\n")
}

// A damaged directory is fetched again.
func TestDamagedCommitIsFetchedAgain(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	repository := open(t, gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: dir})
	revision, _ := sync(t, repository)
	if err := os.RemoveAll(filepath.Join(dir, revision.Commit, "objects", "pack")); err != nil {
		t.Fatal(err)
	}
	again, files := sync(t, repository)
	wantText(t, "commit", again.Commit, revision.Commit)
	listing(t, files)
}

func TestKeepAndProtect(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	repository := open(t, gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: dir, Keep: 2})
	var commits []string
	for i := range 5 {
		commits = append(commits, o.commit(fmt.Sprint("commit ", i)))
		o.push("main")
		sync(t, repository)
		if i == 0 {
			repository.Protect(commits[0])
		}
	}
	for i, want := range []bool{true, false, false, true, true} {
		_, err := os.Stat(filepath.Join(dir, commits[i]))
		if (err == nil) != want {
			t.Errorf("commit %d on disk: %v, want %v", i, err == nil, want)
		}
	}
}

func TestRepositoryWithoutCommits(t *testing.T) {
	o := newOrigin(t)
	o.git(o.root, "init", "--quiet", "--bare", filepath.Join(o.root, "team", "empty.git"))
	address := strings.Replace(serve(t, gitHandler(t, o.root)), "workspace", "empty", 1)
	_, err := open(t, gitsync.Options{URL: address}).Head(deadline(t))
	wantError(t, err, kargo.Unavailable, address, "list the refs of ADDRESS: the repository is empty (push a commit)")
}

func TestHeadOfTheRemoteNamesNoBranch(t *testing.T) {
	o := newOrigin(t)
	o.git(o.bare, "symbolic-ref", "HEAD", "refs/heads/trunk")
	address := serve(t, gitHandler(t, o.root))
	_, err := open(t, gitsync.Options{URL: address}).Head(deadline(t))
	wantError(t, err, kargo.Unavailable, address,
		"list the refs of ADDRESS: the remote's HEAD names a branch that does not exist (name the branch to follow)")
}

// In a local work tree the committed state counts.
func TestLocalWorkTree(t *testing.T) {
	o := newOrigin(t)
	if err := os.WriteFile(filepath.Join(o.work, ".env"), []byte("STACKS=uncommitted\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	repository := open(t, gitsync.Options{URL: o.work})
	revision, files := sync(t, repository)
	wantText(t, "revision", revision.String(), "main@"+o.head()[:12]+" “first”")
	wantText(t, "files", listing(t, files), ".env: STACKS=redis\ndeploy/redis.yml: services: {}\n")
	wantText(t, "address", repository.Address(), o.work)
}

func TestLocalDirectoryWithoutRepository(t *testing.T) {
	dir := t.TempDir()
	_, err := open(t, gitsync.Options{URL: dir}).Head(context.Background())
	wantError(t, err, kargo.Unavailable, dir,
		"read ADDRESS: repository does not exist (give the directory that holds .git, or a bare repository)")
}
