package hooks_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"kargo"
	"kargo/hooks"
)

// Hooks are run by real bash here.

// workspace returns one with stacks dbs (postgis redis) and my-apps (kano), and
// files given as "name=content".
func workspace(files ...string) kargo.Workspace {
	ws := kargo.Workspace{
		Revision: kargo.Revision{Commit: "c1"}, Root: "/data/.kargo",
		Env: kargo.Environment{
			"STACKS": "dbs my-apps", "DBS_STACK": "postgis redis", "MY_APPS_STACK": "kano", "TAG": "7",
			"KARGO_BUILD_PATH": "/data/.kargo", "KARGO_SCRIPTS_PATH": "/data/.kargo/scripts",
		},
		Files: map[string]kargo.File{}, Lines: map[string]kargo.Place{"TAG": {File: ".env", Line: 4}},
	}
	for _, file := range files {
		name, content, _ := strings.Cut(file, "=")
		ws.Files[name] = kargo.File{Data: []byte(content), Origin: kargo.OriginUser, Source: name}
	}
	return ws
}

func before(t *testing.T, ws kargo.Workspace, stacks ...string) (kargo.Workspace, string) {
	t.Helper()
	runner := &hooks.Runner{Timeout: 20 * time.Second}
	next, problems, err := runner.Before(t.Context(), ws, stacks...)
	if err != nil {
		t.Fatal(err)
	}
	return next, texts(problems)
}

func texts(problems kargo.Problems) string {
	var lines []string
	for _, problem := range problems {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got: %s\nwant: %s", what, got, want)
	}
}

func TestRefuse(t *testing.T) {
	_, problems, err := hooks.Refuse(t.Context(), workspace("deploy/postgis.yml=", "deploy/postgis_before.sh=", "deploy/kano_after.sh=",
		"deploy/unlisted_after.sh=", "scripts/redis_before.sh="))
	if err != nil {
		t.Fatal(err)
	}
	const hint = "hooks are not allowed to run (commit what it prepares, or allow hooks with --allow-hooks)"
	if _, all, _ := hooks.Refuse(t.Context(), workspace("deploy/kano_after.sh="), "all"); len(all) != 1 {
		t.Errorf("of all stacks: %v", all)
	}
	same(t, "problems", texts(problems), "deploy/kano_after.sh:1: service kano has a hook, and "+hint+"\n"+
		"deploy/postgis_before.sh:1: service postgis has a hook, and "+hint)
}

func TestBeforeMakesFilesAndVariables(t *testing.T) {
	next, problems := before(t, workspace(
		"deploy/postgis_before.sh=. ${KARGO_SCRIPTS_PATH}/lib.sh\n"+
			"say hello $1, $#\n"+
			"export MADE=\"a $TAG\" BUILT=$KARGO_BUILD_PATH/x; HIDDEN=1; TAG=8\n"+
			"unset MY_APPS_STACK\n"+
			"mkdir -p deploy/sub && echo \"image: redis:$TAG # $PWD\" > deploy/sub/made.yml\n"+
			"rm configs/old.txt; chmod +x configs/run.sh\n"+
			"false\n", // counts for nothing, as ever
		"deploy/redis_before.sh=echo \"$MADE $(cat deploy/sub/made.yml | wc -l)\"; export TAG=9",
		"scripts/lib.sh=say() { echo \"says: $*\"; }\n", "configs/old.txt=old", "configs/run.sh=#!/bin/sh\n", "configs/same.txt=same",
	), "dbs")
	same(t, "problems", problems, "")
	same(t, "variables", fmt.Sprintf("%q %q %q %q", next.Env["MADE"], next.Env["BUILT"], next.Env["TAG"], next.Env["HIDDEN"]), `"a 7" "/data/.kargo/x" "9" ""`)
	if _, there := next.Env["MY_APPS_STACK"]; there {
		t.Error("a variable that was unset is there")
	}
	same(t, "lines", next.Lines["MADE"].String()+" "+next.Lines["TAG"].String(), "deploy/postgis_before.sh:1 deploy/redis_before.sh:1")
	same(t, "a made file", string(next.Files["deploy/sub/made.yml"].Data)+next.Files["deploy/sub/made.yml"].Origin, "image: redis:8 # /data/.kargo\nhook")
	same(t, "an unchanged file", next.Files["configs/same.txt"].Origin, "user")
	if !next.Files["configs/run.sh"].Executable {
		t.Error("a file that was made executable is not")
	}
	if _, there := next.Files["configs/old.txt"]; there {
		t.Error("a removed file is there")
	}
	var ran []string
	for _, run := range next.Ran {
		ran = append(ran, run.Script+" "+run.Stack+": "+run.Output)
	}
	same(t, "what ran", strings.Join(ran, ""), "deploy/postgis_before.sh dbs: says: hello dbs, 1\ndeploy/redis_before.sh dbs: a 7 1\n")
	for name := range next.Env {
		if slices.Contains([]string{"PWD", "SHLVL", "HOME", "PATH", "_", "LANG"}, name) {
			t.Errorf("%s of the shell itself became one of the workspace", name)
		}
	}
}

func TestTheEnvironmentOfAHookIsTheDeclaredOne(t *testing.T) {
	t.Setenv("KARGO_GIT_PASSWORD", "hunter22")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter23")
	ws := workspace("deploy/postgis_before.sh=compgen -e | sort | tr '\\n' ' '; echo; pwd; stat -c %a . ..; ls -A \"$HOME\"")
	next, problems := before(t, ws)
	same(t, "problems", problems, "")
	lines := strings.Split(next.Ran[0].Output, "\n")
	same(t, "variables", lines[0], "DBS_STACK HOME KARGO_BUILD_PATH KARGO_SCRIPTS_PATH LANG MY_APPS_STACK PATH PWD SHLVL STACKS TAG TMPDIR ")
	same(t, "directory and modes", strings.Join(lines[1:], " "), "/data/.kargo 700 700 ")
}

// addFiles is the hint about a list of compose files that a hook has spoiled.
const addFiles = `(add files of the merged configuration, as in SERVICES_TO_DEPLOY+=" -c deploy/extra.yml")`

func TestHooksChangeTheListOfComposeFiles(t *testing.T) {
	for _, test := range []struct{ name, postgis, redis, want string }{
		{"append", `SERVICES_TO_DEPLOY="$SERVICES_TO_DEPLOY -c deploy/extra.yml"`, "", "postgis:deploy/postgis.yml postgis:deploy/limits.yml postgis:deploy/extra.yml redis:deploy/redis.yml"},
		{"append what is made, by its whole path", `SERVICES_TO_DEPLOY+=" --compose-file $KARGO_BUILD_PATH/made.yml --prune"; echo > made.yml`, "",
			"postgis:deploy/postgis.yml postgis:deploy/limits.yml postgis:made.yml redis:deploy/redis.yml"},
		{"both", `SERVICES_TO_DEPLOY+=" -c deploy/a.yml"`, `SERVICES_TO_DEPLOY+=" --compose-file=deploy/b.yml"`,
			"postgis:deploy/postgis.yml postgis:deploy/limits.yml postgis:deploy/a.yml redis:deploy/redis.yml redis:deploy/b.yml"},
		{"take away and put first", "", `SERVICES_TO_DEPLOY=" -c deploy/base.yml${SERVICES_TO_DEPLOY/ -c deploy\/limits.yml/}"`,
			"redis:deploy/base.yml postgis:deploy/postgis.yml redis:deploy/redis.yml"},
		{"exported", `export SERVICES_TO_DEPLOY+=" -c deploy/$SERVICE-more.yml"`, "", "postgis:deploy/postgis.yml postgis:deploy/limits.yml postgis:deploy/postgis-more.yml redis:deploy/redis.yml"},
		{"left alone", `echo $SERVICES_TO_DEPLOY`, `echo`, "postgis:deploy/postgis.yml postgis:deploy/limits.yml redis:deploy/redis.yml"},
		{"exit 0", `SERVICES_TO_DEPLOY=; exit 0`, "", "postgis:deploy/postgis.yml postgis:deploy/limits.yml redis:deploy/redis.yml"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ws := workspace("deploy/postgis_before.sh="+test.postgis, "deploy/redis_before.sh="+test.redis)
			ws.Env["POSTGIS_EXTENSION"] = "limits"
			next, problems := before(t, ws)
			same(t, "problems", problems, "")
			var files []string
			for _, file := range next.ComposeFiles("dbs") {
				files = append(files, file.Entry+":"+file.Path)
			}
			same(t, "compose files", strings.Join(files, " "), test.want)
			if next.Env["SERVICES_TO_DEPLOY"]+next.Env["SERVICE"] != "" {
				t.Error("variables of the shell became variables of the workspace")
			}
		})
	}
}

func TestAFailingHookIsAProblem(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"exit", "echo one; echo two >&2; exit 3", "deploy/postgis_before.sh: hook ended with exit code 3: one / two"},
		{"set -e", "set -e\nfalse\necho not reached", "deploy/postgis_before.sh: hook ended with exit code 1"},
		{"exit 0 is no failure", "exit 0", ""},
		{"a flag of docker", "echo\nSERVICES_TO_DEPLOY+=' --resolve-image never'", `deploy/postgis_before.sh:2: SERVICES_TO_DEPLOY has "--resolve-image", and only compose files can be added (-c FILE) ` + addFiles},
		{"a compose file elsewhere", "SERVICES_TO_DEPLOY+=' -c ../x.yml'", "deploy/postgis_before.sh:1: SERVICES_TO_DEPLOY has ../x.yml, which is not in the merged configuration " + addFiles},
		{"no compose file", "SERVICES_TO_DEPLOY=", `deploy/postgis_before.sh:1: SERVICES_TO_DEPLOY is empty: the hook leaves stack "dbs" no compose file (append to it, as in SERVICES_TO_DEPLOY+=" -c deploy/extra.yml")`},
		{"a file twice", "SERVICES_TO_DEPLOY+=' -c ./deploy/postgis.yml'", "deploy/postgis_before.sh:1: warning: SERVICES_TO_DEPLOY names deploy/postgis.yml twice; it is read once"},
		{"a link out", "ln -s /etc/passwd configs", "configs: a hook left this, and it is not a plain file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, problems := before(t, workspace("deploy/postgis_before.sh="+test.script))
			same(t, "problems", problems, test.want)
		})
	}
}

func TestAnEncryptedHookIsAProblem(t *testing.T) {
	ws := workspace("deploy/postgis_before.sh=echo hunter22")
	script := ws.Files["deploy/postgis_before.sh"]
	script.Secret = true
	ws.Files["deploy/postgis_before.sh"] = script
	_, problems := before(t, ws)
	same(t, "problems", problems, "deploy/postgis_before.sh:1: a hook cannot be encrypted: bash reads it from a disk, and no decrypted file is written to one "+
		"(keep the script unencrypted, and encrypt the variables that it reads)")
}

func TestAHookThatHangsIsKilledWithItsProcesses(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "pid")
	runner := &hooks.Runner{Timeout: 500 * time.Millisecond}
	_, _, err := runner.Before(t.Context(), workspace("deploy/postgis_before.sh=sleep 1000 & echo $! > "+mark+"\necho waiting\nsleep 1000"))
	if err == nil || kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), "hook did not end within 500ms: waiting") {
		t.Errorf("the error is %v", err)
	}
	gone(t, mark)

	// The same is true when Kargo itself ends.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	begun := filepath.Join(t.TempDir(), "begun")
	if err := syscall.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = os.ReadFile(begun) // until the hook has written to it
		stop()
	}()
	_, _, err = (&hooks.Runner{}).Before(ctx, workspace("deploy/postgis_before.sh=sleep 1000 & echo $! > "+mark+"\necho begun > "+begun+"\nwait"))
	if kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), "hook was stopped because Kargo stopped") {
		t.Errorf("the error of a hook that ended with Kargo is %v", err)
	}
	gone(t, mark)

	// A hook that ends by itself leaves no process behind, either.
	_, problems, err := (&hooks.Runner{}).Before(t.Context(), workspace("deploy/postgis_before.sh=sleep 1000 & echo $! > "+mark))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	gone(t, mark)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "kargo-hooks-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("scratch directories are left: %v, %v", left, err)
	}
}

// gone waits for the end of the process whose id is in a file.
func gone(t *testing.T, file string) {
	t.Helper()
	pid, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || strings.Contains(string(status), ") Z ") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %s still runs", pid)
}

func TestHooksRunOnceARevision(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "count")
	runner := &hooks.Runner{}
	ws := workspace("deploy/postgis_before.sh=echo x >> " + mark)
	for range 3 {
		if _, _, err := runner.Before(t.Context(), ws); err != nil {
			t.Fatal(err)
		}
	}
	ws.Revision.Commit = "c2"
	if _, _, err := runner.Before(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	count, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "runs of two revisions", string(count), "x\nx\n")
	// A value may lie outside the repository, and change without a commit.
	ws.Env = maps.Clone(ws.Env)
	ws.Env["DB_PASSWORD"] = "renewed"
	if next, _, err := runner.Before(t.Context(), ws); err != nil || next.Env["DB_PASSWORD"] != "renewed" {
		t.Errorf("with another value: %q, %v", next.Env["DB_PASSWORD"], err)
	}
}

func TestSecretFilesAreNotWrittenToADisk(t *testing.T) {
	ws := workspace("deploy/postgis_before.sh=ls configs; export A=1", "configs/open.txt=open")
	ws.Files["configs/key.txt"] = kargo.File{Data: []byte("hunter22"), Origin: kargo.OriginUser, Secret: true}
	next, problems := before(t, ws)
	same(t, "problems", problems, "")
	same(t, "the hook sees", next.Ran[0].Output, "open.txt\n")
	if file := next.Files["configs/key.txt"]; !file.Secret || string(file.Data) != "hunter22" {
		t.Errorf("the secret file became %+v", file)
	}
}

func TestAfterRunsEachHookAndSaysWhatFailed(t *testing.T) {
	runs, err := (&hooks.Runner{}).After(t.Context(), workspace("deploy/postgis_after.sh=echo first; exit 4", "deploy/redis_after.sh=echo $1 $TAG"), "dbs")
	if err == nil || kargo.Explain(err) != "deploy/postgis_after.sh: hook ended with exit code 4: first" {
		t.Errorf("the error is %v", err)
	}
	if len(runs) != 2 || runs[1].Output != "dbs 7\n" || runs[0].Err != "hook ended with exit code 4" {
		t.Errorf("ran %+v", runs)
	}
}

func TestEnvironment(t *testing.T) {
	base := kargo.Environment{"WORKSPACE": "/data/workspace", "KARGO_BUILD_PATH": "/data/.kargo"}
	tree := fstest.MapFS{
		".env":            {Data: []byte("x")},
		"more/secret.env": {Data: []byte("FROM_FILE=\"$(echo deep)\"\n")},
		"broken.env":      {Data: []byte("A=1\nB=$(nosuchprogram)\n")},
		"bin/tool":        {Data: []byte("#!/bin/sh\necho tool\n"), Mode: 0o755},
	}
	evaluate := func(text string) (string, string) {
		env, problems, err := (&hooks.Runner{Timeout: 20 * time.Second}).Environment(t.Context(), base, []kargo.EnvFile{
			{Name: ".env.default", Data: []byte("TAG=7\nOLD=\"x$TAG\"\n")}, {Name: ".env", Data: []byte(text), Files: kargo.Files{FS: tree}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(env)) {
			lines = append(lines, name+"="+env[name])
		}
		return strings.Join(lines, "\n"), texts(problems)
	}
	values, problems := evaluate("HASH=$(printf '%s' \"$TAG\" | md5sum | cut -c1-4)\nTAG=8\n. $WORKSPACE/more/secret.env\nsource more/secret.env\n" +
		"TOOL=$(\"$WORKSPACE/bin/tool\")\nHERE=$WORKSPACE/x:$KARGO_BUILD_PATH/y\nMANY=\"a\nb\"\nfalse || true\n[ -f nosuch ] && X=1\n: last\n")
	same(t, "problems", problems, "")
	same(t, "values", values, "FROM_FILE=deep\nHASH=8f14\nHERE=/data/workspace/x:/data/.kargo/y\nKARGO_BUILD_PATH=/data/.kargo\n"+
		"MANY=a\nb\nOLD=x7\nTAG=8\nTOOL=tool\nWORKSPACE=/data/workspace")

	env, shared, err := (&hooks.Runner{}).Environment(t.Context(), base, []kargo.EnvFile{
		{Name: ".env.base", Data: []byte(". $WORKSPACE/more.env\n"), Files: kargo.Files{FS: fstest.MapFS{"more.env": {Data: []byte("A=$(echo $WORKSPACE)\n")}}}},
		{Name: ".env", Data: []byte("B=$WORKSPACE/b\n"), Files: kargo.Files{FS: tree}},
	})
	if err != nil || len(shared) > 0 || env["A"] != "/data/workspace" || env["B"] != "/data/workspace/b" || env["WORKSPACE"] != "/data/workspace" {
		t.Errorf("with a shared layer: %v, %v, %v", env, shared, err)
	}

	_, problems = evaluate("A=1\nPASSWORD=$(nosuchprogram)\n")
	same(t, "a program that is not there", problems, ".env:2: a command failed with exit code 127: .env: line 2: nosuchprogram: command not found")
	_, problems = evaluate(". $WORKSPACE/broken.env\n")
	if !strings.HasPrefix(problems, "broken.env:2: a command failed with exit code 127") {
		t.Errorf("in a sourced file: %s", problems)
	}
	_, problems = evaluate("exit 0\n")
	same(t, "exit", problems, ".env: ended with exit code 0 (an environment file is sourced: it must not call exit)")
}
