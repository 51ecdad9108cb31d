package e2e_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	dockerswarm "github.com/docker/docker/api/types/swarm"
	"github.com/getsops/sops/v3"

	"kargo"
	"kargo/secrets/secretstest"
)

// sealedSecrets are those of the runs below: encrypted in the repository, or
// outside of it. None has a name that would give it away.
var sealedSecrets = map[string]string{
	"variable of an encrypted file":      "planted-sops-pin",
	"variable, renewed":                  "planted-renewed-pin",
	"variable, set by hand":              "planted-pin-by-hand",
	"variable of a whole encrypted file": "planted-age-extra",
	"value of Vault":                     "planted-vault-value",
	"value of Vault, renewed":            "planted-vault-renewed",
	"value of a file":                    "planted-file-value",
	"value of a variable":                "planted-variable-value",
	"content of a secret":                "planted-secret-content",
	"content of a bound key":             "planted-bound-key",
	"token for Vault":                    "hvs.planted-vault-token",
}

// sealedScene is a controller with keys and stores, and a workspace that uses
// each.
type sealedScene struct {
	*scene
	vault *secretstest.Vault
	seal  secretstest.Sealer
	age   age.Recipient
	keys  string // directory of the operator's keys
}

func sealedOn(scene *scene) *sealedScene {
	t := scene.t
	t.Helper()
	key := secretstest.NewAgeKey(t)
	s := &sealedScene{
		scene: scene, vault: secretstest.NewVault(t), keys: shortTempDir(t), age: key.Recipient(),
		seal: secretstest.For(secretstest.ForAge(t, key.Recipient().String())),
	}
	s.vault.Put("secret/db", map[string]any{"password": sealedSecrets["value of Vault"]})
	writeFile(t, filepath.Join(s.keys, "age"), key.String()+"\n")
	writeFile(t, filepath.Join(s.keys, "ca"), string(s.vault.CA))
	writeFile(t, filepath.Join(s.keys, "token"), s.vault.Token+"\n")
	writeFile(t, filepath.Join(s.keys, "secrets", "smtp"), sealedSecrets["value of a file"]+"\n")
	s.env = append(s.env, "KARGO_SOPS_AGE_KEY_FILE="+filepath.Join(s.keys, "age"), "KARGO_SECRETS_DIR="+filepath.Join(s.keys, "secrets"),
		"KARGO_SECRET_LICENCE="+sealedSecrets["value of a variable"],
		"KARGO_VAULT_ADDRESS="+s.vault.Address, "KARGO_VAULT_TOKEN_FILE="+filepath.Join(s.keys, "token"), "KARGO_VAULT_CA_FILE="+filepath.Join(s.keys, "ca"))
	return s
}

// workspace uses a secret in every place where one can be.
func (s *sealedScene) workspace(pin string) *workspace {
	only := s.seal
	only.Change = func(m *sops.Metadata) { m.UnencryptedSuffix, m.EncryptedRegex = "", "^PIN$" }
	w := s.scene.workspace().stack("web", "site", "db").
		service("site", environment("NUMBER=${PIN}", "ADDRESS=pg://app:${BOARD}@db/app", "EXTRA=${EXTRA}", "MAIL=${MAIL}", "LICENCE=${LICENCE}"),
			command("serve --pin ${PIN} --board ${BOARD}"), config("/app.conf", "configs/app.conf")).
		service("db", secret("db", "configs/db.txt")).
		file("configs/db.txt", string(s.seal.Seal(s.t, "configs/db.txt", "", sealedSecrets["content of a secret"]+"\n"))).
		file("configs/app.conf.tpl", "pin $PIN\n").
		file("extra.env", string(s.seal.Seal(s.t, "extra.env", "binary", "EXTRA="+sealedSecrets["variable of a whole encrypted file"]+"\n")))
	text := w.envFile() + "PIN=" + pin + "\nBOARD=ref+vault:secret/db#password\nMAIL=ref+file:smtp\nLICENCE=ref+env:KARGO_SECRET_LICENCE\nsource extra.env\n"
	lines := strings.Split(text, "\n") // SOPS takes assignments only
	source := slices.Index(lines, "source extra.env")
	lines[source] = ""
	sealed := string(only.Seal(s.t, "a.env", "", strings.Join(lines, "\n")))
	return w.file("sealed.env", sealed).file(".env", ". ./sealed.env\n. extra.env\n")
}

// files are all files of the data directory that Kargo wrote, by name.
func (o outputs) files(t *testing.T, when, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if len(data) > 0 {
			o[when+": file "+strings.TrimPrefix(path, dir)] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ask runs the commands that read a workspace.
func (o outputs) ask(s *sealedScene, when string) {
	s.t.Helper()
	for _, args := range [][]string{{"check"}, {"env"}, {"plan"}, {"plan", "-o", "json"}, {"why", "PIN"}, {"why", "BOARD"}} {
		all := append(slices.Clone(args), "--workspace", s.repo.dir, "--data", s.data)
		if args[0] == "plan" {
			all = append(all, "--instance", s.prefix)
		}
		o[when+": kargo "+strings.Join(args, " ")] = run(s.t, "/", s.env, all...).String()
	}
}

// TestS17_DecryptedSecretsAreNowhereToBeSeen lets everything happen that can to
// a workspace with encrypted files and values from outside, and searches all
// that was said, and every file that was written.
func TestS17_DecryptedSecretsAreNowhereToBeSeen(t *testing.T) {
	t.Parallel()
	s := sealedOn(inMemory(t))
	notified := notificationSink(t)
	s.args = append(s.args, "--notify-url", notified.url)
	s.env = append(s.env, "KARGO_API_TOKEN="+planted["API token"])
	seen := outputs{}
	look := func(when string) {
		seen.collect(s.scene, when)
		seen.ask(s, when)
		seen.files(t, when, s.data)
	}

	// Refused by Docker, in words that quote the spec; then deployed.
	w := s.workspace(sealedSecrets["variable of an encrypted file"])
	s.repo.commit(w)
	s.docker.meddle(quoting)
	s.start()
	refused := s.awaitStatus("Docker's words are in the status", func(k kargo.Status) bool { return strings.Contains(k.Message, "invalid spec") && len(k.Stacks) > 0 })
	look("refused by Docker")
	s.docker.meddle(nil)
	if got := s.cli("retry", refused.Stacks[0].Name); got.code != 0 {
		t.Errorf("kargo retry: %+v", got)
	}
	s.deploy(w.file("README.md", "again\n"))
	look("deployed")

	// Everything arrived where it is wanted.
	site := s.services()[s.service("web", "site")].Spec.TaskTemplate.ContainerSpec
	want := []string{"ADDRESS=pg://app:planted-vault-value@db/app", "EXTRA=planted-age-extra", "LICENCE=planted-variable-value",
		"MAIL=planted-file-value", "NUMBER=planted-sops-pin"}
	if got := slices.Sorted(slices.Values(site.Env)); !slices.Equal(got, want) {
		t.Errorf("the containers see %q, want %q", got, want)
	}

	// Renewed by a commit, and in Vault without one; changed by hand.
	s.deploy(s.workspace(sealedSecrets["variable, renewed"]))
	look("renewed")
	before := s.history()[0].Number
	s.vault.Put("secret/db", map[string]any{"password": sealedSecrets["value of Vault, renewed"]})
	s.sync()
	if d := s.awaitCorrection(before); d.Trigger != "values outside the repository changed" {
		t.Errorf("the deployment was triggered by %q", d.Trigger)
	}
	look("renewed in Vault")
	before = s.history()[0].Number
	s.change(s.service("web", "site"), func(spec *dockerswarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Env = []string{"NUMBER=" + sealedSecrets["variable, set by hand"]}
	})
	s.awaitCorrection(before)
	look("changed by hand")

	// Revisions that are refused, in words that quote; keys and stores that are
	// gone.
	bad := s.workspace(sealedSecrets["variable, renewed"]).file("deploy/site.yml", "services:\n  site: {image: 'kargo/testserver:1', deploy: {mode: \"${PIN}\"}}\n")
	commit := s.repo.commit(bad)
	s.sync()
	s.awaitStatus("the head is refused", func(k kargo.Status) bool { return k.Head.Commit == commit && k.Fault == "invalid" })
	look("refused")
	s.vault.Seal(true)
	s.repo.commit(s.workspace(sealedSecrets["variable, renewed"]).file("README.md", "once more\n"))
	s.sync()
	s.awaitFault("unavailable", "Vault is sealed")
	look("Vault is sealed")

	s.stop()
	seen["log"] = s.log()
	seen["notifications"] = notified.text()
	seen.files(t, "at the end", s.data)
	hidden := maps.Clone(sealedSecrets)
	delete(hidden, "variable, set by hand") // what nobody knows to be secret, nobody can hide
	seen.search(t, hidden)
}

// TestSealedFilesReachTheContainer: what is encrypted in the repository is
// plain in the container and nowhere else; and because the key of the instance
// lies in Swarm, a controller without any memory finds nothing to change.
func TestSealedFilesReachTheContainer(t *testing.T) {
	t.Parallel()
	s := sealedOn(onDocker(t))
	w := s.scene.workspace().stack("web", "site").
		service("site", replicas(1), networks("back"), secret("db", "configs/db.txt")).
		set("SITE_EXTENSION", "site-key").
		file("deploy/site-key.yml", "services:\n  site:\n    volumes:\n      - ./../configs/tls.key:/etc/tls.key\n").
		file("configs/db.txt", string(s.seal.Seal(t, "configs/db.txt", "", sealedSecrets["content of a secret"]+"\n"))).
		file("configs/tls.key", string(secretstest.AgeEncrypt(t, sealedSecrets["content of a bound key"]+"\n", true, s.age)))
	s.start()
	s.deploy(w)
	want := sealedSecrets["content of a secret"] + "\n" + sealedSecrets["content of a bound key"] + "\n"
	if got := s.printed("web", "site", "/run/secrets/db", "/etc/tls.key"); got != want {
		t.Errorf("the container has %q", got)
	}
	seen := outputs{}
	seen.files(t, "data", s.data)
	seen.search(t, sealedSecrets)

	before := s.services()
	s.stop()
	other := &sealedScene{scene: s.again(), vault: s.vault, seal: s.seal, keys: s.keys}
	other.env = s.env
	other.repo.commit(w.file("README.md", "elsewhere\n"))
	other.start()
	other.awaitStatus("the other controller is at rest", func(k kargo.Status) bool { return k.Ready() && k.Applied.Commit != "" })
	if names := moved(before, other.services()); len(names) > 0 {
		t.Errorf("without its data directory %q moved", names)
	}
}
