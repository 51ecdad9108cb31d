package e2e_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dockerimage "github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"

	"kargo"
)

// A private image runs where the credentials of its registry are known: nodes
// get them with the service, and the tag is pinned to what it meant.
func TestAnImageFromAPrivateRegistry(t *testing.T) {
	t.Parallel()
	address := testBed(t, "KARGO_TEST_PRIVATE_REGISTRY")
	user, password := testBed(t, "KARGO_TEST_REGISTRY_USER"), testBed(t, "KARGO_TEST_REGISTRY_PASSWORD")
	file := filepath.Join(t.TempDir(), "config.json")
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, address, auth), 0o600); err != nil {
		t.Fatal(err)
	}

	s := onDocker(t, "--registry-auth-file", file)
	private := address + "/" + s.prefix + ":1"
	s.push(private, registry.AuthConfig{Username: user, Password: password})

	d := s.begin(s.workspace().stack("web", "app").service("app", replicas(1), image(private)))
	if d.Outcome != kargo.OutcomeSucceeded {
		t.Fatalf("deployment %s: %s", d.Outcome, d.Err)
	}
	if got := s.services()[s.service("web", "app")].Image; !strings.HasPrefix(got, private+"@sha256:") {
		t.Errorf("runs %s: the tag is not pinned", got)
	}

	// A tag that was never pushed is seen before anything is touched, though
	// another service of the stack could have gone ahead; once it is there,
	// the registry is asked again.
	w := s.workspace().stack("web", "app", "more").service("app", replicas(1), image(private+"0")).service("more", replicas(1))
	mark := s.docker.mark()
	if d := s.deploy(w); d.Outcome != kargo.OutcomeFailed || !strings.Contains(d.Err, "there is no image "+private+"0 (manifest unknown") {
		t.Errorf("deployment %s: %s", d.Outcome, d.Err)
	}
	if got := s.docker.writesSince(mark); len(got) > 0 {
		t.Errorf("something was touched: %q", got)
	}
	s.push(private+"0", registry.AuthConfig{Username: user, Password: password})
	s.awaitRound(s.sync)
	s.awaitStatus("the pushed image runs", func(k kargo.Status) bool { return k.Stacks[0].InSync && k.Stacks[0].Health == kargo.HealthHealthy })

	if strings.Contains(s.log(), password) || strings.Contains(s.log(), auth) {
		t.Error("the log holds the credential")
	}
}

// push puts the test server into a registry, and out of the node's own store,
// so that a node must pull it to run it.
func (s *scene) push(name string, auth registry.AuthConfig) {
	s.t.Helper()
	check := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	ctx := s.t.Context()
	check(s.api.ImageTag(ctx, "kargo/testserver:1", name))
	encoded, err := registry.EncodeAuthConfig(auth)
	check(err)
	progress, err := s.api.ImagePush(ctx, name, dockerimage.PushOptions{RegistryAuth: encoded})
	check(err)
	said, err := io.ReadAll(progress)
	check(err)
	if strings.Contains(string(said), `"error"`) {
		s.t.Fatalf("push %s: %s", name, said)
	}
	_, err = s.api.ImageRemove(ctx, name, dockerimage.RemoveOptions{})
	check(err)
}
