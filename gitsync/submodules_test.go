package gitsync_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/wire"
)

// withSubmodule commits a gitlink, and a .gitmodules with its address.
func (o *origin) withSubmodule(path, address, commit string) {
	o.t.Helper()
	o.commit("modules", ".gitmodules", "[submodule \"lib\"]\n\tpath = "+path+"\n\turl = "+address+"\n")
	o.git(o.work, "update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
	o.git(o.work, "commit", "--quiet", "--message", "a submodule")
	o.push("main")
}

// fetched returns the files of a fetch, or its error.
func fetched(t *testing.T, opts gitsync.Options) (string, error) {
	t.Helper()
	repository := open(t, opts)
	_, files, err := repository.Fetch(deadline(t), head(t, repository))
	if err != nil {
		return "", err
	}
	return listing(t, files.FS), nil
}

// Submodules are fetched from allowed hosts only, and each host gets its own
// credentials only.
func TestS08Submodules(t *testing.T) {
	library := newOrigin(t)
	library.commit("library", "shared.yml", "services: {shared: {}}\n")
	library.push("main")
	pinned := library.head()
	library.commit("newer", "shared.yml", "services: {newer: {}}\n")
	library.git(library.work, "tag", "pinned", pinned)
	library.push("main", "pinned")

	var leaked atomic.Int32
	handler := gitHandler(t, library.root)
	elsewhere, otherCA := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			leaked.Add(1)
		}
		handler.ServeHTTP(w, r)
	}), nil)
	host := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}

	o := newOrigin(t)
	address, ca := serveTLS(t, private(gitHandler(t, o.root)), nil)
	opts := gitsync.Options{
		URL: address, Access: wire.Access{CA: content(append(ca, otherCA...)), Username: account, Password: secret(password)}, Dir: t.TempDir(),
	}
	o.withSubmodule("deploy/lib", elsewhere, pinned)
	const refused = "deploy/lib: the submodule is not fetched (commit the files themselves, or ask the operator to allow its host with --submodule-hosts)"
	read := func(opts gitsync.Options) error {
		repository := open(t, opts)
		_, files, err := repository.Fetch(deadline(t), head(t, repository))
		if err == nil {
			err = walk(files.FS)
		}
		return err
	}
	wantError(t, read(opts), kargo.Invalid, "ADDRESS", refused)
	opts.SubmoduleHosts = []string{"git.example.com", strings.Split(host(elsewhere), ":")[0]} // another port is another host
	wantError(t, read(opts), kargo.Invalid, "ADDRESS", refused)

	opts.SubmoduleHosts = []string{"git.example.com", host(elsewhere)}
	const files = ".env: STACKS=redis\n.gitmodules: MODULES\ndeploy/lib/.env: STACKS=redis\ndeploy/lib/deploy/redis.yml: services: {}\n" +
		"deploy/lib/shared.yml: services: {shared: {}}\ndeploy/redis.yml: services: {}\n"
	got, err := fetched(t, opts)
	if err != nil {
		t.Fatal(err)
	}
	modules := "[submodule \"lib\"]\n\tpath = deploy/lib\n\turl = " + elsewhere
	wantText(t, "files", strings.Replace(got, modules, "MODULES", 1), files)
	if leaked.Load() != 0 {
		t.Errorf("the other host saw credentials %d times", leaked.Load())
	}

	opts.Limits.Files = 8
	wantError(t, read(opts), kargo.Invalid, "ADDRESS",
		"repository: the commit holds more than 8 files and directories (keep data out of the workspace, or raise the limit)")
	opts.Limits.Files = 0

	o.withSubmodule("deploy/lib", elsewhere, strings.Repeat("1", 40))
	wantError(t, read(opts), kargo.Unavailable, elsewhere, "fetch from "+address+": fetch submodule deploy/lib from ADDRESS: "+
		"the server does not provide commit "+strings.Repeat("1", 40)+": no branch or tag points to it "+
		"(tag it, or set uploadpack.allowReachableSHA1InWant on the server)")
}

// A relative address is on the same host, with its credentials.
func TestSubmoduleBesideTheRepository(t *testing.T) {
	o := newOrigin(t)
	address, ca := serveTLS(t, private(gitHandler(t, o.root)), nil)
	o.git(o.root, "clone", "--quiet", "--bare", o.bare, o.root+"/team/library.git")
	o.withSubmodule("configs/lib", "../library.git", o.head())
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	got, err := fetched(t, gitsync.Options{
		URL: address, Access: wire.Access{CA: content(ca), Username: account, Password: secret(password)}, SubmoduleHosts: []string{u.Host},
	})
	if err != nil || !strings.Contains(got, "configs/lib/deploy/redis.yml: services: {}\n") {
		t.Errorf("%s, %v", got, err)
	}
}

// Addresses in .gitmodules come from strangers. None is used as a command, an
// option or a file, whatever hosts are allowed. Outside a workspace's directories
// they are ignored.
func TestS03S08HostileSubmodules(t *testing.T) {
	for _, address := range []string{
		"ext::sh -c touch% /tmp/pwned", "--upload-pack=touch /tmp/pwned", "file:///etc", "/etc", "git://127.0.0.1/x", "http://127.0.0.1/x",
		"ssh://-oProxyCommand=touch/x", "https://user:pw@127.0.0.1/x", "-x", "../../../..", "https://127.0.0.1.example/x",
	} {
		o := newOrigin(t)
		o.withSubmodule("vendor/lib", address, o.head())
		opts := gitsync.Options{URL: serve(t, gitHandler(t, o.root)), SubmoduleHosts: []string{"127.0.0.1", "localhost"}}
		if got, err := fetched(t, opts); err != nil || strings.Contains(got, "vendor/lib/") {
			t.Errorf("%s: %s, %v", address, got, err)
		}
		o.withSubmodule("scripts/lib", address, o.head())
		repository := open(t, opts)
		_, files, err := repository.Fetch(deadline(t), head(t, repository))
		if err == nil {
			err = walk(files.FS)
		}
		if kargo.FaultOf(err) != kargo.Invalid || !strings.HasPrefix(kargo.Explain(err), "scripts/lib: ") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// library is a repository with a submodule, which is on a host of its own.
type library struct {
	*origin
	main *origin
	sent *packsSent // by the submodule's host
	opts gitsync.Options
	url  string
}

func newLibrary(t *testing.T) *library {
	t.Helper()
	l := &library{origin: newOrigin(t), main: newOrigin(t)}
	l.withFiles(200)
	l.sent = &packsSent{handler: gitHandler(t, l.root)}
	var ca, otherCA []byte
	l.url, otherCA = serveTLS(t, l.sent, nil)
	l.opts.URL, ca = serveTLS(t, gitHandler(t, l.main.root), nil)
	u, err := url.Parse(l.url)
	if err != nil {
		t.Fatal(err)
	}
	l.opts.Access, l.opts.Dir, l.opts.SubmoduleHosts = wire.Access{CA: content(append(ca, otherCA...))}, t.TempDir(), []string{u.Host}
	return l
}

// pin has the main repository use the present commit.
func (l *library) pin() {
	l.t.Helper()
	l.push("HEAD:main")
	l.main.withSubmodule("configs/lib", l.url, l.head())
}

// wantIn compares all files of the submodule.
func (l *library) wantIn(files fs.FS) {
	l.t.Helper()
	below, err := fs.Sub(files, "configs/lib")
	if err != nil {
		l.t.Fatal(err)
	}
	wantFiles(l.t, l.origin, below)
}

// Another commit of a submodule brings what it changes, whichever way its branch went.
func TestOnlyWhatChangedOfASubmoduleIsSent(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	first := l.head()
	follower := open(t, l.opts)
	expect := func(what string, most int) {
		t.Helper()
		l.pin()
		_, files := sync(t, follower)
		l.wantIn(files)
		if objects, _ := l.sent.last(t); objects > most {
			t.Errorf("%s: %d objects, want %d at most", what, objects, most)
		}
	}
	expect("the first", 300)
	l.commit("readme", "README.md", "two\n")
	expect("a README", 3)
	l.commit("a file", "configs/d1/f0001", strings.Repeat("other\n", 200))
	expect("a file", 5)
	l.commit("like it", "configs/d1/f0001", strings.Repeat("other\n", 200)+"end\n")
	expect("a delta", 5)
	l.git(l.work, "reset", "--quiet", "--hard", first)
	expect("back to what is here", 5)
	l.git(l.work, "checkout", "--quiet", "--orphan", "other")
	l.git(l.work, "mv", "configs/d4", "configs/moved")
	l.commit("another history")
	expect("another history", 3)
	follower = open(t, l.opts) // another process
	l.commit("readme", "README.md", "three\n")
	expect("a README after a restart", 3)
}

// A submodule whose objects are damaged on the disk is fetched again, and nobody has to
// remove anything.
func TestDamageOfASubmoduleHeals(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	l.pin()
	sync(t, open(t, l.opts))
	for i, path := range []string{"", ":", ":configs", ":configs/d1", ":configs/d1/f0001", ":README.md"} {
		for _, updated := range []bool{false, true} {
			what := fmt.Sprintf("%q damaged, updated %v", path, updated)
			damageObject(t, l.origin, l.kept(), l.head()+path)
			if updated {
				l.commit("next", "configs/d1/f0002", fmt.Sprintln(i))
				l.pin()
			}
			follower := open(t, l.opts)
			commit := head(t, follower)
			for attempt := 1; ; attempt++ { // the damage may be found only when files are read
				_, files, err := follower.Fetch(deadline(t), commit)
				if err == nil {
					err = walk(files.FS)
				}
				if err == nil {
					l.wantIn(files.FS)
					break
				}
				if kargo.FaultOf(err) != kargo.Unavailable || attempt == 2 {
					t.Fatalf("%s, attempt %d: %v", what, attempt, err)
				}
			}
		}
	}
}

// kept is the directory that holds the present commit of the submodule.
func (l *library) kept() string {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.opts.Dir, "submodules", "*", l.head()))
	if err != nil || len(found) != 1 {
		l.t.Fatal(found, err)
	}
	return found[0]
}

// damageObject changes some bytes of an object in the packs of a directory. The origin
// knows it by a name.
func damageObject(t *testing.T, o *origin, dir, name string) {
	t.Helper()
	hash := o.git(o.work, "rev-parse", name)
	indexes, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.idx"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, index := range indexes {
		for line := range strings.SplitSeq(o.git(o.work, "verify-pack", "-v", index), "\n") {
			fields := strings.Fields(line) // hash, kind, size, size in the pack, offset
			if len(fields) < 5 || fields[0] != hash {
				continue
			}
			at, err := strconv.Atoi(fields[4])
			if err != nil {
				t.Fatal(err)
			}
			pack := strings.TrimSuffix(index, ".idx") + ".pack"
			data, err := os.ReadFile(pack)
			if err != nil {
				t.Fatal(err)
			}
			for i := at + 4; i < at+10; i++ {
				data[i] ^= 0x55
			}
			if err := errors.Join(os.Chmod(pack, 0o600), os.WriteFile(pack, data, 0o600)); err != nil { // in its place: commits share it
				t.Fatal(err)
			}
			damaged++
		}
	}
	if damaged == 0 {
		t.Fatalf("%s is in no pack of %s", name, dir)
	}
}
