package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"kargo"
)

// catalogueIn writes a catalogue of one service and returns its version.
func catalogueIn(t *testing.T, dir, tag string) string {
	t.Helper()
	writeFile(t, filepath.Join(dir, ".env.default"), "SITE_TAG="+tag+"\n")
	writeFile(t, filepath.Join(dir, "deploy/site.yml"), "services: {site: {image: \"kargo/testserver:${SITE_TAG}\", networks: [own], deploy: {replicas: 0}}}\nnetworks: {own: }\n")
	var list struct{ Version string }
	if err := json.Unmarshal([]byte(run(t, dir, nil, "catalogue", "--defaults", dir, "-o", "json").stdout), &list); err != nil {
		t.Fatal(err)
	}
	return list.Version
}

// TestAnotherCatalogueWaitsForApproval upgrades Kargo under a workspace that
// pins the catalogue: nothing moves until a person approves, and then that.
func TestAnotherCatalogueWaitsForApproval(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := catalogueIn(t, dir, "1")
	s := inMemory(t, "--defaults", dir)
	w := s.workspace().stack("web", "site").stack("own", "mine").service("mine").set("KARGO_CATALOGUE", first)
	s.begin(w)
	before := s.services()
	s.stop()
	second := catalogueIn(t, dir, "2")
	mark := s.docker.mark()
	s.start()
	status := s.awaitStatus("the change is held", func(k kargo.Status) bool { return len(k.Pending.Held) > 0 })
	want := "hold service kargo-t-web_site: update (TaskTemplate.ContainerSpec.Image: \"kargo/testserver:1\" -> \"kargo/testserver:2\"), but " +
		"the workspace accepts catalogue " + first + " and this is " + second + ": it waits for approval, or for KARGO_CATALOGUE=" + second
	if said := s.cli("status").stdout; !strings.Contains(said, want) {
		t.Errorf("kargo status says\n%s\nand should say\n%s", said, want)
	}
	if writes := s.docker.writesSince(mark); len(writes) > 0 {
		t.Errorf("written was %q", writes)
	}
	if got := s.cli("approve", status.Pending.ID); got.code != 0 {
		t.Fatalf("kargo approve: %s", got)
	}
	until(t, "the service moved, and no other", func() bool {
		return strings.Join(moved(before, s.services()), " ") == "kargo-t-web_site"
	})
}
