package opener

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/getsops/sops/v3/keyservice"

	"kargo"
	"kargo/secrets"
)

// keyring holds the operator's private keys, as they were read for one revision.
type keyring struct {
	age []ageKey
	pgp openpgp.EntityList
}

// keys reads the operator's keys at the first use. The caller holds mu.
func (o *Opener) keys() (*keyring, error) {
	if o.keyring != nil {
		return o.keyring, nil
	}
	ageKeys, err := readKeys("the age keys", o.options.AgeKeys)
	if err != nil {
		return nil, err
	}
	pgpKeys, err := readKeys("the OpenPGP keys", o.options.PGPKeys)
	if err != nil {
		return nil, err
	}
	passphrase, err := readKeys("the passphrase of the OpenPGP keys", o.options.PGPPassphrase)
	if err != nil {
		return nil, err
	}
	ring := &keyring{}
	if ring.age, err = parseAgeKeys(ageKeys); err != nil && len(ageKeys) > 0 {
		return nil, kargo.Errorf(kargo.Unavailable, "read the age keys: %w", err)
	}
	if ring.pgp, err = parsePGPKeys(pgpKeys, passphrase); err != nil {
		return nil, kargo.Errorf(kargo.Unavailable, "read the OpenPGP keys: %w", err)
	}
	o.keyring = ring
	return ring, nil
}

// keyService serves SOPS's requests for the key of one file. It replaces SOPS's
// own service, which would run gpg, look for keys in the home directory, and
// send credentials to any address that the file names.
type keyService struct {
	ctx     context.Context // SOPS does not pass its caller's context
	keys    *keyring
	kms     []secrets.KMS
	vault   func() (*vaultClient, error)
	timeout time.Duration

	used     string    // the key that opened the file
	attempts []attempt // the keys that did not
}

// attempt is a key that a file names and that did not open it.
type attempt struct {
	key, hint string
	err       error // nil if the operator has not given the key
	away      bool  // another attempt may succeed
}

// Encrypt is never called.
func (s *keyService) Encrypt(context.Context, *keyservice.EncryptRequest) (*keyservice.EncryptResponse, error) {
	return nil, errors.New("files are opened only")
}

// Decrypt decrypts the key of the file with one of the keys that the file names.
func (s *keyService) Decrypt(_ context.Context, request *keyservice.DecryptRequest) (*keyservice.DecryptResponse, error) {
	if len(s.attempts) >= maxFileKeys {
		return nil, fmt.Errorf("names more than %d keys", maxFileKeys)
	}
	// SOPS has no context to hand on; that of the caller is in s.
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	var plain []byte
	var tried attempt
	switch key := request.Key.KeyType.(type) {
	case *keyservice.Key_AgeKey:
		tried = attempt{key: key.AgeKey.Recipient, hint: hintAge}
		plain, _, tried.err = s.keys.decryptAge(request.Ciphertext)
	case *keyservice.Key_PgpKey:
		tried = attempt{key: pgpName(key.PgpKey.Fingerprint), hint: "name the file with the private key in --sops-pgp-key-file"}
		plain, tried.err = s.keys.decryptPGP(request.Ciphertext)
	case *keyservice.Key_VaultKey:
		plain, tried = s.askVault(ctx, key.VaultKey, request.Ciphertext) //nolint:contextcheck // see above
	default:
		plain, tried = s.askCloud(ctx, request.Key, request.Ciphertext) //nolint:contextcheck // see above
	}
	if plain == nil {
		s.attempts = append(s.attempts, tried)
		return nil, errors.New("no key") // attempts says why
	}
	s.used = tried.key
	return &keyservice.DecryptResponse{Plaintext: plain}, nil
}

// maxFileKeys is how many keys of one file are tried.
const maxFileKeys = 64

// failure returns the error that says why no key opened a file.
func (s *keyService) failure(name string) error {
	var keys, words []string
	hint := ""
	for _, attempt := range s.attempts {
		if attempt.away {
			return away(name, attempt.hint, "is encrypted with SOPS for %s, and that key is not available: %w", attempt.key, attempt.err)
		}
		keys = append(keys, attempt.key)
		if attempt.err != nil && !errors.Is(attempt.err, errNoKey) && !isOtherKey(attempt.err) {
			words = append(words, attempt.key+": "+attempt.err.Error())
		}
		if hint == "" {
			hint = attempt.hint
		}
	}
	if len(keys) == 0 {
		return refuse(name, "", "is encrypted with SOPS and names no key")
	}
	message := "is encrypted with SOPS for " + strings.Join(keys, ", ") + ", and none of the given keys opens it"
	if len(words) > 0 {
		message += ": " + strings.Join(words, "; ")
	}
	return refuse(name, hint, "%s", message)
}
