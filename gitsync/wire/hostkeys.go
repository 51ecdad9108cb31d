package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"kargo"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeysTimeout is how long a host may take to show its keys.
const hostKeysTimeout = 20 * time.Second

// HostKey is a key that a host presents. Nobody has verified that it is the host's.
type HostKey struct {
	Line        string // of a known_hosts file
	Kind        string // "ssh-ed25519"
	Fingerprint string // "SHA256:…", as forges publish it
}

// HostKeys returns the SSH keys that a host presents, written as HOST or HOST:PORT,
// best kind first. It does not log in and trusts nothing. A text that is not a host
// is Invalid; a host that presents no key is Unavailable.
func HostKeys(ctx context.Context, host string, proxy Proxy, timeout time.Duration) ([]HostKey, error) {
	if err := proxy.check(); err != nil {
		return nil, err
	}
	address, err := sshAddress(host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(timeout, hostKeysTimeout))
	defer cancel()
	var keys []HostKey
	for _, kind := range []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512,
	} {
		key, err := hostKey(ctx, address, kind, proxy)
		if err != nil {
			return nil, &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("ask %s for its keys: %s", host, kargo.PrintableLine(err.Error()))}
		}
		if key != nil {
			keys = append(keys, HostKey{
				Line: xknownhosts.Line([]string{address}, key), Kind: key.Type(), Fingerprint: ssh.FingerprintSHA256(key),
			})
		}
	}
	if len(keys) == 0 {
		return nil, &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("%s shows no key of a kind that is safe", host)}
	}
	return keys, nil
}

// sshAddress returns HOST or HOST:PORT as an address to dial.
func sshAddress(text string) (string, error) {
	a := Address{scheme: schemeSSH, host: strings.Trim(text, "[]"), path: "/"}
	if host, port, err := net.SplitHostPort(text); err == nil {
		a.host = host
		if a.port, err = strconv.Atoi(port); err != nil || a.port < 1 || a.port > 65535 {
			return "", invalid("the port is not a number from 1 to 65535", "")
		}
	}
	a.path = "/any" // an address has one
	if _, err := checked(a); err != nil || strings.ContainsAny(a.host, "/@,*?!#\t\n") {
		return "", invalid("this is not a host", "give a name or an address, with a port if it is not 22: git.example.com:2222")
	}
	return net.JoinHostPort(a.host, strconv.Itoa(cmp.Or(a.port, defaultSSHPort))), nil
}

// errSeen ends a handshake after the key was presented.
var errSeen = errors.New("the key was seen")

// hostKey returns the key of one kind that a host presents, or nil.
func hostKey(ctx context.Context, address, kind string, proxy Proxy) (key ssh.PublicKey, err error) {
	conn, err := proxy.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	_, _, _, err = ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		HostKeyAlgorithms: []string{kind},
		HostKeyCallback: func(_ string, _ net.Addr, shown ssh.PublicKey) error {
			key = shown
			return errSeen
		},
	})
	var none *ssh.AlgorithmNegotiationError
	switch {
	case key != nil:
		return key, nil
	case ctx.Err() != nil:
		return nil, errors.New("no answer in time")
	case errors.As(err, &none):
		return nil, nil
	}
	return nil, err
}
