package opener

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// maxDataKey is the size in bytes of the longest key of a file that is accepted.
// SOPS makes keys of 32 bytes, and longer ones where several parts are combined.
const maxDataKey = 1 << 10

// parsePGPKeys parses private keys, and decrypts those with a passphrase.
func parsePGPKeys(data, passphrase []byte) (openpgp.EntityList, error) {
	if len(data) == 0 {
		return nil, nil
	}
	read := openpgp.ReadKeyRing
	if bytes.Contains(data, []byte("-----BEGIN PGP")) {
		read = openpgp.ReadArmoredKeyRing
	}
	entities, err := read(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("they are not OpenPGP keys")
	}
	for _, entity := range entities {
		if entity.PrivateKey == nil {
			return nil, errors.New("there is a public key among them")
		}
		if err := entity.DecryptPrivateKeys(passphrase); err != nil {
			return nil, errors.New("the passphrase does not open them")
		}
	}
	return entities, nil
}

// decryptPGP decrypts an armored message, the form in which SOPS keeps the key of a
// file.
func (k *keyring) decryptPGP(data []byte) ([]byte, error) {
	if len(k.pgp) == 0 {
		return nil, errNoKey
	}
	block, err := armor.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("is damaged")
	}
	message, err := openpgp.ReadMessage(block.Body, k.pgp, nil, nil)
	if err != nil {
		return nil, errors.New("is for another key")
	}
	return io.ReadAll(io.LimitReader(message.UnverifiedBody, maxDataKey))
}

// pgpName returns a fingerprint as people write it.
func pgpName(fingerprint string) string { return "PGP " + strings.ToUpper(fingerprint) }
