package dotkargo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// plainRenames is a variable: with it, the process and its children get from the kernel what a
// file system says that does not know the flags of renames.
const plainRenames = "DOTKARGO_PLAIN_RENAMES"

func TestMain(m *testing.M) {
	if os.Getenv(plainRenames) != "" {
		if err := refuseFlagsOfRenames(); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// refuseFlagsOfRenames has the kernel answer renameat2 with EINVAL if it has any flags. It
// holds for all threads of the process, and for its children.
func refuseFlagsOfRenames() error {
	const offsetOfNumber, offsetOfFlags = 0, 16 + 4*8 // in struct seccomp_data; the lower half
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offsetOfNumber},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_RENAMEAT2, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offsetOfFlags},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EINVAL)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}

// On a file system that cannot exchange two names in one step, the trees are the same, also
// if the process is killed at any step, and what containers wrote stays.
func TestWithoutExchange(t *testing.T) {
	if os.Getenv(plainRenames) != "" {
		a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
		for _, name := range []string{a, b} {
			if err := os.Mkdir(name, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != unix.EINVAL {
			t.Fatalf("the kernel exchanges: %v", err)
		}
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^Test(WithoutExchange|ALost|Write|Unchanged|FilesOf|Killed|FullDisk|LinkTo)", "-test.v")
	child.Env = append(os.Environ(), plainRenames+"=1")
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
