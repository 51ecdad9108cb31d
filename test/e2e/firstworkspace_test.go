package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// standIns are the images of the first workspaces, by what stands for them.
var standIns = map[string]string{
	"tecnativa/docker-socket-proxy:v0.4.2":    "kargo/docker-socket-proxy:test",
	"traefik:v3.6":                            "kargo/traefik:test",
	"redis:7":                                 "kargo/redis:test",
	"redis:7-alpine":                          "kargo/redis:test",
	"ghcr.io/joeferner/redis-commander:0.9.0": "kargo/redis-commander:test",
}

// TestFirstWorkspaces applies the workspaces that newcomers try first, as they
// are, on a bare Swarm of one node, with real software. `make catalogue` runs it.
func TestFirstWorkspaces(t *testing.T) {
	if os.Getenv("KARGO_TEST_CATALOGUE") == "" {
		t.Skip("`make catalogue` runs this: it wants images of real software")
	}
	for image, standIn := range standIns {
		dockerAt(t, "n1", "tag", standIn, image)
	}
	env := []string{"DOCKER_HOST=" + testBed(t, "KARGO_TEST_DOCKER")}
	for name, workspace := range map[string]string{"README": readmeWorkspace(t), "quick-start": absolute(t, "../../examples/quick-start")} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			options := []string{"--workspace", workspace, "--data", data, "--instance", name}
			if got := runWithin(t, startup, data, env, append([]string{"apply", "--wait", "3m"}, options...)...); got.code != 0 {
				t.Errorf("apply: %s", got)
			}
			if got := runWithin(t, time.Minute, data, env, append([]string{"remove", "all"}, options...)...); got.code != 0 {
				t.Errorf("remove: %s", got)
			}
		})
	}
}

// readmeWorkspace is the workspace of README.md in a directory.
func readmeWorkspace(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(STACKS=.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("README.md has no block that begins with STACKS=")
	}
	// The page leaves out most of the hash.
	text := strings.Replace(string(block[1]), "$apr1$…", "$apr1$kargobed$RWhJHtE5XRoXVWt5Bmp4p1", 1)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
