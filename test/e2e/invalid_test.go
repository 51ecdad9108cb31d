package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"kargo"
)

// badInputs are the ways in which a workspace can be wrong, each with what
// makes a sound one wrong and the problem as people read it.
var badInputs = []struct {
	name string
	edit func(w *workspace)
	want string // the problem begins with this
}{
	{
		name: "YAML that cannot be parsed",
		edit: func(w *workspace) { w.file("deploy/site.yml", "services:\n  site:\n    image: [kargo/testserver:1\n") },
		want: "deploy/site.yml:3: did not find expected ',' or ']'",
	},
	{
		name: "a stack lists a service that does not exist",
		edit: func(w *workspace) { w.stack("web", "site", "cite") },
		want: `.env:2: stack "t-web": there is no file deploy/cite.yml`,
	},
	{
		name: "stacks that need each other",
		edit: func(w *workspace) {
			w.stack("dbs", "db").service("db").set("T_DBS_NEEDS", "t-web").set("T_WEB_NEEDS", "t-dbs")
		},
		want: ".env:11: stacks need each other: t-web -> t-dbs -> t-web",
	},
	{
		name: "a config file that is missing",
		edit: func(w *workspace) { w.service("site", config("/page.txt", "configs/page.txt")) },
		want: "deploy/site.yml:16: there is no file configs/page.txt",
	},
	{
		name: "an empty STACKS",
		edit: func(w *workspace) { w.file(".env", "# nothing yet\nSTACKS=\"\"\n") },
		want: ".env:2: STACKS names no stack",
	},
	{
		name: "no .env",
		edit: func(w *workspace) { w.file(".env", "") },
		want: ".env: is missing",
	},
	{
		name: "a .env that bash chokes on",
		edit: func(w *workspace) { w.file(".env", "STACKS=\"t-web\"\nT_WEB_STACK=\"site\nGREETING=hello\n") },
		want: ".env:2: reached EOF without closing quote",
	},
	{
		name: "a .env that runs a program",
		edit: func(w *workspace) {
			w.file(".env", "STACKS=t-web\nT_WEB_STACK=site\nGREETING=$(curl http://example.org)\n")
		},
		want: `.env:3: would run the program "curl"`,
	},
	{
		name: "a symlink",
		edit: func(w *workspace) { w.links["configs/hosts"] = "/etc/hosts" },
		want: "configs/hosts: is not a plain file",
	},
	{
		name: "an encrypted file",
		edit: func(w *workspace) {
			w.file("configs/key.yml", "key: ENC[AES256_GCM,data:c2VjcmV0,type:str]\nsops:\n  version: 3.9.0\n")
		},
		want: "configs/key.yml: is encrypted with SOPS",
	},
	{
		name: "a hook script",
		edit: func(w *workspace) { w.file("deploy/site_before.sh", "touch /tmp/here\n") },
		want: "deploy/site_before.sh:1: service site has a hook, and hooks are not allowed to run",
	},
}

func soundWorkspace() *workspace {
	return newWorkspace("t").stack("web", "site").service("site", environment("GREETING=${GREETING}")).set("GREETING", "hello")
}

func TestCheckNamesFileAndLine(t *testing.T) {
	t.Parallel()
	for _, bad := range badInputs {
		t.Run(bad.name, func(t *testing.T) {
			dir := shortTempDir(t)
			w := soundWorkspace()
			bad.edit(w)
			w.write(t, dir)
			got := run(t, dir, nil, "check", "--workspace", dir)
			if got.code != 2 || !hasLine(got.stdout, bad.want) {
				t.Errorf("want exit 2 and a line %q…, got %s", bad.want, got)
			}
		})
	}
}

func hasLine(text, prefix string) bool {
	return slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), prefix) })
}

func TestBadRevisionLeavesTheLastGoodOneInForce(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	good := s.begin(soundWorkspace())
	for i, bad := range badInputs {
		t.Run(bad.name, func(t *testing.T) {
			mark := s.docker.mark()
			w := soundWorkspace()
			bad.edit(w)
			commit := s.repo.commit(w)
			s.sync()
			status := s.awaitStatus("the head is refused", func(k kargo.Status) bool {
				return k.Head.Commit == commit && k.Fault != ""
			})
			if status.Fault != "invalid" || status.Applied.Commit != good.Revision.Commit {
				t.Errorf("fault %q, %s in force; want invalid, %s", status.Fault, status.Applied.Commit, good.Revision.Commit)
			}
			if got := s.cli("status"); !hasLine(got.stdout, bad.want) || got.code != 4 {
				t.Errorf("kargo status does not say %q…: %s", bad.want, got)
			}
			s.driftIsCorrected(good)
			if got := s.docker.writesSince(mark); len(got) != 1 {
				t.Errorf("wrote %q, want the correction of a service only", got)
			}

			good = s.deploy(soundWorkspace().set("GREETING", strings.Repeat("hello ", i+2)))
			if after := s.status(); after.Fault != "" || len(after.Problems) > 0 {
				t.Errorf("after a good commit the status has fault %q, problems %v", after.Fault, after.Problems)
			}
		})
	}
}
