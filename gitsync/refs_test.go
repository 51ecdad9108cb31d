package gitsync_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kargo"
	"kargo/gitsync"
)

// names returns the names in a directory.
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

// A branch is followed whatever happens to its history, over HTTP and in a local
// repository.
func TestFollowRefs(t *testing.T) {
	t.Parallel()
	for _, remote := range []string{"http", "http with history", "local"} {
		t.Run(remote, func(t *testing.T) {
			o := newOrigin(t)
			address := o.bare
			if remote != "local" {
				address = serve(t, gitHandler(t, o.root))
			}
			follow := func(ref string) *gitsync.Repository {
				return open(t, gitsync.Options{URL: address, Ref: ref, History: remote == "http with history"})
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
			if err == nil || !strings.Contains(kargo.Explain(err), "the remote has no ref") || kargo.FaultOf(err) != kargo.Unavailable {
				t.Errorf("deleted branch: error %v", err)
			}
		})
	}
}

// If the ref moves between Head and Fetch, the revision is the newer commit and
// says so.
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
	wantText(t, "files", listing(t, files.FS), ".env: STACKS=redis\ndeploy/redis.yml: services: {moved: {}}\n")
	wantText(t, "on disk", names(t, dir), after)
}

// A fetched commit can be read after a restart without the remote. The remains of
// an interrupted fetch are gone.
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
	wantText(t, "files", listing(t, files.FS), ".env: STACKS=redis\ndeploy/redis.yml: services: {}\n")
}

// A revision is read in a child before the controller reads it: what the child has
// fetched is not fetched again.
func TestWhatAChildFetchedIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	var packs atomic.Int32
	handler := gitHandler(t, o.root)
	opts := gitsync.Options{Dir: t.TempDir(), URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			packs.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))}
	controller := open(t, opts)
	for range 2 {
		commit := head(t, controller)
		if _, _, err := open(t, opts).Fetch(deadline(t), commit); err != nil {
			t.Fatal(err)
		}
		if _, _, err := controller.Fetch(deadline(t), commit); err != nil {
			t.Fatal(err)
		}
		o.commit("next", "deploy/redis.yml", "services: {redis: {}}\n")
		o.push("main")
	}
	if got := packs.Load(); got != 2 {
		t.Errorf("%d requests for a pack, want one for each of 2 commits", got)
	}
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

// Whatever becomes of the directory of commits, they are fetched again.
func TestDamagedDirectoryOfCommits(t *testing.T) {
	truncate := func(t *testing.T, dir, pattern string) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %s in %s: %v", pattern, dir, err)
		}
		for _, file := range files {
			if err := os.Chmod(file, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(file, 10); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, whole := range []bool{false, true} {
		for _, test := range []struct {
			about  string
			damage func(t *testing.T, dir string)
		}{
			{"removed", func(t *testing.T, dir string) {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}},
			{"a file", func(t *testing.T, dir string) {
				if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
					t.Fatal(err)
				}
			}},
			{"packs cut", func(t *testing.T, dir string) { truncate(t, dir, "*/objects/pack/*.pack") }},
			{"indexes cut", func(t *testing.T, dir string) { truncate(t, dir, "*/objects/pack/*.idx") }},
			{"configuration cut", func(t *testing.T, dir string) { truncate(t, dir, "*/config") }},
		} {
			t.Run(fmt.Sprintf("%s, with history %t", test.about, whole), func(t *testing.T) {
				o := newOrigin(t)
				dir := filepath.Join(t.TempDir(), "git")
				repository := open(t, gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: dir, History: whole})
				revision, _ := sync(t, repository)
				test.damage(t, dir)
				again, files := sync(t, repository)
				wantText(t, "commit", again.Commit, revision.Commit)
				listing(t, files)
				o.commit("next", ".env", "STACKS=web\n")
				o.push("main")
				next, files := sync(t, repository)
				wantText(t, "next", next.Commit, o.head())
				listing(t, files)
			})
		}
	}
}

func TestKeepAndProtect(t *testing.T) {
	t.Parallel()
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

// In a local work tree, only commits count.
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

// A range of versions is followed to its highest tag.
func TestFollowVersions(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.head()
	for _, tag := range []string{"v1.0.0", "v1.10.0", "v1.9.0", "2.0.0-rc.1", "v1.2", "v3", "nightly", "1.4.0"} {
		o.commit(tag)
		o.git(o.work, "tag", "--annotate", "--message", "a release", tag)
	}
	o.git(o.work, "tag", "v1.0.1", first) // the version decides, not the time
	o.push("main", "--tags")
	for _, address := range []string{o.bare, serve(t, gitHandler(t, o.root))} {
		for versions, want := range map[string]string{
			">=1.2 <2": "v1.10.0", "~1.0": "v1.0.1", "1.x": "v1.10.0", "^1.4, !=1.10.0": "v1.9.0",
			"=1.4.0": "1.4.0", "*": "v1.10.0", ">=1.5.0-0": "2.0.0-rc.1",
		} {
			revision, _ := sync(t, open(t, gitsync.Options{URL: address, Ref: "semver:" + versions}))
			commit := o.git(o.work, "rev-parse", want+"^{commit}")
			wantText(t, versions, revision.Ref+"@"+revision.Commit, want+"@"+commit)
		}
		_, err := open(t, gitsync.Options{URL: address, Ref: "semver:>=3"}).Head(deadline(t))
		verb := "list the refs of"
		if address == o.bare {
			verb = "read"
		}
		wantError(t, err, kargo.Unavailable, address, verb+" ADDRESS: no tag is a version of the range \">=3\" "+
			"(only tags such as v1.2.3 and 1.2.3 are versions)")
	}
	follower := open(t, gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Ref: "semver:1.x"})
	sync(t, follower)
	o.commit("next")
	o.git(o.work, "tag", "v1.11.0")
	o.push("v1.11.0")
	revision, _ := sync(t, follower)
	wantText(t, "after the next release", revision.String(), "v1.11.0@"+o.head()[:12]+" “next”")
}

// With history, a fetch downloads only what is new. Fetched commits can be read
// after a restart without the remote.
func TestHistoryGrowsByWhatIsNew(t *testing.T) {
	o := newOrigin(t)
	var much []string
	for i := range 200 {
		much = append(much, fmt.Sprint("docs/", i), fmt.Sprint("page ", i))
	}
	o.commit("much", much...)
	o.push("main")
	var sent atomic.Int64
	handler := gitHandler(t, o.root)
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(countedWriter{w, &sent}, r)
	}))
	opts := gitsync.Options{URL: address, Dir: t.TempDir(), History: true}
	repository := open(t, opts)
	first, _ := sync(t, repository)
	sent.Store(0)
	o.commit("little", ".env", "STACKS=web\n")
	o.push("main")
	revision, files := sync(t, repository)
	if got := sent.Load(); got > 2000 {
		t.Errorf("%d bytes came for a small change", got)
	}
	wantText(t, "commit", revision.Commit, o.head())
	data, err := fs.ReadFile(files, ".env")
	wantText(t, ".env", fmt.Sprint(string(data), err), "STACKS=web\n<nil>")

	o.push("HEAD~1:main") // back to what is there: nothing comes
	sent.Store(0)
	again, _ := sync(t, repository)
	wantText(t, "back", again.Commit+" "+again.Rewrote, first.Commit+" "+revision.Commit)
	if got := sent.Load(); got > 1000 {
		t.Errorf("%d bytes came for nothing new", got)
	}

	opts.URL, opts.Timeout = "http://"+silentPeer(t)+"/gone.git", 100*time.Millisecond
	for _, commit := range []string{first.Commit, revision.Commit} {
		restored, files, err := open(t, opts).Fetch(deadline(t), commit)
		if err != nil {
			t.Fatal(commit, first, revision, err)
		}
		wantText(t, "restored", restored.Commit, commit)
		listing(t, files.FS)
	}
}

// countedWriter counts the bytes that a server sends.
type countedWriter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w countedWriter) Write(data []byte) (int, error) {
	w.sent.Add(int64(len(data)))
	return w.ResponseWriter.Write(data)
}

// A fixed commit is fetched from a server that provides it: because a ref is
// there, or because the server provides every commit that can be reached.
func TestFixedCommit(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.head()
	o.git(o.work, "tag", "--annotate", "--message", "a release", "v1")
	between := o.commit("between")
	second := o.commit("second")
	o.push("main", "v1")
	address := serve(t, gitHandler(t, o.root))
	fetch := func(address, commit string) (kargo.Revision, error) {
		repository := open(t, gitsync.Options{URL: address, Ref: commit})
		wantText(t, "head", head(t, repository), commit)
		revision, files, err := repository.Fetch(deadline(t), commit)
		if err == nil {
			listing(t, files.FS)
		}
		return revision, err
	}
	for _, commit := range []string{first, second} {
		revision, err := fetch(address, commit)
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, "revision", revision.Ref+"@"+revision.Commit, "@"+commit)
	}
	if _, err := fetch(o.bare, between); err != nil {
		t.Errorf("in place: %v", err)
	}
	_, err := fetch(address, between)
	wantError(t, err, kargo.Unavailable, address, "fetch from ADDRESS: the server does not provide commit "+between+
		": no branch or tag points to it (tag it, or set uploadpack.allowReachableSHA1InWant on the server)")
	o.git(o.bare, "config", "uploadpack.allowReachableSHA1InWant", "true")
	if _, err := fetch(address, between); err != nil {
		t.Errorf("from a server that allows it: %v", err)
	}
	_, err = fetch(address, strings.Repeat("1", 40))
	if err == nil || kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), "not our ref") {
		t.Errorf("a commit that does not exist: %v", err)
	}
}

// One directory of a repository is the workspace, and nothing else is visible.
func TestSubdirectory(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.commit("monorepo", "platform/swarm/.env", "STACKS=web\n", "platform/swarm/deploy/web.yml", "services: {}\n", "platform/secret", "not yours")
	o.git(o.work, "update-index", "--add", "--cacheinfo", "120000,"+o.git(o.work, "hash-object", "-w", ".env")+",platform/link")
	o.git(o.work, "update-index", "--add", "--cacheinfo", "120000,"+o.git(o.work, "hash-object", "-w", ".env")+",elsewhere/link")
	o.git(o.work, "commit", "--quiet", "--message", "links")
	o.push("main")
	for _, address := range []string{o.bare, serve(t, gitHandler(t, o.root))} {
		_, files := sync(t, open(t, gitsync.Options{URL: address, Path: "platform/swarm/"}))
		wantText(t, "files", listing(t, files), ".env: STACKS=web\ndeploy/web.yml: services: {}\n")
		for _, name := range []string{"platform/secret", "../secret", "../../.env", "secret"} {
			if data, err := fs.ReadFile(files, name); err == nil {
				t.Errorf("%s can be read: %s", name, data)
			}
		}
		for path, at := range map[string]string{
			"platform/nowhere": "platform/nowhere", "platform/secret": "platform/secret", "platform/link/deploy": "platform/link", "nowhere/swarm": "nowhere",
		} {
			repository := open(t, gitsync.Options{URL: address, Path: path})
			_, _, err := repository.Fetch(deadline(t), head(t, repository))
			wantError(t, err, kargo.Invalid, address, "repository: the commit has no directory "+at+
				" (the setting --path names it)")
		}
	}
}

// Everything that was read of one commit is the same in another if none of it
// changed.
func TestUnchanged(t *testing.T) {
	o := newOrigin(t)
	o.commit("more", "README.md", "hello", "docs/a", "a", "configs/b", "b")
	repository := open(t, gitsync.Options{URL: o.work})
	_, before := sync(t, repository)
	read := func() {
		for _, name := range []string{".env", "deploy/redis.yml", "scripts"} {
			_, _ = fs.ReadFile(before, name)
		}
		_ = fs.WalkDir(before, "configs", func(string, fs.DirEntry, error) error { return nil })
	}
	read()
	for _, c := range []struct {
		name  string
		files []string
		want  bool
	}{
		{"nothing", nil, true},
		{"what nobody read", []string{"README.md", "bye", "docs/new", "new", "deploy/new.yml", "new"}, true},
		{"a file that was read", []string{".env", "STACKS=web\n"}, false},
		{"and back", []string{".env", "STACKS=redis\n"}, true},
		{"what was listed, and not read", []string{"configs/b", "c"}, true},
		{"a new file there", []string{"configs/b", "b", "configs/c", "c"}, false},
	} {
		o.commit(c.name, c.files...)
		_, after, err := repository.Fetch(deadline(t), head(t, repository))
		if err != nil {
			t.Fatal(err)
		}
		if got := after.Unchanged(before); got != c.want {
			t.Errorf("%s: the same answers: %v, want %v", c.name, got, c.want)
		}
	}
	o.git(o.work, "rm", "-r", "--quiet", "configs")
	o.commit("what was not there", "configs/b", "b", "scripts", "x")
	_, after, err := repository.Fetch(deadline(t), head(t, repository))
	if err != nil {
		t.Fatal(err)
	}
	if after.Unchanged(before) {
		t.Error("a file that was asked for and is there now went unseen")
	}
}

// A forced push is followed, and reported where it is certain. With one commit
// only, the server is asked, over HTTP and SSH.
func TestForcedPushIsReported(t *testing.T) {
	t.Parallel()
	for _, remote := range []string{"http", "ssh", "http with history", "ssh with history", "local"} {
		t.Run(remote, func(t *testing.T) {
			o := newOrigin(t)
			opts := gitsync.Options{URL: o.bare, Dir: t.TempDir(), Ref: "main"}
			protocol, _, history := strings.Cut(remote, " ")
			opts.History = history
			switch protocol {
			case "http":
				opts.URL, opts.Username, opts.Password = serve(t, private(gitHandler(t, o.root))), account, secret(password)
			case "ssh":
				client, clientPEM := newKey(t, "")
				host, _ := newKey(t, "")
				server := newSSHServer(t, o.root, client.PublicKey(), host)
				opts.URL, opts.SSHKey, opts.KnownHosts = server.url(), content(clientPEM), content(server.knownHosts(host.PublicKey()))
			}
			repository := open(t, opts)
			expect := func(what, want string) {
				t.Helper()
				o.push("HEAD:main")
				revision, _ := sync(t, repository)
				wantText(t, what+": commit", revision.Commit, o.head())
				wantText(t, what+": rewrote", revision.Rewrote, want)
			}
			expect("the first", "")
			o.commit("next")
			expect("the next commit", "")
			o.commit("many")
			o.commit("at")
			third := o.commit("once")
			expect("three commits at once", "")
			o.git(o.work, "reset", "--quiet", "--hard", "HEAD~1")
			back := o.head()
			expect("one back", third)
			o.git(o.work, "commit", "--quiet", "--amend", "--allow-empty", "--message", "amended")
			amended := o.head()
			expect("the last one amended", back)
			o.git(o.work, "reset", "--quiet", "--hard", third)
			expect("another way on", amended)
			o.git(o.work, "reset", "--quiet", "--hard", "HEAD~2")
			o.commit("from")
			o.commit("there on")
			o.git(o.bare, "update-ref", "-d", "refs/heads/main") // gone from the server for good
			o.git(o.bare, "reflog", "expire", "--expire=now", "--all")
			o.git(o.bare, "gc", "--quiet", "--prune=now")
			expect("a commit that the server has no more", third)
		})
	}
}
