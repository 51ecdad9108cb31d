// Package fileutil stands for the locks of files on a manager's disk; see the package raft
// beside this module. Kargo has no such files.
package fileutil

import (
	"errors"
	"os"
)

// PrivateFileMode is the mode of files that only the owner reads.
const PrivateFileMode = 0o600

// LockedFile is a file that is locked. There is none.
type LockedFile struct{ *os.File }

// TryLockFile always returns an error.
func TryLockFile(string, int, os.FileMode) (*LockedFile, error) {
	return nil, errors.New("Kargo locks no files of a manager")
}

// Exist always returns false.
func Exist(string) bool { return false }
