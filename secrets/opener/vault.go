package opener

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/hashicorp/vault/api"

	"kargo"
	"kargo/secrets"
)

// Vault is the operator's OpenBao or Vault, as requests are made to it.
type Vault secrets.Vault

// vaultClient reads from one Vault, for one revision. It reads each secret once.
type vaultClient struct {
	api   *api.Client
	http  *http.Client
	token string
	read  map[string]map[string]any // by path
}

// vault logs in at the first use. The caller holds mu.
func (o *Opener) vault() (*vaultClient, error) {
	if o.store != nil {
		return o.store, nil
	}
	client, err := Vault(o.options.Vault).open(o.ctx, o.options.Timeout)
	if err != nil {
		return nil, err
	}
	o.store = client
	return client, nil
}

var errNoVault = errors.New("no Vault is given")

func (v Vault) open(ctx context.Context, timeout time.Duration) (*vaultClient, error) {
	if v.Address == "" {
		return nil, errNoVault
	}
	transport, err := v.transport()
	if err != nil {
		return nil, err
	}
	c := &vaultClient{http: &http.Client{Transport: transport, Timeout: timeout}, read: map[string]map[string]any{}}
	c.api, err = api.NewClient(&api.Config{Address: v.Address, HttpClient: c.http, DisableRedirects: true})
	if err != nil {
		return nil, err
	}
	c.api.SetToken("") // ignore VAULT_TOKEN
	if c.token, err = v.login(ctx, c.api, timeout); err != nil {
		return nil, err
	}
	c.api.SetToken(c.token)
	return c, nil
}

// transport always verifies certificates, and sends to one host only: a redirect
// must not take the token to another one.
func (v Vault) transport() (http.RoundTripper, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	ca, err := readKeys("the certificates of Vault", v.CA)
	if err != nil {
		return nil, err
	}
	if ca != nil && !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("there is no certificate among those to trust")
	}
	address, err := url.Parse(v.Address)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}
	return oneHost{transport, address.Scheme, address.Host, v.Namespace}, nil
}

type oneHost struct {
	http.RoundTripper
	scheme, host string
	namespace    string
}

func (o oneHost) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != o.scheme || request.URL.Host != o.host {
		return nil, errors.New("Vault redirects to another address, which does not get the token")
	}
	if o.namespace != "" { // also in requests of SOPS's client
		request = request.Clone(request.Context())
		request.Header.Set(api.NamespaceHeaderName, o.namespace)
	}
	return o.RoundTripper.RoundTrip(request)
}

// login returns the operator's token, or one for the operator's role.
func (v Vault) login(ctx context.Context, client *api.Client, timeout time.Duration) (string, error) {
	token, err := readKeys("the token for Vault", v.Token)
	if err != nil || token != nil {
		return string(token), err
	}
	secret, err := readKeys("the secret id for Vault", v.SecretID)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	mount := strings.Trim(v.AuthPath, "/")
	if mount == "" {
		mount = "approle"
	}
	answer, err := client.Logical().WriteWithContext(ctx, "auth/"+mount+"/login",
		map[string]any{"role_id": v.RoleID, "secret_id": string(secret)})
	if err != nil {
		return "", fmt.Errorf("log in: %w", vaultError(err))
	}
	if answer == nil || answer.Auth == nil {
		return "", errors.New("log in: Vault returns no token")
	}
	return answer.Auth.ClientToken, nil
}

// vaultError returns an error that is fit for a log: the library's own repeats the
// whole request.
func vaultError(err error) error {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		return err
	}
	if len(answer.Errors) == 0 {
		return fmt.Errorf("Vault responds with %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return fmt.Errorf("Vault responds with %d: %s", answer.StatusCode, strings.TrimSpace(strings.Join(answer.Errors, "; ")))
}

// errNoSecret is the error of a store that is available and has no such value.
var errNoSecret = errors.New("there is no such value")

// value returns one key of a secret of the KV engine, version 1 or 2.
func (c *vaultClient) value(ctx context.Context, path, key string) (string, error) {
	fields, known := c.read[path]
	if !known {
		var err error
		if fields, err = c.fields(ctx, path); err != nil {
			return "", err
		}
		c.read[path] = fields
	}
	switch value := fields[key].(type) {
	case nil:
		return "", fmt.Errorf("%s has no key %q: %w", path, key, errNoSecret)
	case string:
		return value, nil
	case map[string]any, []any:
		return "", fmt.Errorf("%s: the value of %q is not text: %w", path, key, errNoSecret)
	default:
		return fmt.Sprint(value), nil
	}
}

// fields reads a secret. Vault reports the version of the mounted engine to
// everyone who may read below the mount.
func (c *vaultClient) fields(ctx context.Context, path string) (map[string]any, error) {
	mount, err := c.api.Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+path)
	if err != nil {
		return nil, vaultError(err)
	}
	if mount == nil {
		return nil, fmt.Errorf("nothing is mounted at %s: %w", path, errNoSecret)
	}
	prefix, _ := mount.Data["path"].(string)
	options, _ := mount.Data["options"].(map[string]any)
	prefix = strings.Trim(prefix, "/")
	inside, below := strings.CutPrefix(path, prefix+"/")
	if !below {
		return nil, fmt.Errorf("%s names no secret below %s: %w", path, prefix, errNoSecret)
	}
	var secret *api.KVSecret
	if options["version"] == "2" {
		secret, err = c.api.KVv2(prefix).Get(ctx, inside)
	} else {
		secret, err = c.api.KVv1(prefix).Get(ctx, inside)
	}
	switch {
	case errors.Is(err, api.ErrSecretNotFound):
		return nil, fmt.Errorf("there is no secret %s: %w", path, errNoSecret)
	case err != nil:
		return nil, vaultError(err)
	case secret.Data == nil:
		return nil, fmt.Errorf("the secret %s was deleted: %w", path, errNoSecret)
	}
	return secret.Data, nil
}

// askVault decrypts the key of a file of SOPS at the operator's Vault. If the file
// names another address, that address is not used.
func (s *keyService) askVault(ctx context.Context, key *keyservice.VaultKey, ciphertext []byte) ([]byte, attempt) {
	master := hcvault.NewMasterKey(key.VaultAddress, key.EnginePath, key.KeyName)
	tried := attempt{key: "Vault " + master.ToString(), hint: "name that Vault in --vault-address"}
	client, err := s.vault()
	if errors.Is(err, errNoVault) || err == nil && !sameAddress(client.api.Address(), key.VaultAddress) {
		tried.err = errNoKey
		return nil, tried
	}
	if err != nil {
		tried.err, tried.away, tried.hint = err, true, ""
		return nil, tried
	}
	master.EncryptedKey = string(ciphertext)
	hcvault.Token(client.token).ApplyToMasterKey(master)
	hcvault.NewHTTPClient(client.http).ApplyToMasterKey(master)
	plain, err := master.DecryptContext(ctx)
	if err != nil {
		tried.err, tried.away, tried.hint = vaultError(err), true, ""
		return nil, tried
	}
	return plain, tried
}

func sameAddress(a, b string) bool {
	return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}

// faultOf returns Invalid if the revision asks for what does not exist, and
// Unavailable if the store cannot be used.
func faultOf(err error) kargo.Fault {
	if errors.Is(err, errNoSecret) {
		return kargo.Invalid
	}
	return kargo.Unavailable
}
