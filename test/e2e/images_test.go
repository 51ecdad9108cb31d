package e2e_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/registry"

	"kargo"
)

// A newer tag in a real registry is committed to a real git host, and what the
// commit says is rolled out: one line of .env, and one service.
func TestANewerTagIsCommittedAndRolledOut(t *testing.T) {
	t.Parallel()
	address := testBed(t, "KARGO_TEST_PRIVATE_REGISTRY")
	auth := registry.AuthConfig{Username: testBed(t, "KARGO_TEST_REGISTRY_USER"), Password: testBed(t, "KARGO_TEST_REGISTRY_PASSWORD")}
	credentials := filepath.Join(t.TempDir(), "config.json")
	encoded := base64.StdEncoding.EncodeToString([]byte(auth.Username + ":" + auth.Password))
	writeFile(t, credentials, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, address, encoded))

	s := onDocker(t, "--registry-auth-file", credentials, "--insecure-registry", address, "--commit-author", "Release Robot <robot@example.org>")
	host := newGitHost(t)
	path := host.host(s.repo)
	password := filepath.Join(t.TempDir(), "password")
	writeFile(t, password, gitWriterPassword+"\n")
	s.args = append(s.args, "--repo", host.url("HTTPS", "")+"/"+path, "--ref", "main", "--git-username", gitWriter,
		"--git-password-file", password, "--git-ca-file", os.Getenv("KARGO_TEST_GIT_CA"))

	image1 := address + "/" + s.prefix
	s.push(image1+":1.0", auth)
	w := s.workspace().stack("web", "app", "other").set("APP_TAG", "1.0").
		service("app", replicas(1), image(image1+":${APP_TAG}")).service("other", replicas(1)).
		file("kargo.yml", fmt.Sprintf("images:\n  APP_TAG: {image: %q, semver: \"1.x\", write: true}\n", image1))
	commit := s.repo.commit(w)
	s.repo.push()
	s.start()
	if d := s.awaitDeployment(commit); d.Outcome != kargo.OutcomeSucceeded {
		t.Fatalf("deployment %s: %s", d.Outcome, d.Err)
	}

	s.push(image1+":1.1", auth)
	s.push(image1+":2.0", auth) // not asked for
	s.sync()
	status := s.awaitStatus("the newer tag runs", func(k kargo.Status) bool {
		return len(k.Images) == 1 && k.Images[0].Commit != "" && k.Applied.Commit == k.Images[0].Commit && k.Stacks[0].InSync && k.Stacks[0].Health == kargo.HealthHealthy
	})
	if got := s.services()[s.service("web", "app")].Image; !strings.HasPrefix(got, image1+":1.1@sha256:") {
		t.Errorf("runs %s", got)
	}
	d := s.history()[0]
	same(t, "the newest deployment", d.Revision.Subject, "Raise APP_TAG from 1.0 to 1.1")
	same(t, "what changed", s.changed(d), "update service kargo-web_app")
	s.repo.git("fetch", "-q", "origin")
	same(t, "author", strings.TrimSpace(s.repo.git("log", "-1", "--format=%an <%ae>", "origin/main")), "Release Robot <robot@example.org>")
	same(t, "what was changed", strings.TrimSpace(s.repo.git("diff", "--numstat", commit, status.Images[0].Commit)), "1\t1\t.env")
	if got := s.cli("images"); got.code != 0 || !strings.Contains(got.stdout, "APP_TAG") {
		t.Errorf("kargo images: %s", got)
	} else {
		t.Log(got.stdout)
	}
}
