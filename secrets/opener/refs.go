package opener

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"kargo"
	"kargo/pattern"
)

// A value of an environment file may be a reference to one that lies outside
// the repository:
//
//	DB_PASSWORD=ref+file:db-password
//	DB_PASSWORD=ref+env:KARGO_SECRET_DB
//	DB_PASSWORD=ref+vault:secret/platform/db#password
//
// It is resolved before the file is read as an environment, so that other
// variables, templates and stacks see the value.

var (
	anyReference = pattern.Lazy(`=["']?[^#\n]*\bref\+[a-z]+:`)
	reference    = pattern.Lazy(`^([ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=)(?:ref\+([a-z]+):([^"'\s]+)|"ref\+([a-z]+):([^"\s]+)"|'ref\+([a-z]+):([^'\s]+)')([ \t]+#.*|[ \t]*)\r?$`)
)

// maxReferences is how many references one file may have, because each may be a
// request.
const maxReferences = 500

// maxReferred is the size in bytes of the longest value that is accepted.
const maxReferred = 128 << 10

// resolve replaces the references of an environment file by their values. No line
// moves, so that messages name the right ones.
func (o *Opener) resolve(name string, sealed, plain []byte, opened kargo.Opened) ([]byte, kargo.Opened, error) {
	if !bytes.Contains(plain, []byte("ref+")) {
		return plain, opened, nil
	}
	lines := strings.SplitAfter(string(plain), "\n")
	found := 0
	var kinds []string
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") || !anyReference().MatchString(line) {
			continue
		}
		match := reference().FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if match == nil {
			return nil, opened, refuseAt(name, i+1, "assign it to a variable of its own, and use that variable here", "a reference must be the whole value of a variable")
		}
		if found++; found > maxReferences {
			return nil, opened, refuseAt(name, i+1, "", "there are more than %d references", maxReferences)
		}
		kind, target := match[3]+match[5]+match[7], match[4]+match[6]+match[8]
		value, err := o.referred(kind, target)
		if err != nil {
			return nil, opened, o.blameReference(name, i+1, match[2], kind, target, err)
		}
		lines[i] = match[1] + quote(value) + strings.TrimLeft(line[len(strings.TrimRight(line, "\r\n")):], "\r")
		opened.Names = append(opened.Names, match[2])
		opened.Values = append(opened.Values, valueForms(value)...)
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if found == 0 {
		return plain, opened, nil
	}
	opened.Sealed, opened.External = sealed, true
	if opened.With != "" {
		opened.With += "; "
	}
	opened.With += "values from " + strings.Join(kinds, ", ")
	return []byte(strings.Join(lines, "")), opened, nil
}

// blameReference returns the error of one reference, with its line.
func (o *Opener) blameReference(name string, line int, variable, kind, target string, err error) error {
	var hinted *hintedError
	hint := ""
	if errors.As(err, &hinted) {
		hint = hinted.hint
	}
	return &kargo.Error{Fault: faultOf(err), Where: kargo.Place{File: name, Line: line}, Hint: hint,
		Err: fmt.Errorf("%s: cannot resolve ref+%s:%s: %w", variable, kind, target, err)}
}

// hintedError is an error with a hint for the operator.
type hintedError struct {
	error
	hint string
}

func (h *hintedError) Unwrap() error { return h.error }

// notAllowed returns the error of a reference to something that the operator has
// not enabled or that does not exist. It is the revision's fault.
func notAllowed(message, hint string) error {
	return &hintedError{fmt.Errorf("%s: %w", message, errNoSecret), hint}
}

// referred returns the value that a reference names.
func (o *Opener) referred(kind, target string) (value string, err error) {
	switch kind {
	case "file":
		value, err = o.fromFile(target)
	case "env":
		value, err = o.fromVariable(target)
	case "vault":
		value, err = o.fromVault(target)
	default:
		return "", notAllowed("no such kind of reference", "ref+file:, ref+env: or ref+vault:")
	}
	switch {
	case err != nil:
		return "", err
	case len(value) > maxReferred:
		return "", fmt.Errorf("the value is longer than %d bytes: %w", maxReferred, errNoSecret)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return "", fmt.Errorf("the value is not text: %w", errNoSecret)
	}
	return value, nil
}

// fromFile reads a file below the operator's directory. No path leads out of the
// directory.
func (o *Opener) fromFile(name string) (string, error) {
	if o.options.Directory == "" {
		return "", notAllowed("no directory of secrets is given", "the operator names one in --secrets-dir")
	}
	root, err := os.OpenRoot(o.options.Directory)
	if err != nil {
		return "", fmt.Errorf("open the directory of secrets: %w", withoutPath(err))
	}
	defer root.Close()
	if !fs.ValidPath(name) {
		return "", notAllowed("it leads out of the directory of secrets", "")
	}
	info, err := root.Stat(name)
	if err == nil && info.Size() > maxReferred {
		return "", fmt.Errorf("the file is longer than %d bytes: %w", maxReferred, errNoSecret)
	}
	if err == nil && !info.Mode().IsRegular() {
		return "", notAllowed("it is not a file", "")
	}
	data, readErr := root.ReadFile(name)
	switch err = errors.Join(err, readErr); {
	case errors.Is(err, fs.ErrNotExist):
		return "", notAllowed("the directory of secrets has no such file", "")
	case err != nil:
		return "", withoutPath(readErr)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// withoutPath returns the reason of an error without the operator's paths.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func (o *Opener) fromVariable(name string) (string, error) {
	value, open := o.variables()[name]
	if !open {
		return "", notAllowed("there is no such variable that repositories may read",
			"its name begins with KARGO_SECRET_, or the operator lists it in --ref-variables")
	}
	return value, nil
}

func (o *Opener) fromVault(target string) (string, error) {
	path, key, ok := strings.Cut(target, "#")
	if !ok || key == "" || !fs.ValidPath(path) {
		return "", notAllowed("it is not PATH#KEY", "as in ref+vault:secret/platform/db#password")
	}
	client, err := o.vault()
	if errors.Is(err, errNoVault) {
		return "", notAllowed("no Vault is given", "the operator names one in --vault-address")
	}
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(o.ctx, o.options.Timeout)
	defer cancel()
	return client.value(ctx, path, key)
}

// quote quotes a value on one line so that every reader of environment files
// understands it.
func quote(value string) string {
	if !strings.ContainsAny(value, "'\n\r") {
		return "'" + value + "'"
	}
	return "$'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`).Replace(value) + "'"
}
