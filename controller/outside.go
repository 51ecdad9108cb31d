package controller

import (
	"errors"
	"net"
	"slices"
	"syscall"

	"kargo"
)

// outside are the errors of the operating system that somebody else has to put
// right: a disk that is full, read-only or broken, too many open files, no memory, a
// right that is missing.
var outside = []syscall.Errno{
	syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EACCES, syscall.EPERM,
}

// ofDisk are those of them that are about files.
var ofDisk = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EACCES, syscall.EPERM}

// isOfDisk reports whether an error is about files of this machine, and not about a
// connection.
func isOfDisk(err error) bool {
	var errno syscall.Errno
	var network *net.OpError
	return errors.As(err, &errno) && slices.Contains(ofDisk, errno) && !errors.As(err, &network)
}

// BlameOutside returns an error of the operating system as Unavailable, if it is no
// fault of the program: it is tried again with back-off, and is not called a bug.
// Other errors are returned as they are.
func BlameOutside(err error) error {
	var errno syscall.Errno
	if err == nil || kargo.FaultOf(err) != kargo.Internal || !errors.As(err, &errno) || !slices.Contains(outside, errno) {
		return err
	}
	return &kargo.Error{Fault: kargo.Unavailable, Err: err, Hint: "this is outside of Kargo: look at the disk, the rights and the limits of the machine"}
}
