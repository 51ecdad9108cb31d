package dotkargo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"kargo"
)

// follow returns the directory that dir names, which may be a symbolic link to one: the disk of
// the data directory may be too small, for example. The link stays.
func follow(dir string) (string, error) {
	info, err := os.Lstat(dir)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return dir, nil // whatever is wrong with it, the first step of the writing says
	}
	target, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("%s is a symbolic link: %w", dir, err), Hint: "make the directory that it names, or remove the link"}
	}
	return target, nil
}

// explained adds to an error of the operating system where it happened, and what a person can
// do about it. Then the writing is tried again.
func explained(dir string, err error) error {
	hint := ""
	switch parent := filepath.Dir(dir); {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		hint = "make room on the disk of " + parent + ": while a tree is written, the one before is there, too"
	case errors.Is(err, unix.EROFS):
		hint = "mount the file system of " + parent + " so that Kargo can write to it"
	case errors.Is(err, unix.EBUSY):
		hint = "do not mount anything at " + dir + ", which is replaced as a whole: mount " + parent + ", or make " + dir + " a symbolic link to a directory elsewhere"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = fmt.Sprintf("%s, and what is in %s, must belong to the user of Kargo, which is %d", parent, dir, os.Geteuid())
	default:
		return fmt.Errorf("%s: %w", dir, err)
	}
	return &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("%s: %w", dir, err), Hint: hint}
}

// isMountPoint reports whether something is mounted at a directory, which cannot be replaced
// then.
func isMountPoint(dir string) bool {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, 0, &stat)
	return err == nil && stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// cause returns the error of the operating system alone, for a message that names the file.
func cause(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
