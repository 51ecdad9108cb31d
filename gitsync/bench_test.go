package gitsync_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kargo/gitsync"
	"kargo/test/growth"
)

// bigRepository is a repository of so many stacks, with four files each. Each of its two
// commits has another variable.
func bigRepository(t testing.TB, stacks int) (repository *gitsync.Repository, commits [2]string) {
	dir := t.TempDir()
	git := func(args ...string) string {
		command := exec.Command("git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...)
		command.Dir, command.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	file := func(name, content string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "--quiet", "--initial-branch=main")
	for i := range stacks {
		for j := range 2 {
			file(fmt.Sprintf("deploy/s%04d-%d.yml", i, j), fmt.Sprintf("services: {s%d: {}}\n", i))
			file(fmt.Sprintf("configs/s%04d/%d", i, j), fmt.Sprintf("content %d of %d\n", j, i))
		}
	}
	for i := range commits {
		file(".env", fmt.Sprintf("STACKS=s\nTAG=%d\n", i))
		git("add", "--all")
		git("commit", "--quiet", "--message", "Set the tag")
		commits[i] = git("rev-parse", "HEAD")
	}
	git("gc", "--quiet") // most repositories are packed
	repository, err := gitsync.Open(gitsync.Options{URL: dir, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return repository, commits
}

// BenchmarkFetch reads the names and sizes of the files of a commit, after another one.
func BenchmarkFetch(b *testing.B) {
	for _, stacks := range []int{10, 100, 300, 1000} {
		b.Run(fmt.Sprintf("%d stacks", stacks), func(b *testing.B) {
			repository, commits := bigRepository(b, stacks)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, _, err := repository.Fetch(b.Context(), commits[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestCostOfAFetchGrowsWithTheFiles(t *testing.T) {
	growth.Check(t, 50, func(stacks int) func() {
		repository, commits := bigRepository(t, stacks)
		return func() {
			if _, _, err := repository.Fetch(t.Context(), commits[0]); err != nil {
				t.Fatal(err)
			}
		}
	})
}
