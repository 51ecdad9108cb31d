package wire

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"
)

const (
	defaultSSHPort = 22
	defaultSSHUser = "git"
)

// overSSH runs one session with a git service over SSH. go-git's own transport
// dials without the caller's context, reads ~/.ssh/config and uses an agent. This
// one uses only what it is given and ends with its context.
func (r *Remote) overSSH(ctx context.Context, service string, talk func(*Session) error) error {
	address := net.JoinHostPort(r.address.host, strconv.Itoa(cmp.Or(r.address.port, defaultSSHPort)))
	config, err := r.sshConfig(address)
	if err != nil {
		return err
	}
	conn, err := r.access.Proxy.dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Every read below ends when the connection is closed, and ctx closes it.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	err = r.talkOver(conn, address, config, service, talk)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // not "use of closed network connection"
	}
	return err
}

func (r *Remote) talkOver(conn net.Conn, address string, config *ssh.ClientConfig, service string, talk func(*Session) error) error {
	connection, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return err
	}
	client := ssh.NewClient(connection, channels, requests)
	defer client.Close()
	shell, err := client.NewSession()
	if err != nil {
		return err
	}
	defer shell.Close()
	carrier := &sshCarrier{errors: &headBuffer{limit: 2 << 10}}
	shell.Stderr = carrier.errors
	if carrier.in, err = shell.StdinPipe(); err != nil {
		return err
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		return err
	}
	carrier.out = io.NopCloser(limited(out, r.limit))
	if err := shell.Start(service + " " + quote(r.address.path)); err != nil {
		return err
	}
	return carrier.explain(talk(&Session{carrier}), shell)
}

// sshConfig reads the key and the known hosts.
func (r *Remote) sshConfig(address string) (*ssh.ClientConfig, error) {
	signer, err := r.sshSigner()
	if err != nil {
		return nil, err
	}
	hosts, err := r.knownHosts()
	if err != nil {
		return nil, err
	}
	// Only kinds of key are requested that known_hosts has: a host with several
	// keys could present another one. SHA-1 signatures are not accepted.
	secure := ssh.SupportedAlgorithms().HostKeys
	algorithms := slices.DeleteFunc(hosts.HostKeyAlgorithms(address), func(name string) bool {
		return !slices.Contains(secure, name)
	})
	if len(algorithms) == 0 {
		return nil, &xknownhosts.KeyError{}
	}
	return &ssh.ClientConfig{
		User:              cmp.Or(r.address.user, defaultSSHUser),
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   hosts.HostKeyCallback(),
		HostKeyAlgorithms: algorithms,
	}, nil
}

func (r *Remote) sshSigner() (ssh.Signer, error) {
	key, err := r.access.SSHKey()
	if err != nil {
		return nil, unreadable("the SSH key", err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) && r.access.SSHPassphrase != nil {
		passphrase, readErr := r.access.SSHPassphrase()
		if readErr != nil {
			return nil, unreadable("the passphrase of the SSH key", readErr)
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(key, bytes.TrimRight(passphrase, "\r\n"))
	}
	if err != nil {
		return nil, fmt.Errorf("open the SSH key: %w", err)
	}
	return signer, nil
}

// knownHosts reads the host keys to trust. The parser only takes files, so it gets
// one in memory.
func (r *Remote) knownHosts() (*knownhosts.HostKeyDB, error) {
	content, err := r.access.KnownHosts()
	if err != nil {
		return nil, unreadable("known_hosts", err)
	}
	descriptor, err := unix.MemfdCreate("known_hosts", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(descriptor), "/proc/self/fd/"+strconv.Itoa(descriptor))
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		return nil, fmt.Errorf("write a file in memory: %w", err)
	}
	hosts, err := knownhosts.NewDB(file.Name())
	if err != nil {
		return nil, unreadable("known_hosts", errors.New(strings.ReplaceAll(err.Error(), file.Name(), "line")))
	}
	return hosts, nil
}

// quote quotes a path for the shell of the other side.
func quote(path string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}

// sshCarrier carries a session over SSH, with a git service that runs on the other
// side. The contexts are not used: the connection has one.
type sshCarrier struct {
	in     io.WriteCloser
	out    io.ReadCloser
	errors *headBuffer
}

func (s *sshCarrier) list(context.Context) (io.ReadCloser, error) { return s.out, nil }

func (s *sshCarrier) ask(_ context.Context, request []byte) (io.ReadCloser, error) {
	_, err := s.in.Write(request)
	return s.out, err
}

// explain adds what the other side wrote to its standard error: forges write there
// why they closed the connection.
func (s *sshCarrier) explain(err error, shell *ssh.Session) error {
	if err == nil {
		_, _ = s.in.Write(pktline.FlushPkt) // the end of the session; the other side may have closed it already
		return nil
	}
	s.in.Close()
	if errors.Is(err, packp.ErrEmptyInput) {
		_ = shell.Wait() // until all of standard error has arrived
	}
	if said := s.errors.String(); said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}
