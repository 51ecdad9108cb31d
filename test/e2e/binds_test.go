package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBoundFilesReachTheContainer binds a folder of the workspace: its files,
// folders and emptiness are in the container, without any file system that the
// node and the controller share, and a change of one rolls the service.
func TestBoundFilesReachTheContainer(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	w := s.workspace().stack("web", "site", "other").
		service("site", replicas(1), networks("back")).service("other", networks("back")).
		set("SITE_EXTENSION", "site-files").
		file("deploy/site-files.yml", "services:\n  site:\n    volumes:\n      - ./../configs/site:/etc/site\n      - ./../configs/one.txt:/etc/one\n").
		file("configs/site/page.html", "first\n").file("configs/site/sub/deep.txt", "deep\n").file("configs/site/.empty", "").
		file("configs/one.txt", "one\n")
	s.start()
	s.deploy(w)
	files := []string{"/etc/site/page.html", "/etc/site/.empty", "/etc/site/sub/deep.txt", "/etc/one"}
	if got := s.printed("web", "site", files...); got != "first\ndeep\none\n" {
		t.Errorf("the container has %q", got)
	}

	before := s.services()
	s.deploy(w.file("configs/site/page.html", "second\n"))
	if got := s.printed("web", "site", files...); got != "second\ndeep\none\n" {
		t.Errorf("after a change the container has %q", got)
	}
	if names := moved(before, s.services()); strings.Join(names, " ") != s.service("web", "site") {
		t.Errorf("%q moved", names)
	}
}

// printed is what a service's container prints of files.
func (s *scene) printed(stack, service string, files ...string) string {
	s.t.Helper()
	docker := func(args ...string) string {
		command := exec.Command("docker", args...)
		command.Env = append(os.Environ(), "DOCKER_HOST="+testBed(s.t, "KARGO_TEST_DOCKER"))
		out, err := command.CombinedOutput()
		if err != nil {
			s.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	container := strings.TrimSpace(docker("ps", "-q", "-f", "label=com.docker.swarm.service.name="+s.service(stack, service)))
	return docker(append([]string{"exec", container, "/testserver", "print"}, files...)...)
}

// A folder of the merged configuration stays in the container that binds it while none of
// its files changes: also when others change, and when the controller starts again. The
// service is not updated then, so nothing else would bring the folder back.
func TestBoundFolderStaysInTheContainer(t *testing.T) {
	t.Parallel()
	s := onDocker(t)
	w := s.workspace().stack("web", "site").service("site", replicas(1), networks("back")).
		set("SITE_BINDS", "keep").set("SITE_EXTENSION", "site-files").
		file("deploy/site-files.yml", "services:\n  site:\n    volumes:\n      - ./../configs/site:/etc/site\n").
		file("configs/site/page.html", "page\n")
	change := func(to string) *workspace { return w.file("configs/other/a", to).file("configs/other/b", to) }
	s.start()
	s.deploy(change("1"))
	before := s.services()
	for _, to := range []string{"2", "again", "3", "4", "again", "5"} {
		if to == "again" {
			s.stop()
			s.start()
			continue
		}
		s.deploy(change(to))
		if got := s.printed("web", "site", "/etc/site/page.html"); got != "page\n" {
			t.Errorf("after change %s the container has %q", to, got)
		}
	}
	if names := moved(before, s.services()); len(names) > 0 {
		t.Errorf("%q moved", names)
	}
}
