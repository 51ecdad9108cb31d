package secretstest

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/keys"
)

// Vault is a server on loopback that implements the part of Vault's HTTP API which
// Kargo uses, over TLS with a certificate of its own: AppRole, both versions of the
// KV engine, and the decryption of the transit engine. Its answers were recorded
// from Vault 1.21.
type Vault struct {
	Address string
	CA      []byte // the certificate to trust, in PEM
	Token   string
	// RoleID and SecretID are what AppRole takes, Namespace is where all lies.
	RoleID, SecretID, Namespace string

	mu       sync.Mutex
	secrets  map[string]map[string]any // by mount and path: "secret/db"
	sealed   bool
	requests []string
}

// mounts are the KV engines, and their versions.
var mounts = map[string]string{"secret/": "2", "old/": "1"}

// NewVault starts a server, which ends with the test.
func NewVault(t testing.TB) *Vault {
	t.Helper()
	v := &Vault{Token: "hvs.planted-vault-token", RoleID: "role", SecretID: "planted-secret-id", secrets: map[string]map[string]any{}}
	server := httptest.NewTLSServer(http.HandlerFunc(v.serve))
	t.Cleanup(server.Close)
	v.Address = server.URL
	v.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return v
}

// Put writes a secret; nil deletes it.
func (v *Vault) Put(path string, fields map[string]any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secrets[path] = fields
}

// Seal makes the server answer as a Vault that was started and not unsealed.
func (v *Vault) Seal(sealed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sealed = sealed
}

// Requests returns the requests so far: "GET /v1/secret/data/db".
func (v *Vault) Requests() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.requests...)
}

func (v *Vault) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests = append(v.requests, r.Method+" "+r.URL.Path)
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	switch {
	case v.sealed:
		answer(w, http.StatusServiceUnavailable, map[string]any{"errors": []string{"Vault is sealed"}})
	case r.Header.Get("X-Vault-Namespace") != v.Namespace:
		answer(w, http.StatusNotFound, map[string]any{"errors": []string{"no handler for route \"" + path + "\". route entry not found."}})
	case path == "auth/approle/login":
		v.login(w, r)
	case r.Header.Get("X-Vault-Token") != v.Token:
		answer(w, http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		v.mount(w, strings.TrimPrefix(path, "sys/internal/ui/mounts/"))
	case strings.HasPrefix(path, "transit/decrypt/"):
		v.decrypt(w, r)
	case strings.HasPrefix(path, "secret/data/"):
		v.secretV2(w, "secret/"+strings.TrimPrefix(path, "secret/data/"))
	default:
		fields, ok := v.secrets[path]
		if !ok {
			answer(w, http.StatusNotFound, map[string]any{"errors": []string{}})
			return
		}
		answer(w, http.StatusOK, map[string]any{"data": fields})
	}
}

func (v *Vault) login(w http.ResponseWriter, r *http.Request) {
	var given struct {
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil || given.RoleID != v.RoleID || given.SecretID != v.SecretID {
		answer(w, http.StatusBadRequest, map[string]any{"errors": []string{"invalid role or secret ID"}})
		return
	}
	answer(w, http.StatusOK, map[string]any{"auth": map[string]any{"client_token": v.Token}})
}

// mount returns the engine that a path belongs to.
func (v *Vault) mount(w http.ResponseWriter, path string) {
	for mount, version := range mounts {
		if strings.HasPrefix(path, mount) {
			answer(w, http.StatusOK, map[string]any{"data": map[string]any{
				"path": mount, "type": "kv", "options": map[string]any{"version": version},
			}})
			return
		}
	}
	answer(w, http.StatusForbidden, map[string]any{"errors": []string{"preflight capability check returned 403, please ensure client's policies grant access to path \"" + path + "/\""}})
}

func (v *Vault) secretV2(w http.ResponseWriter, path string) {
	fields, ok := v.secrets[path]
	metadata := map[string]any{"created_time": "2026-01-02T03:04:05.000000006Z", "custom_metadata": nil, "deletion_time": "", "destroyed": false, "version": 1}
	switch {
	case !ok:
		answer(w, http.StatusNotFound, map[string]any{"errors": []string{}})
	case fields == nil:
		metadata["deletion_time"] = "2026-01-02T03:05:05.000000006Z"
		answer(w, http.StatusNotFound, map[string]any{"data": map[string]any{"data": nil, "metadata": metadata}})
	default:
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"data": fields, "metadata": metadata}})
	}
}

// ForVault returns a recipient of SOPS: the transit engine of this server, which
// does not really encrypt.
func ForVault(address string) keys.MasterKey {
	return transitKey{hcvault.NewMasterKey(address, "transit", "kargo")}
}

type transitKey struct{ *hcvault.MasterKey }

// Master returns the key as SOPS writes it.
func (k transitKey) Master() keys.MasterKey { return k.MasterKey }

// Encrypt encrypts the key of a file.
func (k transitKey) Encrypt(dataKey []byte) error {
	k.SetEncryptedDataKey([]byte("vault:v1:" + base64.StdEncoding.EncodeToString(dataKey)))
	return nil
}

func (v *Vault) decrypt(w http.ResponseWriter, r *http.Request) {
	var given struct {
		Ciphertext string `json:"ciphertext"`
	}
	err := json.NewDecoder(r.Body).Decode(&given)
	plain, ok := strings.CutPrefix(given.Ciphertext, "vault:v1:")
	if err != nil || !ok {
		answer(w, http.StatusBadRequest, map[string]any{"errors": []string{"invalid ciphertext: no prefix"}})
		return
	}
	answer(w, http.StatusOK, map[string]any{"data": map[string]any{"plaintext": plain}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
