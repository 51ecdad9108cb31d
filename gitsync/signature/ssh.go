package signature

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"kargo"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// gitNamespace is the namespace of git's signatures: a signature of an e-mail or a
// file by the same key is not one of a commit.
const gitNamespace = "git"

// sshAllowed is one line of an allowed signers file, as ssh-keygen(1)
// describes it under ALLOWED SIGNERS.
type sshAllowed struct {
	principals    string // whom the key belongs to, as written
	key           ssh.PublicKey
	namespaces    []string // patterns; none means all
	after, before time.Time
}

// parseAllowedSigners reads an allowed signers file. An error names the line.
func parseAllowedSigners(data []byte) ([]sshAllowed, error) {
	var all []sshAllowed
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		allowed, err := parseAllowedSigner(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, allowed)
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no key")
	}
	return all, nil
}

func parseAllowedSigner(line string) (sshAllowed, error) {
	var allowed sshAllowed
	principals, rest := line, ""
	if end := strings.IndexAny(line, " \t"); end >= 0 {
		principals, rest = line[:end], line[end:]
	}
	if quoted, found := strings.CutPrefix(line, `"`); found {
		principals, rest, found = strings.Cut(quoted, `"`)
		if !found {
			return allowed, errors.New("a quote is not closed")
		}
	}
	allowed.principals = principals
	// What remains has the form of a line of authorized_keys.
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(rest)))
	if err != nil {
		return allowed, errors.New("it is not \"PRINCIPALS [OPTIONS] KEYTYPE KEY\"")
	}
	if _, isCertificate := key.(*ssh.Certificate); isCertificate {
		return allowed, errors.New("it holds a certificate, not a key")
	}
	allowed.key = key
	for _, option := range options {
		if err := allowed.set(option); err != nil {
			return allowed, err
		}
	}
	return allowed, nil
}

// set applies one option. An unknown option is an error, because it might restrict
// the key.
func (a *sshAllowed) set(option string) (err error) {
	name, value, _ := strings.Cut(option, "=")
	value = strings.Trim(value, `"`)
	switch strings.ToLower(name) {
	case "namespaces":
		a.namespaces = strings.Split(value, ",")
	case "valid-after":
		a.after, err = parseSignerTime(value)
	case "valid-before":
		a.before, err = parseSignerTime(value)
	case "cert-authority":
		err = errors.New("signatures by certificates are not supported; list the keys themselves")
	default:
		err = fmt.Errorf("option %q is not known", name)
	}
	return err
}

// parseSignerTime reads YYYYMMDD[HHMM[SS]][Z]; without the Z it is local time.
func parseSignerTime(text string) (time.Time, error) {
	zone := time.Local
	digits, utc := strings.CutSuffix(text, "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if at, err := time.ParseInLocation(layout, digits, zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time of the form YYYYMMDD[HHMM[SS]][Z]", text)
}

// verifySSH checks a signature. at is when it was made, by the committer's clock:
// old commits of a key that was replaced since are accepted.
func verifySSH(allowed []sshAllowed, payload, armored []byte, at time.Time) (signer string, err error) {
	signature, err := sshsig.Unarmor(armored)
	if err != nil {
		return "", fmt.Errorf("its SSH signature is malformed: %w", err)
	}
	key := sshKeyName(signature.PublicKey)
	if signature.Namespace != gitNamespace {
		return "", fmt.Errorf("it was signed by %s for %q, not for git", key, kargo.PrintableLine(signature.Namespace))
	}
	if err := checkSSHAlgorithm(signature); err != nil {
		return "", err
	}
	if err := sshsig.Verify(bytes.NewReader(payload), signature, signature.PublicKey, signature.HashAlgorithm, gitNamespace); err != nil {
		return "", fmt.Errorf("its signature by %s is wrong, so it was changed after it was signed: %w", key, err)
	}
	reason := error(&unknownKey{key})
	for _, candidate := range allowed {
		if !bytes.Equal(candidate.key.Marshal(), signature.PublicKey.Marshal()) {
			continue
		}
		if reason = candidate.permits(key, at); reason == nil {
			return kargo.PrintableLine(candidate.principals) + " (" + key + ")", nil
		}
	}
	return "", reason
}

func (a sshAllowed) permits(key string, at time.Time) error {
	const form = "2006-01-02 15:04 MST"
	switch {
	case !a.signsForGit():
		return fmt.Errorf("%s is not allowed to sign for git, only for %s", key, kargo.PrintableLine(strings.Join(a.namespaces, ", ")))
	case !a.after.IsZero() && at.Before(a.after):
		return fmt.Errorf("%s is allowed from %s on, and this is of %s", key, a.after.UTC().Format(form), at.UTC().Format(form))
	case !a.before.IsZero() && !at.Before(a.before):
		return fmt.Errorf("%s has expired: it was allowed until %s, and this is of %s", key, a.before.UTC().Format(form), at.UTC().Format(form))
	}
	return nil
}

// signsForGit matches the namespaces as OpenSSH matches pattern lists: a pattern
// with "!" excludes what others include.
func (a sshAllowed) signsForGit() bool {
	allowed := len(a.namespaces) == 0
	for _, pattern := range a.namespaces {
		pattern, not := strings.CutPrefix(pattern, "!")
		if matched, err := path.Match(pattern, gitNamespace); err != nil || !matched {
			continue
		}
		if not {
			return false
		}
		allowed = true
	}
	return allowed
}

func sshKeyName(key ssh.PublicKey) string { return "SSH key " + ssh.FingerprintSHA256(key) }

// checkSSHAlgorithm refuses signatures with SHA-1, as the format requires.
func checkSSHAlgorithm(signature *sshsig.Signature) error {
	if format := signature.Signature.Format; format == ssh.KeyAlgoRSA || format == "ssh-dss" {
		return fmt.Errorf("its signature by %s uses %s, which is not safe", sshKeyName(signature.PublicKey), format)
	}
	return nil
}
