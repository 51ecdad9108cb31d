package dotkargo_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"kargo"
	"kargo/dotkargo"
)

// The two trees of TestKilledAtAnyStep: a folder stays as it is, one changes, one comes and
// one goes.
var (
	beforeKill = workspace("a=1", "b=1", "configs/same/conf=s", "configs/x/conf=1", "configs/x/gone=g", "old/conf=o", "deploy/a.yml=1", "deploy/sub/b.yml=b")
	afterKill  = workspace("a=2", "b=2", "configs/same/conf=s", "configs/x/conf=2", "configs/x/new=n", "new/conf=n", "deploy/a.yml=2", "deploy/sub/b.yml=b")
)

// TestKilledAtAnyStep kills a process that writes at each of its calls that change the file
// system. Whatever it has done by then, the next process ends with the same tree: the folders
// that containers have bound are the same ones, with what the containers wrote into them.
func TestKilledAtAnyStep(t *testing.T) {
	if dir := os.Getenv("DOTKARGO_WRITE"); dir != "" {
		if err := dotkargo.Write(dir, afterKill); err != nil {
			t.Fatal(err)
		}
		return
	}
	runtime.LockOSThread() // tracing belongs to one thread
	defer runtime.UnlockOSThread()
	fresh := filepath.Join(t.TempDir(), ".kargo")
	write(t, fresh, afterKill)
	folders := []string{"configs/same", "configs/x", "configs/x/db", "deploy/sub", "data", "acme", "logs", "old"}
	theirs := []string{"configs/x/db/1", "configs/x/plugin", "data/1", "acme/acme.json", "old/1"}
	for _, name := range theirs {
		put(t, fresh, name)
	}
	want := treeOf(t, fresh)
	for step, killed := 1, true; killed; step++ {
		dir := filepath.Join(t.TempDir(), ".kargo")
		write(t, dir, beforeKill)
		for _, name := range theirs {
			put(t, dir, name)
		}
		before := map[string]os.FileInfo{}
		for _, name := range folders {
			before[name], _ = os.Stat(filepath.Join(dir, name))
		}
		killed = killAt(t, dir, step)
		if got := treeAfterKill(t, dir, afterKill); got != want {
			t.Fatalf("killed at step %d: got\n%swant\n%s", step, got, want)
		}
		for _, name := range folders {
			if now, err := os.Stat(filepath.Join(dir, name)); err != nil || !os.SameFile(now, before[name]) {
				t.Errorf("killed at step %d: %s is another folder, %v", step, name, err)
			}
		}
		if !killed && step < 30 {
			t.Errorf("there were %d steps only", step)
		}
	}
}

func put(t *testing.T, dir, name string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("theirs"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func treeAfterKill(t *testing.T, dir string, ws kargo.Workspace) string {
	t.Helper()
	write(t, dir, ws)
	if left, _ := filepath.Glob(dir + ".*"); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
	return treeOf(t, dir)
}

// changing are the calls that change a file system.
var changing = map[uint64]bool{
	unix.SYS_RENAMEAT2: true, unix.SYS_RENAMEAT: true, unix.SYS_LINKAT: true, unix.SYS_UNLINKAT: true, unix.SYS_MKDIRAT: true, unix.SYS_WRITE: true,
}

// killAt starts a process that writes, and kills it before it makes one of its calls that
// change the file system. It reports whether the process made so many.
func killAt(t *testing.T, dir string, step int) bool {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestKilledAtAnyStep$")
	command.Env = append(os.Environ(), "DOTKARGO_WRITE="+dir, "GOMAXPROCS=1", "GOCOVERDIR="+filepath.Dir(dir))
	command.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	first := command.Process.Pid
	defer func() {
		_ = command.Process.Kill() // it may have ended
		_ = command.Process.Release()
	}()
	var status unix.WaitStatus
	if _, err := unix.Wait4(first, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := errors.Join(unix.PtraceSetOptions(first, options), unix.PtraceSyscall(first, 0)); err != nil {
		t.Fatal(err)
	}
	for {
		thread, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if err != nil {
			t.Fatal(err)
		}
		signal := 0
		switch {
		case status.Exited() || status.Signaled():
			if thread != first {
				continue
			}
			if status.ExitStatus() != 0 {
				t.Fatalf("the process that writes ended with %d", status)
			}
			return false
		case status.StopSignal() == unix.SIGTRAP|0x80:
			if changing[callOf(thread)] {
				step--
			}
			if step == 0 {
				_ = unix.Kill(first, unix.SIGKILL)
				for thread != first || !status.Signaled() {
					if thread, err = unix.Wait4(-1, &status, unix.WALL, nil); err != nil {
						t.Fatal(err)
					}
				}
				return true
			}
		case status.StopSignal() != unix.SIGTRAP && status.StopSignal() != unix.SIGSTOP:
			signal = int(status.StopSignal())
		}
		_ = unix.PtraceSyscall(thread, signal) // it may have ended meanwhile
	}
}

// callOf returns the number of the call that a thread is about to make, or 0 if it comes back
// from one. A write to one of the standard files changes no file.
func callOf(thread int) uint64 {
	var info struct {
		op     uint8
		_      [7]uint8
		_      [2]uint64 // pointers of the program
		number uint64
		args   [6]uint64
		_      [4]uint64
	}
	const getSyscallInfo, entry = 0x420e, 1
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(thread), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info.op != entry || info.number == unix.SYS_WRITE && info.args[0] < 3 {
		return 0
	}
	return info.number
}
