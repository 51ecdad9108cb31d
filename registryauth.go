package kargo

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// RegistryCredential is what `docker login` keeps for one registry.
type RegistryCredential struct {
	Address            string // as the file has it
	Username, Password string
	IdentityToken      string
}

// dockerHub is the name under which `docker login` keeps its credentials for
// images without a registry in their name.
const dockerHub = "https://index.docker.io/v1/"

// CredentialFor finds a registry, as image names have it ("docker.io"), in
// Docker's config.json; nil where there is none. Entries may be written with a
// scheme and a path. Nothing of the file is ever in an error.
func CredentialFor(config []byte, domain string) (*RegistryCredential, error) {
	file, err := parseCredentials(config)
	if err != nil {
		return nil, err
	}
	for address, entry := range file.Auths {
		if RegistryHost(address) != domain {
			continue
		}
		found := &RegistryCredential{Address: address, IdentityToken: entry.IdentityToken}
		if entry.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(entry.Auth)
			user, password, separated := strings.Cut(string(plain), ":")
			if err != nil || !separated {
				return nil, Errorf(Invalid, "read registry credentials: the entry of %s is damaged", domain)
			}
			found.Username, found.Password = user, strings.TrimRight(password, "\x00")
		}
		return found, nil
	}
	return nil, nil
}

// CredentialAddresses are the addresses of registries in Docker's config.json.
func CredentialAddresses(config []byte) ([]string, error) {
	file, err := parseCredentials(config)
	return slices.Sorted(maps.Keys(file.Auths)), err
}

// credentialsFile is what counts here of Docker's config.json.
type credentialsFile struct {
	Auths map[string]struct {
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
}

func parseCredentials(config []byte) (file credentialsFile, err error) {
	if len(config) > 0 && json.Unmarshal(config, &file) != nil {
		err = Errorf(Invalid, "read registry credentials: not in the form of Docker's config.json")
	}
	return file, err
}

// RegistryHost is the registry that an entry is for, as image names have it.
func RegistryHost(address string) string {
	if address == dockerHub {
		return "docker.io"
	}
	_, rest, hasScheme := strings.Cut(address, "://")
	if !hasScheme {
		rest = address
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}
