// Package wire carries git's protocol to a remote and back, over HTTP or SSH: the
// address, the credentials, the proxy, the certificates and host keys to trust,
// and how much an answer may hold. What the bytes mean is not known here.
//
// No git binary is run. The messages are go-git's. The connections are opened
// here: only in this way does a deadline hold against a peer that is silent, and is
// a list of refs read that is longer than the memory.
package wire

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// go-git hides multi_ack by default, because it cannot negotiate with it. Azure
// DevOps and CodeCommit refuse a client without it. A fetch into an empty
// repository negotiates nothing, and every other request leaves it out, so it is
// safe to ask for. The variable is go-git's and of the whole process.
func init() {
	transport.UnsupportedCapabilities = []capability.Capability{capability.ThinPack}
}

// Remote is a repository on another host, and the means to reach it. It is safe
// for concurrent use.
type Remote struct {
	address Address
	access  Access
	app     *githubApp // nil where there is none
	sent    sentSecrets
	limit   int64
}

// New returns the remote at an address. No answer of it may hold more bytes than
// limit. It does not touch the network. Access that makes no sense is an Invalid
// error, which never repeats a credential.
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

// Fetch opens a conversation in which commits are fetched, hands it to talk, and
// ends it.
func (r *Remote) Fetch(ctx context.Context, talk func(*Session) error) error {
	return r.talk(ctx, transport.UploadPackServiceName, talk)
}

// Push opens a conversation in which commits are sent, hands it to talk, and ends
// it.
func (r *Remote) Push(ctx context.Context, talk func(*Session) error) error {
	return r.talk(ctx, transport.ReceivePackServiceName, talk)
}

func (r *Remote) talk(ctx context.Context, service string, talk func(*Session) error) error {
	if r.address.scheme == schemeSSH {
		return r.overSSH(ctx, service, talk)
	}
	return r.overHTTP(ctx, service, talk)
}
