package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"kargo"
	"kargo/pattern"

	"github.com/go-git/go-git/v5/plumbing/transport"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// Explain makes an error fit to be shown: with a fault, the address, a hint, and
// without the credentials that were sent. verb says what was tried ("fetch from"),
// limit is how long it was allowed to take. The cause is not wrapped, for it may
// hold credentials. Invalid errors are about the files and are returned as they
// are; nil stays nil.
func (r *Remote) Explain(verb string, err error, limit time.Duration) error {
	if err == nil {
		return nil
	}
	var known *kargo.Error
	if errors.As(err, &known) && known.Fault == kargo.Invalid {
		return known
	}
	if errors.Is(err, context.Canceled) {
		return kargo.Errorf(kargo.Unavailable, "%s %s: %w", verb, r.address, context.Canceled)
	}
	fault, reason, hint := kargo.Unavailable, "", ""
	switch {
	case known != nil:
		fault, reason, hint = known.Fault, known.Err.Error(), known.Hint
	case isOurDisk(err):
		fault, reason = kargo.Internal, err.Error()
	default:
		reason, hint = r.reason(err, limit)
	}
	return &kargo.Error{Fault: fault, Hint: hint,
		Err: fmt.Errorf("%s %s: %s", verb, r.address, r.sanitize(reason))}
}

// reason returns the reason of an error in words, with a hint where a remedy is
// known.
func (r *Remote) reason(err error, limit time.Duration) (reason, hint string) {
	var host *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	var certificate *tls.CertificateVerificationError
	var network net.Error
	var redirect refusedRedirect
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("no answer within %s", limit), "is the host up, and does a firewall let it through?"
	case errors.Is(err, transport.ErrAuthenticationRequired):
		if r.access.Password == nil && r.access.BearerToken == nil && r.app == nil {
			return "the server asks for a password", "give a user name and a token"
		}
		return "the server refuses the user name or the password", "is the token still valid?"
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return "the server denies access", "may this account read the repository?"
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return "repository not found", "or this account may not read it: many hosts give the same answer"
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return "the repository is empty", "push a commit"
	case errors.As(err, &redirect):
		return redirect.Error(), redirect.hint()
	case errors.As(err, &revoked):
		return "the host key is revoked in known_hosts", ""
	case errors.As(err, &host) && len(host.Want) == 0:
		return "the host is not in known_hosts", "print its line with `kargo known-hosts HOST`, and compare the fingerprints with the forge's page"
	case errors.As(err, &host):
		return "the host key is not the one in known_hosts", "this may be an attack: ask the forge before you change known_hosts"
	case strings.Contains(err.Error(), "no common algorithm for host key"):
		return "the host has no key of a kind that is in known_hosts", "print its other keys with `kargo known-hosts HOST`"
	case errors.As(err, &certificate):
		return certificate.Err.Error(), "give the CA of a private server; verification cannot be turned off"
	case strings.Contains(err.Error(), "unable to authenticate"):
		return "the host refuses the SSH key", "is the key known to the forge as a deploy key?"
	case strings.Contains(err.Error(), "passphrase protected"):
		return "the SSH key is encrypted", "give its passphrase"
	}
	return err.Error(), ""
}

// isOurDisk reports whether an error is of the local disk and not of the remote.
func isOurDisk(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

var (
	userinfo = pattern.Lazy(`//[^/@\s"]*@`)
	query    = pattern.Lazy(`\?[^\s"]*`)
)

// sanitize returns a text as it may be shown: without the user and query of URLs,
// and without the secrets that were sent.
func (r *Remote) sanitize(text string) string {
	text = userinfo().ReplaceAllString(r.sent.hide(text), "//")
	return kargo.PrintableLine(query().ReplaceAllString(text, ""))
}

// unreadable returns the error of a credential that could not be read. It is
// Unavailable, because the file may come: a secret that is being mounted, a
// token that is being renewed.
func unreadable(what string, err error) error {
	return &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("read %s: %w", what, err)}
}
