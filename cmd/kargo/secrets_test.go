package main

import (
	"bytes"
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getsops/sops/v3"

	"kargo/secrets/secretstest"
)

// sealedWorkspace is a workspace with encrypted files of every use, and the
// file with the key that opens them.
func sealedWorkspace(t *testing.T) (dir, keyFile, recipient string) {
	t.Helper()
	key := secretstest.NewAgeKey(t)
	recipient = key.Recipient().String()
	seal := secretstest.For(secretstest.ForAge(t, recipient))
	only := secretstest.For(secretstest.ForAge(t, recipient))
	only.Change = func(m *sops.Metadata) { m.UnencryptedSuffix, m.EncryptedRegex = "", "_PIN$" }
	dir = workspaceIn(t,
		".env="+string(only.Seal(t, ".env", "", "STACKS=web\nWEB_STACK=app\nDB_PIN=planted-pin\nDB_ADDRESS=pg://app:$DB_PIN@db\n")),
		"deploy/app.yml=services:\n  app:\n    image: app:1\n    environment: [\"PIN=${DB_PIN}\"]\n    env_file: ./../configs/app.env\n"+
			"    secrets: [token]\n    configs: [page, conf]\n    volumes: [\"./../configs/tls.key:/tls.key\"]\n"+
			"secrets: {token: {file: ./../configs/token}}\nconfigs: {page: {file: ./../configs/page.txt}, conf: {file: ./../configs/app.conf}}\n",
		"configs/token="+string(seal.Seal(t, "configs/token", "", "planted-token\n")),
		"configs/app.env="+string(seal.Seal(t, "configs/app.env", "", "EXTRA=planted-extra\n")),
		"configs/app.conf.tpl=pin $DB_PIN\n", "configs/page.txt=hello",
		"configs/tls.key="+string(secretstest.AgeEncrypt(t, "planted-tls-key", true, key.Recipient())),
	)
	keyFile = filepath.Join(t.TempDir(), "age.key")
	if err := os.WriteFile(keyFile, []byte(key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, keyFile, recipient
}

func TestCheckSaysWhatOpenedFiles(t *testing.T) {
	dir, keyFile, recipient := sealedWorkspace(t)
	code, stdout, stderr := kargoIn(t, dir, "check", "--sops-age-key-file", keyFile)
	wantOut := "deploy/app.yml:10: warning: configs.conf: configs/app.conf has values that are encrypted in the repository, and everybody with access to Docker can read a config" +
		" (use secrets:, which only the containers can read)\n"
	wantErr := ".env: SOPS, opened with " + recipient + "\nconfigs/app.env: SOPS, opened with " + recipient + "\nconfigs/tls.key: age, opened with " + recipient +
		"\nconfigs/token: SOPS, opened with " + recipient + "\n0 errors, 1 warning; environment read as dotenv\n"
	if code != 0 || stdout != wantOut || stderr != wantErr {
		t.Errorf("exit %d\n%s%swant\n%s%s", code, stdout, stderr, wantOut, wantErr)
	}
	code, stdout, _ = kargoIn(t, dir, "check")
	for _, file := range []string{".env", "configs/app.env", "configs/tls.key", "configs/token"} {
		if code != 2 || !strings.Contains(stdout, file+": is encrypted with ") {
			t.Errorf("without the key: exit %d, and nothing of %s:\n%s", code, file, stdout)
		}
	}
}

func TestEnvHidesWhatWasEncrypted(t *testing.T) {
	dir, keyFile, _ := sealedWorkspace(t)
	code, stdout, stderr := kargoIn(t, dir, "env", "--sops-age-key-file", keyFile)
	if code != 0 || strings.Contains(stdout+stderr, "planted") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{`DB_PIN="***`, `DB_ADDRESS="pg://app:***`, `STACKS="web"`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %s… in\n%s", want, stdout)
		}
	}
}

// The merged configuration on disk is as the repository is: what is encrypted
// there stays so, what was made of it is not written.
func TestS18_ConfigureWritesNoSecret(t *testing.T) {
	dir, keyFile, _ := sealedWorkspace(t)
	data := t.TempDir()
	for range 2 { // the second time there is nothing to do
		if code, _, stderr := kargoIn(t, dir, "configure", "--data", data, "--sops-age-key-file", keyFile); code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
	}
	found := map[string]bool{}
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), "planted") {
			t.Errorf("%s holds a secret", path)
		}
		name, _ := filepath.Rel(filepath.Join(data, ".kargo"), path)
		found[name] = true
		if sealed, missing := os.ReadFile(filepath.Join(dir, name)); missing == nil && string(sealed) != string(content) {
			t.Errorf("%s is not as in the repository", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found[".env"] || !found["configs/token"] || !found["configs/app.conf.tpl"] || found["configs/app.conf"] {
		t.Errorf("written are %v", found)
	}
}

// A stack directory may have encrypted files of every use, also its own .env: with SOPS
// or with age. Its secrets show nowhere, and are written to no disk.
func TestEncryptedFilesOfAStackDirectory(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	seal := secretstest.For(secretstest.ForAge(t, key.Recipient().String()))
	keyFile := filepath.Join(t.TempDir(), "age.key")
	if err := os.WriteFile(keyFile, []byte(key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const env = "DB_PIN=planted-pin\nSHOP_STABLE=1s\nDB_ADDRESS=pg://app:$DB_PIN@db\n"
	const file = "services:\n  app:\n    image: app:1\n    environment: [\"ADDRESS=${DB_ADDRESS}\"]\n    env_file: ./app.env\n    secrets: [token]\n" +
		"secrets: {token: {file: ./token}}\n"
	for name, sealed := range map[string][]byte{
		"SOPS": seal.Seal(t, "stacks/shop/.env", "", env), "age": secretstest.AgeEncrypt(t, env, true, key.Recipient()),
	} {
		dir := workspaceIn(t, "stacks/shop/compose.yml="+file, "stacks/shop/.env="+string(sealed),
			"stacks/shop/app.env="+string(seal.Seal(t, "stacks/shop/app.env", "", "EXTRA=planted-extra\n")),
			"stacks/shop/token="+string(seal.Seal(t, "stacks/shop/token", "", "planted-token\n")), ".env=A=1\n")
		code, stdout, stderr := kargoIn(t, dir, "check", "--sops-age-key-file", keyFile)
		if code != 0 || !strings.Contains(stderr, "stacks/shop/.env: "+name+", opened with ") {
			t.Errorf("%s: check: exit %d\n%s%s", name, code, stdout, stderr)
		}
		code, stdout, _ = kargoIn(t, dir, "render", "--sops-age-key-file", keyFile)
		if code != 0 || strings.Contains(stdout, "planted") || !strings.Contains(stdout, "ADDRESS=***") || !strings.Contains(stdout, "EXTRA=***") {
			t.Errorf("%s: render: exit %d\n%s", name, code, stdout)
		}
		code, stdout, _ = kargoIn(t, dir, "render", "--sops-age-key-file", keyFile, "--show-secrets")
		if code != 0 || !strings.Contains(stdout, "ADDRESS=pg://app:planted-pin@db") {
			t.Errorf("%s: render --show-secrets: exit %d\n%s", name, code, stdout)
		}
		data := t.TempDir()
		if code, _, stderr := kargoIn(t, dir, "configure", "--data", data, "--sops-age-key-file", keyFile); code != 0 {
			t.Errorf("%s: configure: exit %d: %s", name, code, stderr)
		}
		if written, err := os.ReadFile(filepath.Join(data, ".kargo/stacks/shop/.env")); err != nil || string(written) != string(sealed) {
			t.Errorf("%s: .kargo has %q, %v", name, written, err)
		}
		code, stdout, _ = kargoIn(t, dir, "check")
		if code != 2 || !strings.Contains(stdout, "stacks/shop/.env: is encrypted with "+name) {
			t.Errorf("%s: without the key: exit %d\n%s", name, code, stdout)
		}
	}
}

// A value that was encrypted shows in no problem that quotes it.
func TestProblemsHideSecrets(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	seal := secretstest.For(secretstest.ForAge(t, key.Recipient().String()))
	dir := workspaceIn(t, ".env="+string(seal.Seal(t, ".env", "", "STACKS=web\nWEB_STACK=app\nMODE_PIN=planted-mode\n")),
		"deploy/app.yml=services:\n  app:\n    image: app:1\n    deploy: {mode: \"${MODE_PIN}\"}\n")
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(key.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := kargoIn(t, dir, "check", "--sops-age-key-file", keyFile)
	if want := "deploy/app.yml:4: services.app: Unknown mode: *** (replicated, global, replicated-job or global-job)\n"; code != 2 || stdout != want {
		t.Errorf("exit %d\n%s%swant %s", code, stdout, stderr, want)
	}
}

func TestRenderHidesSecrets(t *testing.T) {
	dir, keyFile, _ := sealedWorkspace(t)
	for _, form := range []string{"yaml", "json"} {
		code, stdout, stderr := kargoIn(t, dir, "render", "--sops-age-key-file", keyFile, "-o", form)
		if code != 0 || strings.Contains(stdout+stderr, "planted") || !strings.Contains(stdout, "PIN=***") || !strings.Contains(stdout, "EXTRA=***") {
			t.Errorf("exit %d\n%s%s", code, stdout, stderr)
		}
		code, shown, stderr := kargoIn(t, dir, "render", "--sops-age-key-file", keyFile, "-o", form, "--show-secrets")
		if code != 0 || !strings.Contains(shown, "PIN=planted-pin") {
			t.Errorf("--show-secrets: exit %d\n%s%s", code, shown, stderr)
		}
		hidden := strings.NewReplacer("planted-pin", "***", "planted-extra", "***").Replace(shown)
		if hidden != stdout {
			t.Errorf("more than secrets differs:\n%s\n%s", stdout, shown)
		}
	}
}

// What a person can do wrong with secrets, and what is said of it.
func TestSecretProblems(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	seal := secretstest.For(secretstest.ForAge(t, key.Recipient().String()))
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(key.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	const env = ".env=STACKS=web\nWEB_STACK=app\n"
	const app = "deploy/app.yml=services:\n  app:\n    image: app:1\n"
	for _, test := range []struct {
		name  string
		files []string
		want  string
	}{
		{
			"a reference where nobody resolves it", []string{env + ". more/a.env\n", app, "more/a.env=A=ref+file:a\n"},
			"more/a.env:1: A holds a reference that is not resolved here (references stand in .env, or in a file NAME.env beside it, as the whole value of a variable)\n",
		},
		{
			"a reference that the operator has not allowed", []string{env + "A=ref+file:a\n", app},
			".env:3: A: cannot resolve ref+file:a: no directory of secrets is given: there is no such value (the operator names one in --secrets-dir)\n",
		},
		{
			"certificates of Traefik", []string{env, app, "acme.json=" + string(seal.Seal(t, "acme.json", "", "{\"a\": \"b\"}"))},
			"acme.json: is encrypted, but Traefik needs it on a disk (let Traefik make its own, or put it into the data directory by hand)\n",
		},
		{
			"a bind that is written to", []string{env, app + "    volumes: [\"./../configs/key:/key:rw\"]\n", "configs/key=" + string(seal.Seal(t, "key", "binary", "x\n"))},
			"deploy/app.yml:4: services.app binds configs/key, which has values that are encrypted in the repository and never written to a disk" +
				" (use secrets:, or make the bind read-only: then it becomes a Swarm secret)\n",
		},
		{
			"a pattern that matches nothing", []string{env + "KARGO_SECRETS='*_PIN [A'\n", app},
			".env:3: KARGO_SECRETS: \"[A\" is not a pattern (for example *_PASSWORD; a [ needs a ])\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, _ := kargoIn(t, workspaceIn(t, test.files...), "check", "--sops-age-key-file", keyFile)
			if code != 2 || stdout != test.want {
				t.Errorf("exit %d\n%swant\n%s", code, stdout, test.want)
			}
		})
	}
}

// A Vault that accepts connections and sends nothing must not delay a command
// that a person has interrupted. The error says what ended the request: the
// person, and not the deadline of ten seconds.
func TestCheckEndsWithThePersonAndNotWithASilentVault(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	go func() {
		connection, err := silent.Accept()
		interrupt()
		if err == nil {
			<-t.Context().Done()
			connection.Close()
		}
	}()
	t.Chdir(workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\nPIN=ref+vault:secret/web#pin\n", "deploy/app.yml=services: {app: {image: 'app:1'}}\n"))
	var out, errs bytes.Buffer
	code := run(ctx, []string{"check", "--vault-address", "http://" + silent.Addr().String()}, []string{"HOME=" + t.TempDir(), "KARGO_VAULT_TOKEN=planted-token"}, &out, &errs)
	if code != 3 || !strings.Contains(errs.String(), ".env: was not opened: context canceled") {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
}
