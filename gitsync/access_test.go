package gitsync_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/wire"
)

// clientPair returns a client certificate with its key, and a pool that trusts it.
func clientPair(t *testing.T) (certificate, key []byte, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kargo"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), pool
}

// serveTLS serves by https, and returns the authority to trust.
func serveTLS(t *testing.T, handler http.Handler, clients *x509.CertPool) (address string, ca []byte) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are expected
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientCAs: clients}
	if clients != nil {
		server.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return server.URL + "/team/workspace.git", ca
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	certificate, key, clients := clientPair(t)
	strange, strangeKey, _ := clientPair(t)
	address, ca := serveTLS(t, gitHandler(t, o.root), clients)
	opts := gitsync.Options{URL: address, Access: wire.Access{CA: content(ca), ClientCertificate: content(certificate), ClientKey: content(key)}}
	revision, _ := sync(t, open(t, opts))
	wantText(t, "commit", revision.Commit, o.head())

	for _, c := range []struct {
		name             string
		certificate, key func() ([]byte, error)
		want             string
	}{
		{"none", nil, nil, "certificate required"},
		{"another", content(strange), content(strangeKey), "unknown certificate authority"},
		{"another key", content(certificate), content(strangeKey), "read the client certificate: tls: private key does not match public key"},
	} {
		opts.ClientCertificate, opts.ClientKey = c.certificate, c.key
		_, err := open(t, opts).Head(deadline(t))
		if err == nil || kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestBearerToken(t *testing.T) {
	const token = "b34r3r-pl4nt3d"
	o := newOrigin(t)
	handler := gitHandler(t, o.root)
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "no entry with "+r.Header.Get("Authorization"), http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	revision, _ := sync(t, open(t, gitsync.Options{URL: address, Access: wire.Access{BearerToken: secret(token + "\n")}}))
	wantText(t, "commit", revision.Commit, o.head())
	_, err := open(t, gitsync.Options{URL: address, Access: wire.Access{BearerToken: secret("wrong-" + token)}}).Head(deadline(t))
	wantError(t, err, kargo.Unavailable, address,
		"list the refs of ADDRESS: the server refuses the user name or the password (is the token still valid?)")
}

// The keys of a host are printed with the fingerprints that forges publish, without
// logging in.
func TestS10HostKeysAreShownNotTrusted(t *testing.T) {
	o := newOrigin(t)
	client, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	server := newSSHServer(t, o.root, client.PublicKey(), host)
	keys, err := wire.HostKeys(deadline(t), server.address, wire.Proxy{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, key := range keys {
		wantText(t, "kind", key.Kind, "ssh-ed25519")
		if !strings.HasPrefix(key.Fingerprint, "SHA256:") {
			t.Errorf("fingerprint %s", key.Fingerprint)
		}
		lines = append(lines, key.Line)
	}
	wantText(t, "lines", strings.Join(lines, "\n")+"\n", string(server.knownHosts(host.PublicKey())))
	repository := open(t, gitsync.Options{URL: server.url(), Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content([]byte(lines[0]))}})
	wantText(t, "head", head(t, repository), o.head())

	_, err = wire.HostKeys(deadline(t), silentPeer(t), wire.Proxy{}, 50*time.Millisecond)
	if err == nil || kargo.FaultOf(err) != kargo.Unavailable || !strings.HasSuffix(kargo.Explain(err), ": no answer in time") {
		t.Errorf("a silent host: %v", err)
	}
	for _, bad := range []string{"", "-oProxyCommand=x", "a b", "host:0", "host:ssh", "git@host", "host/path", "host\n"} {
		if _, err := wire.HostKeys(deadline(t), bad, wire.Proxy{}, 0); kargo.FaultOf(err) != kargo.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
