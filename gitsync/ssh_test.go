package gitsync_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/wire"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshServer runs git-upload-pack for clients with the right key.
type sshServer struct {
	root    string
	config  *ssh.ServerConfig
	address string       // host:port
	sent    atomic.Int64 // bytes
}

func newSSHServer(t *testing.T, root string, client ssh.PublicKey, host ssh.Signer) *sshServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	s := &sshServer{root: root, address: listener.Addr().String()}
	s.config = &ssh.ServerConfig{
		PublicKeyCallback: func(who ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if who.User() == "git" && bytes.Equal(key.Marshal(), client.Marshal()) {
				return nil, nil
			}
			return nil, errors.New("unknown key")
		},
	}
	s.config.AddHostKey(host)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *sshServer) serve(conn net.Conn) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return // the client did not like the host key, or has a wrong one
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		for request := range requests {
			if request.Type == "exec" {
				_ = request.Reply(true, nil)
				s.run(channel, string(request.Payload[4:]))
				channel.Close()
				break
			}
			_ = request.Reply(false, nil)
		}
	}
}

// run does what a forge's forced command does.
func (s *sshServer) run(channel ssh.Channel, line string) {
	service, path, found := strings.Cut(line, " '")
	path, closed := strings.CutSuffix(path, "'")
	status := []byte{0, 0, 0, 0}
	if !found || !closed || strings.Contains(path, "nowhere") {
		_, _ = channel.Stderr().Write([]byte("ERROR: The project you were looking for could not be found\n"))
		status[3] = 1
	} else {
		command := exec.Command("git", strings.TrimPrefix(service, "git-"), filepath.Join(s.root, path))
		command.Stdin, command.Stdout, command.Stderr = channel, countedChannel{channel, &s.sent}, channel.Stderr()
		if command.Run() != nil {
			status[3] = 128
		}
	}
	_, _ = channel.SendRequest("exit-status", false, status)
}

// countedChannel counts the bytes that a server sends.
type countedChannel struct {
	ssh.Channel
	sent *atomic.Int64
}

func (c countedChannel) Write(data []byte) (int, error) {
	c.sent.Add(int64(len(data)))
	return c.Channel.Write(data)
}

func (s *sshServer) url() string { return "ssh://git@" + s.address + "/team/workspace.git" }

func (s *sshServer) knownHosts(key ssh.PublicKey) []byte {
	return []byte(knownhosts.Line([]string{s.address}, key) + "\n")
}

// newKey creates a key pair, encrypted if there is a passphrase.
func newKey(t *testing.T, passphrase string) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "test")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "test", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func TestFetchOverSSH(t *testing.T) {
	o := newOrigin(t)
	client, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	server := newSSHServer(t, o.root, client.PublicKey(), host)
	dir := t.TempDir()
	repository := open(t, gitsync.Options{
		URL: server.url(), Dir: dir, Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content(server.knownHosts(host.PublicKey()))},
	})
	wantText(t, "address", repository.Address(), "ssh://"+server.address+"/team/workspace.git")
	revision, files := sync(t, repository)
	wantText(t, "revision", revision.String(), "main@"+o.head()[:12]+" “first”")
	wantText(t, "files", listing(t, files), ".env: STACKS=redis\ndeploy/redis.yml: services: {}\n")
	wantText(t, "on disk", names(t, dir), o.head())

	o.git(o.work, "tag", "--annotate", "--message", "the first release", "v1")
	o.push("v1")
	tagged := open(t, gitsync.Options{
		URL: server.url(), Ref: "v1", Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content(server.knownHosts(host.PublicKey()))},
	})
	revision, _ = sync(t, tagged)
	wantText(t, "revision of the tag", revision.String(), "v1@"+o.head()[:12]+" “first”")
}

// Only a host with a key in known_hosts is talked to.
func TestS10HostKeys(t *testing.T) {
	o := newOrigin(t)
	client, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	other, _ := newKey(t, "")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	otherKind, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	server := newSSHServer(t, o.root, client.PublicKey(), host)
	revoked := "@revoked " + string(server.knownHosts(host.PublicKey())) + string(server.knownHosts(other.PublicKey()))
	for _, c := range []struct {
		name       string
		knownHosts string
		want       string
	}{
		{"unknown", knownhosts.Line([]string{"forge.example"}, host.PublicKey()),
			"the host is not in known_hosts (print its line with `kargo known-hosts HOST`, and compare the fingerprints with the forge's page)"},
		{"empty", "",
			"the host is not in known_hosts (print its line with `kargo known-hosts HOST`, and compare the fingerprints with the forge's page)"},
		{"changed", string(server.knownHosts(other.PublicKey())),
			"the host key is not the one in known_hosts (this may be an attack: ask the forge before you change known_hosts)"},
		{"other kind", string(server.knownHosts(otherKind)),
			"the host has no key of a kind that is in known_hosts (print its other keys with `kargo known-hosts HOST`)"},
		{"revoked", revoked, "the host key is revoked in known_hosts"},
		{"garbage", "forge.example\n", "read known_hosts: knownhosts: line:1: knownhosts: missing host pattern"},
	} {
		t.Run(c.name, func(t *testing.T) {
			repository := open(t, gitsync.Options{
				URL: server.url(), Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content([]byte(c.knownHosts))},
			})
			_, err := repository.Head(deadline(t))
			wantError(t, err, kargo.Unavailable, repository.Address(), "list the refs of ADDRESS: "+c.want)
		})
	}
}

func TestSSHKeys(t *testing.T) {
	const passphrase = "pl4nt3d passphrase"
	o := newOrigin(t)
	client, clientPEM := newKey(t, passphrase)
	_, strangerPEM := newKey(t, "")
	host, _ := newKey(t, "")
	server := newSSHServer(t, o.root, client.PublicKey(), host)
	opts := gitsync.Options{
		URL: server.url(), Access: wire.Access{SSHKey: content(clientPEM), SSHPassphrase: content([]byte(passphrase + "\n")), KnownHosts: content(server.knownHosts(host.PublicKey()))},
	}
	wantText(t, "head", head(t, open(t, opts)), o.head())

	for _, c := range []struct {
		name       string
		key        []byte
		passphrase func() ([]byte, error)
		want       string
	}{
		{"no passphrase", clientPEM, nil, "the SSH key is encrypted (give its passphrase)"},
		{"wrong passphrase", clientPEM, content([]byte("wrong " + passphrase)),
			"open the SSH key: x509: decryption password incorrect"},
		{"unknown key", strangerPEM, nil, "the host refuses the SSH key (is the key known to the forge as a deploy key?)"},
		{"no key", []byte("garbage"), nil, "open the SSH key: ssh: no key found"},
		{"missing file", nil, nil, "read the SSH key: open /run/secrets/key: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := opts
			opts.SSHKey, opts.SSHPassphrase = content(c.key), c.passphrase
			if c.key == nil {
				opts.SSHKey = func() ([]byte, error) { return nil, errors.New("open /run/secrets/key: no such file") }
			}
			repository := open(t, opts)
			_, err := repository.Head(deadline(t))
			wantError(t, err, kargo.Unavailable, repository.Address(), "list the refs of ADDRESS: "+c.want)
			if strings.Contains(kargo.Explain(err), passphrase) {
				t.Errorf("the passphrase is in: %v", err)
			}
		})
	}
}

func TestMissingRepositoryOverSSH(t *testing.T) {
	client, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	server := newSSHServer(t, t.TempDir(), client.PublicKey(), host)
	repository := open(t, gitsync.Options{
		URL: "ssh://" + server.address + "/nowhere.git", Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content(server.knownHosts(host.PublicKey()))},
	})
	_, err := repository.Head(deadline(t))
	wantError(t, err, kargo.Unavailable, repository.Address(), "list the refs of ADDRESS: empty input: "+
		"ERROR: The project you were looking for could not be found")
}

// A peer that accepts a connection and does not answer must not block a poll:
// go-git's own transport would.
func TestSilentSSHServer(t *testing.T) {
	_, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	peer := silentPeer(t)
	repository := open(t, gitsync.Options{
		URL: "ssh://git@" + peer + "/team/workspace.git", Timeout: 50 * time.Millisecond, Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content([]byte(knownhosts.Line([]string{peer}, host.PublicKey())))},
	})
	_, err := repository.Head(deadline(t))
	wantError(t, err, kargo.Unavailable, repository.Address(),
		"list the refs of ADDRESS: no answer within 50ms (is the host up, and does a firewall let it through?)")
}

// publicLine returns a key as known_hosts writes it.
func publicLine(key ssh.Signer) string { return string(ssh.MarshalAuthorizedKey(key.PublicKey())) }
