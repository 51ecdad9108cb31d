package dotkargo_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kargo"
	"kargo/dotkargo"
)

// mountDisk mounts a small disk at a directory, and skips the test where that is not allowed.
func mountDisk(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, "mode=700,size="+size); err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skip("only root may mount a disk")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func remount(t *testing.T, dir string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT|flags, data); err != nil {
		t.Fatal(err)
	}
}

// refused checks that a write fails with an error that says what happened, where, and what to do.
func refused(t *testing.T, err error, text, hint string) {
	t.Helper()
	var known *kargo.Error
	if !errors.As(err, &known) || known.Fault != kargo.Unavailable || !strings.Contains(err.Error(), text) || !strings.Contains(known.Hint, hint) {
		t.Fatalf("got %v, want %q with the hint %q", err, text, hint)
	}
}

// A full disk leaves the tree as it is, and nothing beside it. With space, the next write
// succeeds.
func TestFullDisk(t *testing.T) {
	large := strings.Repeat("x", 300<<10)
	for name, next := range map[string]kargo.Workspace{
		"a new file":   workspace("a=2", "b=1", "configs/x/large="+large),
		"other files":  workspace("a="+large, "b=2"),
		"one file":     workspace("a="+large, "b=1"),
		"the state":    workspace("a=2", "b=1", "logs/seed="+large),
		"a new folder": workspace("a=1", "b=1", "configs/y/large="+large),
	} {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				disk := filepath.Join(t.TempDir(), "data")
				mountDisk(t, disk, "256k")
				dir := filepath.Join(disk, ".kargo")
				writer := dotkargo.NewWriter(dir)
				for _, a := range []string{"0", "1"} {
					if err := writer.Write(workspace("a="+a, "b="+a)); err != nil {
						t.Fatal(err)
					}
				}
				before := treeOf(t, dir)
				if restart {
					writer = dotkargo.NewWriter(dir)
				}
				for range 2 {
					refused(t, writer.Write(next), dir+": write ", "make room on the disk of "+disk)
					if got := treeOf(t, dir); got != before && name != "the state" {
						t.Fatalf("got\n%swant\n%s", got, before)
					}
					if left, _ := filepath.Glob(dir + ".*"); len(left) > 1 {
						t.Fatal("left behind: ", left)
					}
				}
				remount(t, disk, 0, "size=2m")
				if err := writer.Write(next); err != nil {
					t.Fatal(err)
				}
				fresh := filepath.Join(t.TempDir(), ".kargo")
				write(t, fresh, next)
				wantText(t, dir, treeOf(t, fresh))
			})
		}
	}
}

// On a disk that is read-only, a tree that is right is enough. Otherwise the error says so.
func TestReadOnlyDisk(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "data")
	mountDisk(t, disk, "1m")
	dir := filepath.Join(disk, ".kargo")
	write(t, dir, workspace("a=1", "b=1"))
	remount(t, disk, unix.MS_RDONLY, "")
	write(t, dir, workspace("a=1", "b=1"))
	refused(t, dotkargo.Write(dir, workspace("a=2", "b=2")), dir+": ", "mount the file system of "+disk)
	remount(t, disk, 0, "")
	write(t, dir, workspace("a=2", "b=2"))
	check(t, dir, "0700 .\n0600 a 2\n0700 acme\n0600 b 2\n0700 logs\n")
}

// What is mounted cannot be replaced. The error says what can be done instead, and no file is
// written before.
func TestMountPoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", ".kargo")
	mountDisk(t, dir, "1m")
	refused(t, dotkargo.Write(dir, workspace("a=1")), dir+": ", "do not mount anything at "+dir)
	if found, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".kargo?*")); err != nil || len(found) > 0 {
		t.Error("left behind: ", found, err)
	}
}

// The directory may be a link to another disk. The link stays, and the state is in what it names.
func TestLinkToAnotherDisk(t *testing.T) {
	base := t.TempDir()
	disk := filepath.Join(base, "disk")
	mountDisk(t, disk, "1m")
	dir, real := filepath.Join(base, ".kargo"), filepath.Join(disk, "tree")
	if err := os.Symlink(real, dir); err != nil {
		t.Fatal(err)
	}
	writer := dotkargo.NewWriter(dir)
	refused(t, writer.Write(workspace("a=1")), dir+" is a symbolic link", "make the directory that it names")
	if err := os.MkdirAll(filepath.Join(real, "acme"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(real, "acme", "acme.json"), []byte("grown"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"1", "2", "3"} {
		if err := writer.Write(workspace("a="+a, "b="+a)); err != nil {
			t.Fatal(err)
		}
		wantText(t, real, "0700 .\n0600 a "+a+"\n0700 acme\n0600 acme/acme.json grown\n0600 b "+a+"\n0700 logs\n")
	}
	if target, err := os.Readlink(dir); target != real {
		t.Error("the link is gone: ", target, err)
	}
}

// A directory of another user: the error names the user that it should belong to.
func TestDirectoryOfAnotherUser(t *testing.T) {
	if os.Getuid() == 0 {
		asNobody(t)
		return
	}
	base := t.TempDir()
	if err := os.Chmod(base, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(base, 0o700)
	refused(t, dotkargo.Write(filepath.Join(base, ".kargo"), workspace("a=1")), "permission denied", "must belong to the user of Kargo")
}

// asNobody does the same for a thread that is not root.
func asNobody(t *testing.T) {
	t.Helper()
	base := t.TempDir()
	result := make(chan error)
	go func() {
		// The thread is not unlocked, so it ends with the goroutine.
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			result <- errno
			return
		}
		result <- dotkargo.Write(filepath.Join(base, ".kargo"), workspace("a=1"))
	}()
	refused(t, <-result, "permission denied", "must belong to the user of Kargo")
}
