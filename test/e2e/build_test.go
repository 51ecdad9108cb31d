package e2e_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	dockerimage "github.com/docker/docker/api/types/image"
)

// A recipe is built, pushed to the registry that its name says, and what it
// made is deployed from there.
func TestBuildPushesAnImageThatRuns(t *testing.T) {
	t.Parallel()
	address := testBed(t, "KARGO_TEST_PRIVATE_REGISTRY")
	user, password := testBed(t, "KARGO_TEST_REGISTRY_USER"), testBed(t, "KARGO_TEST_REGISTRY_PASSWORD")
	s := onDocker(t)
	w := s.workspace().set("SITE_IMAGE", address+"/"+s.prefix+"-site").set("SITE_TAG", "7").
		stack("web", "site").service("site", replicas(1), image("${SITE_IMAGE}:${SITE_TAG}")).
		file("build/site/build.yml", "image: ${SITE_IMAGE}:${SITE_TAG}\nargs: {BASE: kargo/testserver:1}\ninclude: {page: configs/page.txt}\npull: false\n").
		file("build/site/Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY page /page.txt\n").
		file("configs/page.txt", "hello\n").
		file("build/broken/build.yml", "image: broken:1\npush: false\n").file("build/broken/Dockerfile", "FROM scratch\nBAKE cake\n")
	p := s.person(w)
	p.want(2, `there is no recipe build/sites/build.yml\nhint: did you mean site\?`, "build", "sites")
	p.want(3, `push \S+site:7: .*\nhint: does the registry know you\?`, "build", "site")
	p.want(2, `unknown instruction: BAKE`, "build", "broken")

	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, address, auth), 0o600); err != nil {
		t.Fatal(err)
	}
	out := p.want(0, `(?s)Step 3/3 : COPY page /page.txt\n.*built and pushed \S+site:7\n$`, "build", "site", "--registry-auth-file", file)
	if strings.Contains(out, password) || strings.Contains(out, auth) || strings.Contains(out, "\x1b") {
		t.Errorf("the output holds a credential, or what only terminals understand:\n%s", out)
	}
	// The registry has it: gone from the node, it can be pulled.
	name := address + "/" + s.prefix + "-site:7"
	if _, err := s.api.ImageRemove(t.Context(), name, dockerimage.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	p.want(0, "stack web is up", "deploy", "all", "--registry-auth-file", file)
	if got := s.services()[s.service("web", "site")]; got.Running != 1 || !strings.HasPrefix(got.Image, name+"@sha256:") {
		t.Errorf("%d tasks of %s run", got.Running, got.Image)
	}
}

// The base images of the catalogue's recipes are not available here. The
// engine's error for each shows that it could read the recipe: it looks for the
// base image.
func TestRecipesOfTheCatalogueAreDockerfiles(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	w := s.workspace().stack("web", "site").service("site").
		set("SUBDOMAIN", "example.org").set("WEACAST_LOADER_BASE", "weacast/weacast-gfs:world-1.11.0").
		set("WEACAST_LOADER_IMAGE", "loader").set("WEACAST_LOADER_TAG", "1").
		file("configs/kano/x", "").file("configs/weacast/x", "").file("configs/weacast-loader/x", "")
	p := s.person(w)
	names := strings.Fields(p.want(0, "mapserver\n", "build"))
	if len(names) != 9 {
		t.Errorf("the catalogue has the recipes %s", names)
	}
	looksForBase := regexp.MustCompile(`(?i)pull|dial tcp|no such host|lookup|registry|not found|timeout`)
	for _, name := range names {
		got := p.run("build", name, "--push=false")
		if got.code == 0 || !looksForBase.MatchString(got.stderr) || strings.Contains(got.stderr, "parse") || strings.Contains(got.stderr, "unknown") {
			t.Errorf("build %s: %s", name, got)
		}
		// Nobody pushes an image under a name that is not theirs.
		if name != "weacast-loader" {
			if got := p.run("build", name); got.code != 2 || !strings.Contains(got.stderr, "is the catalogue's own image, and not yours to push") {
				t.Errorf("build %s: %s", name, got)
			}
		}
	}
}
