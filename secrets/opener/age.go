package opener

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"

	"kargo"
	"kargo/secrets"
)

// maxPlain is the size in bytes of the largest file that is opened.
const maxPlain = secrets.MaxFile

// openAge opens a file that is encrypted as a whole. The file does not name its
// recipients.
func (o *Opener) openAge(name string, data []byte) ([]byte, kargo.Opened, error) {
	keys, err := o.keys()
	if err != nil {
		return nil, kargo.Opened{}, err
	}
	plain, key, err := keys.decryptAge(data)
	switch {
	case errors.Is(err, errNoKey):
		return nil, kargo.Opened{}, refuse(name, hintAge, "is encrypted with age, and no key is given to open it")
	case errors.As(err, new(*age.NoIdentityMatchError)):
		return nil, kargo.Opened{}, refuse(name, hintAge, "is encrypted with age for other keys than %s", keys.ageNames())
	case err != nil:
		return nil, kargo.Opened{}, refuse(name, "", "is encrypted with age and damaged")
	}
	return plain, kargo.Opened{
		Sealed: data, With: "age, opened with " + key, Names: assignedNames(name, plain), Values: textValues(plain),
	}, nil
}

const hintAge = "name the file with the private key in --sops-age-key-file"

var errNoKey = errors.New("no key is given")

// ageKey is a private key and its name in messages.
type ageKey struct {
	age.Identity
	name string
}

// parseAgeKeys reads private keys of age, one a line, or one SSH key.
func parseAgeKeys(data []byte) ([]ageKey, error) {
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		identity, err := agessh.ParseIdentity(data)
		if err != nil {
			return nil, errors.New("it is not an SSH private key without a passphrase")
		}
		return []ageKey{{identity, "the SSH key"}}, nil
	}
	identities, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		// The library quotes the line, which may be a key.
		return nil, errors.New("a line of it is not a private key of age")
	}
	keys := make([]ageKey, 0, len(identities))
	for _, identity := range identities {
		name := "an age key"
		switch identity := identity.(type) {
		case *age.X25519Identity:
			name = identity.Recipient().String()
		case *age.HybridIdentity:
			name = identity.Recipient().String()
		}
		keys = append(keys, ageKey{identity, name})
	}
	return keys, nil
}

// decryptAge decrypts with the first key that fits, and returns its name.
func (k *keyring) decryptAge(data []byte) (plain []byte, key string, err error) {
	if len(k.age) == 0 {
		return nil, "", errNoKey
	}
	err = errNoKey
	for _, candidate := range k.age {
		var source io.Reader = bytes.NewReader(data)
		if bytes.HasPrefix(data, []byte(armor.Header)) {
			source = armor.NewReader(source)
		}
		var reader io.Reader
		if reader, err = age.Decrypt(source, candidate); err != nil {
			if errors.As(err, new(*age.NoIdentityMatchError)) {
				continue
			}
			return nil, "", err
		}
		plain, err = io.ReadAll(io.LimitReader(reader, maxPlain+1))
		if err == nil && len(plain) > maxPlain {
			err = fmt.Errorf("is longer than %d bytes", maxPlain)
		}
		return plain, candidate.name, err
	}
	return nil, "", err
}

func (k *keyring) ageNames() string {
	names := make([]string, 0, len(k.age))
	for _, key := range k.age {
		names = append(names, key.name)
	}
	return strings.Join(names, ", ")
}
