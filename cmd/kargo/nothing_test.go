package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asking are the commands that only ask, with arguments that they accept.
var asking = []string{
	"status", "tree", "history", "history 1", "events", "logs web", "images", "plan", "diff", "show", "labels", "rollback web",
	"check", "render", "env", "info", "why A", "doctor",
}

// What finds nothing says why: in an empty directory, beside the socket of a controller that
// was killed, and where the data directory is not readable. It never says that all is well,
// and makes no file.
func TestNothingIsSure(t *testing.T) {
	socketOfTheDead := func(t *testing.T, dir string) {
		if err := os.MkdirAll(filepath.Join(dir, ".kargo-state"), 0o700); err != nil {
			t.Fatal(err)
		}
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, ".kargo-state", "kargo.sock")})
		if err != nil {
			t.Fatal(err)
		}
		listener.SetUnlinkOnClose(false) // a process that is killed leaves it
		listener.Close()
	}
	for _, place := range []struct {
		about string
		make  func(t *testing.T, dir string)
	}{
		{"empty", func(*testing.T, string) {}},
		{"a controller was killed", socketOfTheDead},
	} {
		for _, command := range asking {
			t.Run(place.about+"/"+command, func(t *testing.T) {
				dir := t.TempDir()
				place.make(t, dir)
				before := treeOf(t, dir)
				t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
				code, stdout, stderr := kargoIn(t, dir, strings.Fields(command)...)
				if code == 0 || code == 1 {
					t.Errorf("it ended with %d: %s%s", code, stdout, stderr)
				}
				if said := stdout + stderr; strings.Contains(said, " well") || strings.Contains(said, "nothing") || strings.Contains(said, "connection refused") && !strings.Contains(said, "127.0.0.1:1") {
					t.Errorf("it says %s", said)
				}
				if after := treeOf(t, dir); after != before {
					t.Errorf("it made %s, there was %s", after, before)
				}
			})
		}
	}
}

// treeOf returns the names of all files below a directory.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// In a data directory of somebody else, commands say that they may not read it.
func TestUnreadableDataDirectory(t *testing.T) {
	dir, program := t.TempDir(), ""
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, ".kargo-state"), 0o700); err != nil {
		t.Fatal(err)
	}
	var stranger *syscall.SysProcAttr
	if os.Getuid() == 0 { // nothing is closed to root
		program = forEverybody(t, dir)
		stranger = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else {
		var err error
		if program, err = exec.LookPath("kargo"); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(data, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(data, 0o700) }) //nolint:gosec // a directory
	}
	for _, command := range []string{"status", "tree", "history", "events", "logs web", "images", "plan", "diff", "show", "sync", "hold web", "rollback web"} {
		cmd := exec.Command(program, append(strings.Fields(command), "--data", data)...)
		cmd.Dir, cmd.SysProcAttr = dir, stranger
		cmd.Env = []string{"HOME=" + dir, "DOCKER_HOST=tcp://127.0.0.1:1", "PATH=" + os.Getenv("PATH")}
		out, _ := cmd.CombinedOutput() // the exit code is below
		said := string(out)
		if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(said, "permission denied") || !strings.Contains(said, "hint: run it as the user of the controller") {
			t.Errorf("kargo %s ended with %d: %s", command, code, said)
		}
	}
}

// forEverybody returns this program where every user may run it, below a directory.
func forEverybody(t *testing.T, dir string) string {
	t.Helper()
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o755); err != nil { //nolint:gosec // a directory
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "kargo")
	if err := os.WriteFile(program, content, 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return program
}
