package gitsync_test

import (
	"net/http"
	"net/url"
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
