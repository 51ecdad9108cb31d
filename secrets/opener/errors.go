package opener

import (
	"bytes"
	"errors"
	"fmt"

	"kargo"
)

// refuse returns the error of a file that its author must change.
func refuse(name, hint, format string, args ...any) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: name}, Err: fmt.Errorf(format, args...), Hint: hint}
}

// refuseAt does the same as refuse for a line, counted from 1.
func refuseAt(name string, line int, hint, format string, args ...any) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: name, Line: line}, Err: fmt.Errorf(format, args...), Hint: hint}
}

// away returns the error of something that may be available at the next attempt.
func away(name, hint, format string, args ...any) error {
	return &kargo.Error{Fault: kargo.Unavailable, Where: kargo.Place{File: name}, Err: fmt.Errorf(format, args...), Hint: hint}
}

func lineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte("\n")) }

// readKeys reads keys of the operator; nil where none are given. An error is
// Unavailable: the revision is not at fault.
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
