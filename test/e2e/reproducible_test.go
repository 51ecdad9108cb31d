package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Two builds of the same files, in two directories, one of them a repository, have the
// same bytes. So a program can be compared with its source.
func TestS48_TheBuildIsReproducible(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the programs twice")
	}
	command := func(dir, name string, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return out
	}
	programs := map[string][][]byte{}
	for _, name := range []string{"here", "somewhere-else"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		// The files that are there, committed or not.
		command("../..", "sh", "-c", `git ls-files -z --cached --others --exclude-standard | tar -c --null -T - --ignore-failed-read | tar -x -C "$0"`, dir)
		if name == "here" {
			command(dir, "git", "init", "-q")
			command(dir, "git", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "--allow-empty", "-m", "x")
		}
		command(dir, "make", "build", "VERSION=1.0")
		for _, program := range []string{"kargo", "kargo-secrets"} {
			content, err := os.ReadFile(filepath.Join(dir, "bin", program))
			if err != nil {
				t.Fatal(err)
			}
			programs[program] = append(programs[program], content)
		}
	}
	for program, builds := range programs {
		if !bytes.Equal(builds[0], builds[1]) {
			t.Errorf("two builds of %s differ, of %d and %d bytes", program, len(builds[0]), len(builds[1]))
		}
	}
}
