package e2e_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"
)

// guessable are secrets that somebody can guess, by what they are.
var guessable = map[string]string{
	"variable":              "hunter22",
	"variable, renewed":     "hunter23",
	"content of a config":   "requirepass swordfish\n",
	"content of a template": "password=hunter22\n",
	"content of a bound":    "letmein1\n",
	"content of a secret":   "qwerty99\n",
}

// hashes are those that somebody who guesses tries. That with an empty key is a digest
// whose key was forgotten.
var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
	"hmac": func() hash.Hash { return hmac.New(sha256.New, nil) },
}

// shortestDigest is the number of digits that must agree. No digest that Kargo shows is
// shorter, and fewer digits agree by chance.
const shortestDigest = 8

// attempts returns what may show that a guess is right, by how it was made: the guess
// itself, and the beginnings of its digests.
func attempts(what, guess string) map[string]string {
	all := map[string]string{what: strings.TrimSpace(guess)}
	line := strings.TrimSpace(guess)
	for _, form := range []string{guess, line, line + "\n", "DB_PASSWORD=" + line, "\x00" + guess, "golang\x00" + guess} {
		for name, make := range hashes {
			sum := make()
			sum.Write([]byte(form))
			digest := sum.Sum(nil)
			all[fmt.Sprintf("%s, %s of %q", what, name, form)] = hex.EncodeToString(digest)[:shortestDigest]
			all[fmt.Sprintf("%s, %s of %q in base64", what, name, form)] = base64.StdEncoding.EncodeToString(digest)[:shortestDigest]
		}
	}
	return all
}

// tryGuesses looks for all that shows that a guess is right.
func (o outputs) tryGuesses(t *testing.T) {
	t.Helper()
	for where, text := range o {
		if text == "" {
			t.Errorf("%s is empty", where)
		}
		for what, guess := range guessable {
			for how, attempt := range attempts(what, guess) {
				if i := strings.Index(text, attempt); i >= 0 {
					t.Errorf("%s shows the %s: …%s…", where, how, text[max(0, i-100):min(len(text), i+100)])
				}
			}
		}
	}
}

// TestS43_NothingToTryPasswordsOn plants secrets that can be guessed, and tries the
// guesses on everything that anybody may see but the workspace, the environment of
// services and the content of configs. The commit of the workspace is that of a
// directory, and of a repository.
func TestS43_NothingToTryPasswordsOn(t *testing.T) {
	t.Parallel()
	notified := notificationSink(t)
	s := inMemory(t, "--log-level", "debug", "--notify-url", notified.url)
	s.env = append(s.env, "KARGO_API_TOKEN="+planted["API token"], "KARGO_NOTIFY_SECRET="+planted["notification secret"])
	if err := s.api.ConfigRemove(t.Context(), "kargo-sealed-key-"+s.prefix); err != nil { // the key is its own
		t.Fatal(err)
	}
	w := s.workspace().stack("web", "site").set("DB_PASSWORD", guessable["variable"]).set("BIND_BINDS", "keep").
		service("site", environment("DB_PASSWORD=${DB_PASSWORD}"), command("serve --password ${DB_PASSWORD}"),
			config("/redis.conf", "configs/redis.conf"), config("/app.conf", "configs/app.conf"), secret("db", "configs/db.txt")).
		file("configs/redis.conf", guessable["content of a config"]).
		file("configs/app.conf.tpl", "password=${DB_PASSWORD}\n").
		file("configs/db.txt", guessable["content of a secret"]).
		file("configs/bound/pass", guessable["content of a bound"])
	w.set("WEB_STACK", "site bind").file("deploy/bind.yml",
		"services:\n  bind: {image: \"kargo/testserver:1\", volumes: [\"../configs/bound:/bound:ro\"], deploy: {endpoint_mode: dnsrr, replicas: 0}}\n")

	// A directory: plan, apply, and what that leaves.
	seen := outputs{}
	dir, data := t.TempDir(), t.TempDir()
	w.write(t, dir)
	command := func(name string, args ...string) result {
		args = append([]string{name, "--workspace", dir, "--data", data, "--instance", s.prefix}, args...)
		return run(t, "/", s.env, args...)
	}
	first := command("plan")
	seen["first plan"] = first.String()
	seen["first plan in JSON"] = command("plan", "-o", "json").String()
	id := planID(t, first.stdout)
	if again := planID(t, command("plan").stdout); again != id {
		t.Errorf("the plan is %s, and then %s", id, again)
	}
	applied := command("apply", "--plan", id)
	if applied.code != 0 {
		t.Fatalf("the plan that was shown is not applied: %s", applied)
	}
	seen["apply"] = applied.String()
	s.sees(seen, "deployed from a directory")
	seen.files(t, "directory", filepath.Join(data, ".kargo-state"))
	if again := command("plan"); !strings.Contains(again.stdout, "nothing to do") {
		t.Errorf("then there is something to do: %s", again)
	}

	// A repository: the same content is no change; then the password is renewed, and
	// somebody changes it by hand.
	s.repo.commit(w)
	s.start()
	s.sync()
	seen.collect(s, "followed")
	s.deploy(w.set("DB_PASSWORD", guessable["variable, renewed"]))
	seen.collect(s, "renewed")
	before := s.history()[0].Number
	s.change(s.service("web", "site"), func(spec *dockerswarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Env = []string{"DB_PASSWORD=" + guessable["variable"]}
	})
	s.awaitCorrection(before)
	seen.collect(s, "changed by hand")
	s.sees(seen, "at the end")
	s.stop()
	seen["log"] = s.log()
	seen["notifications"] = notified.text()
	seen.files(t, "repository", filepath.Join(s.data, ".kargo-state"))
	seen.tryGuesses(t)
}

var planLine = regexp.MustCompile(`(?m)^plan (\w+) of `)

// planID returns the ID of a plan that was printed.
func planID(t *testing.T, text string) string {
	t.Helper()
	match := planLine.FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("there is no plan in %s", text)
	}
	return match[1]
}

// sees adds the names and labels of all that Swarm has, whoever made it.
func (s *scene) sees(seen outputs, when string) {
	s.t.Helper()
	var all []any
	configs, err := s.api.ConfigList(s.t.Context(), dockerswarm.ConfigListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, config := range configs {
		all = append(all, config.Spec.Annotations)
	}
	secrets, err := s.api.SecretList(s.t.Context(), dockerswarm.SecretListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, secret := range secrets {
		all = append(all, secret.Spec.Annotations)
	}
	networks, err := s.api.NetworkList(s.t.Context(), network.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, found := range networks {
		all = append(all, found)
	}
	services, err := s.api.ServiceList(s.t.Context(), dockerswarm.ServiceListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, service := range services {
		spec := service.Spec
		container := *spec.TaskTemplate.ContainerSpec
		container.Env, container.Args = nil, nil // Swarm shows them
		spec.TaskTemplate.ContainerSpec = &container
		all = append(all, spec)
	}
	data, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	seen[when+": names and labels"] = string(data)
}
