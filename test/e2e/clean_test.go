package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kargo"
)

// Kargo's own image, run on each node, removes what no service runs or may be
// rolled back to, of the repositories that services run, and nothing else.
func TestOldImagesLeaveTheNodes(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	own, repository := "kargo/self:"+s.prefix, "kargo/clean-"+s.prefix
	s.buildImage(own, "FROM scratch\nCOPY kargo /kargo\nENTRYPOINT [\"/kargo\"]\n", kargoBinary)
	for _, tag := range []string{"0", "1", "2"} {
		s.buildImage(repository+":"+tag, "FROM kargo/testserver:1\nLABEL version="+tag+"\n")
	}
	w := s.workspace().stack("web", "app").service("app", replicas(1), image(repository+":1"))
	s.begin(w)
	if d := s.deploy(w.service("app", replicas(1), image(repository+":2"))); d.Outcome != kargo.OutcomeSucceeded {
		t.Fatalf("deployment %s: %s", d.Outcome, d.Err)
	}
	s.stop()
	// From now on: an image that is yet to be deployed is one that nothing needs.
	s.args = append(s.args, "--clean-images", "@every 3s", "--clean-image", own, "--clean-images-age", "0s")
	s.start()
	status := s.awaitStatus("images were cleaned", func(k kargo.Status) bool {
		return k.Cleaned != nil && !slices.Contains(s.imagesOf(repository), repository+":0")
	})
	if nodes := status.Cleaned.Nodes; len(nodes) != 1 || nodes[0].Err != "" || !strings.Contains(nodes[0].Said, "removed ") {
		t.Errorf("report: %+v", status.Cleaned)
	}
	if got, want := s.imagesOf(repository), []string{repository + ":1", repository + ":2"}; !slices.Equal(got, want) {
		t.Errorf("images left: %q, want %q", got, want)
	}
	if got := s.imagesOf("kargo/testserver"); len(got) == 0 {
		t.Error("another repository's images are gone")
	}
	jobs := func() []string {
		return strings.Fields(s.dockerSays("service", "ls", "-q", "--filter", "label=kargo.job="+s.prefix))
	}
	until(t, "the job is gone", func() bool { return len(jobs()) == 0 })

	// One that a killed controller leaves goes before the next.
	var left []string
	until(t, "the next job is there", func() bool { left = jobs(); return len(left) == 1 })
	s.kill()
	s.start()
	until(t, "what was left is gone", func() bool { return !slices.Contains(jobs(), left[0]) })
	s.stop()
	for _, job := range jobs() {
		s.dockerSays("service", "rm", job)
	}
}

// buildImage makes an image on the engine, of a Dockerfile and files beside it.
func (s *scene) buildImage(name, dockerfile string, files ...string) {
	s.t.Helper()
	context := s.t.TempDir()
	writeFile(s.t, filepath.Join(context, "Dockerfile"), dockerfile)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(context, filepath.Base(file)), data, 0o755)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.dockerSays("build", "-q", "-t", name, context)
	s.t.Cleanup(func() { s.dockerSays("rmi", "--force", name) })
}

func (s *scene) imagesOf(repository string) []string {
	s.t.Helper()
	images := strings.Fields(s.dockerSays("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository))
	slices.Sort(images)
	return images
}

// dockerSays runs Docker's own command on the engine.
func (s *scene) dockerSays(args ...string) string {
	s.t.Helper()
	docker := exec.Command("docker", append([]string{"--host", testBed(s.t, "KARGO_TEST_DOCKER")}, args...)...)
	docker.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	out, err := docker.Output()
	if err != nil {
		s.t.Fatalf("docker %v: %v", args, err)
	}
	return string(out)
}
