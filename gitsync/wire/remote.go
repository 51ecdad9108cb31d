// Package wire carries git's protocol to a remote and back, over HTTP or SSH. It
// knows the address, the credentials, the proxy, the certificates and host keys to
// trust, and how large an answer may be. It does not know what the transferred
// commits mean.
//
// [ParseAddress] checks an address, [New] makes a [Remote] of it, and a [Session]
// is one conversation with the remote. Errors of a Session may hold credentials;
// [Remote.Explain] makes them fit to be shown.
//
// No git binary is run. The messages are encoded and decoded by go-git. The
// connections are opened here, because only then is a deadline kept with a peer
// that is silent, and a list of refs can be read that is longer than the memory.
package wire

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Remote is a repository on another host, with the means to reach it. It is safe
// for concurrent use.
type Remote struct {
	address Address
	access  Access
	app     *githubApp // nil where there is none
	sent    sentSecrets
	limit   int64
}

// New returns the remote at an address. limit is the largest answer in bytes. New
// does not touch the network. Access that is not sound is an Invalid error, which
// never repeats a credential.
func New(address Address, access Access, limit int64) (*Remote, error) {
	if err := access.check(address); err != nil {
		return nil, err
	}
	r := &Remote{address: address, access: access, limit: limit}
	if access.GitHubApp != nil {
		app, err := newGitHubApp(*access.GitHubApp, address)
		if err != nil {
			return nil, err
		}
		r.app = app
	}
	return r, nil
}

// Fetch opens a session for fetching commits, calls talk with it, and closes it.
func (r *Remote) Fetch(ctx context.Context, talk func(*Session) error) error {
	return r.talk(ctx, transport.UploadPackServiceName, talk)
}

// Push opens a session for sending commits, calls talk with it, and closes it.
func (r *Remote) Push(ctx context.Context, talk func(*Session) error) error {
	return r.talk(ctx, transport.ReceivePackServiceName, talk)
}

func (r *Remote) talk(ctx context.Context, service string, talk func(*Session) error) error {
	if r.address.scheme == schemeSSH {
		return r.overSSH(ctx, service, talk)
	}
	return r.overHTTP(ctx, service, talk)
}
