package secrets

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"kargo"
)

// KMS is a key service of a cloud that files may name, or those of its keys whose
// names begin with Prefix. Its own library finds the credentials in the environment
// of the controller.
type KMS struct {
	Kind   string // "aws", "azure", "gcp" or "huawei"
	Prefix string
}

// KMSName returns the name of a kind of key service in messages; "" if there is none.
func KMSName(kind string) string { return kmsKinds[kind] }

// kmsKinds maps the kinds to the names of their keys in messages.
var kmsKinds = map[string]string{"aws": "AWS KMS", "azure": "Azure Key Vault", "gcp": "GCP KMS", "huawei": "Huawei Cloud KMS"}

// ParseKMS parses a list of "KIND" or "KIND=PREFIX", as in "gcp" and
// "aws=arn:aws:kms:eu-west-1:123456789012:key/". Azure needs a prefix, because its
// keys name the host that is asked.
func ParseKMS(list []string) ([]KMS, error) {
	var all []KMS
	for _, entry := range list {
		kind, prefix, _ := strings.Cut(entry, "=")
		switch {
		case kmsKinds[kind] == "":
			return nil, fmt.Errorf("there is no key service %q: aws, azure, gcp or huawei", kind)
		case kind == "azure" && !strings.HasPrefix(prefix, "https://"):
			return nil, errors.New("azure needs the address of its vault: azure=https://NAME.vault.azure.net")
		}
		all = append(all, KMS{kind, prefix})
	}
	return all, nil
}

// Allows reports whether a key may be used. The prefix ends at a boundary:
// "https://a.example" is not a prefix of "https://a.example.com".
func (k KMS) Allows(kind, key string) bool {
	rest, matches := strings.CutPrefix(key, k.Prefix)
	return k.Kind == kind && matches &&
		(k.Prefix == "" || rest == "" || strings.ContainsAny(rest[:1], ":/") || strings.ContainsAny(k.Prefix[len(k.Prefix)-1:], ":/"))
}

// Vault says how to reach an OpenBao or Vault. Functions are nil where nothing is
// given.
type Vault struct {
	// Address is https://host:port; http:// is allowed on this machine only.
	Address string
	// Token returns a token. If it is nil, RoleID and SecretID are exchanged for
	// one by AppRole, which is mounted at AuthPath.
	Token            func() ([]byte, error)
	RoleID, AuthPath string
	SecretID         func() ([]byte, error)
	// Namespace is sent with each request; empty means none.
	Namespace string
	// CA returns certificates to trust in addition to the system's.
	CA func() ([]byte, error)
}

// Validate returns an error if the settings contradict each other.
func (v Vault) Validate() error {
	if v.Address == "" {
		if v.Token != nil || v.RoleID != "" || v.SecretID != nil {
			return errors.New("credentials for Vault need its address")
		}
		return nil
	}
	address, err := url.Parse(v.Address)
	switch {
	case err != nil, address.Host == "", address.User != nil, strings.Trim(address.Path, "/") != "", address.RawQuery != "":
		return errors.New("the address of Vault is https://HOST[:PORT]")
	case address.Scheme == "http" && kargo.IsLoopback(address.Hostname()):
	case address.Scheme != "https":
		return errors.New("the address of Vault is https://HOST[:PORT]: a token is not sent unencrypted")
	}
	if v.Token == nil && (v.RoleID == "" || v.SecretID == nil) {
		return errors.New("Vault needs a token, or a role id and a secret id")
	}
	return nil
}
