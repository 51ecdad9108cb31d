package secrets

import (
	"bytes"
	"errors"
	"fmt"

	"kargo"
)

// refuse is the error of a file that the revision's author has to mend.
func refuse(name, hint, format string, args ...any) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: name}, Err: fmt.Errorf(format, args...), Hint: hint}
}

// refuseAt is refuse with a line, from 1.
func refuseAt(name string, line int, hint, format string, args ...any) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: name, Line: line}, Err: fmt.Errorf(format, args...), Hint: hint}
}

// away is the error of something that may be there at the next try.
func away(name, hint, format string, args ...any) error {
	return &kargo.Error{Fault: kargo.Unavailable, Where: kargo.Place{File: name}, Err: fmt.Errorf(format, args...), Hint: hint}
}

func lineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte("\n")) }

// readKeys reads keys of the operator; nil where none are given. That they
// cannot be read is no fault of the revision.
func readKeys(what string, read func() ([]byte, error)) ([]byte, error) {
	if read == nil {
		return nil, nil
	}
	data, err := read()
	if err != nil {
		var known *kargo.Error
		if errors.As(err, &known) {
			err = known.Err
		}
		return nil, kargo.Errorf(kargo.Unavailable, "read %s: %w", what, err)
	}
	return data, nil
}
