package signature

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"kargo"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// pgpAllowed are the keys of a keyring.
type pgpAllowed openpgp.EntityList

// parseKeyring reads armored public keys, in one or more blocks.
func parseKeyring(data []byte) (pgpAllowed, error) {
	const begin = "-----BEGIN PGP"
	var all pgpAllowed
	for i, block := range bytes.Split(data, []byte(begin)) {
		if i == 0 {
			continue // text before the first block
		}
		keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(append([]byte(begin), block...)))
		if err != nil {
			return nil, fmt.Errorf("key block %d: %w", i, err)
		}
		all = append(all, keys...)
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no key that begins with \"-----BEGIN PGP PUBLIC KEY BLOCK-----\"")
	}
	return all, nil
}

// verify checks an armored, detached signature. A key that expired after it signed
// is accepted, a revoked one never.
func (a pgpAllowed) verify(payload, armored []byte) (signer string, err error) {
	first, err := firstSignature(armored)
	if err != nil {
		return "", fmt.Errorf("its OpenPGP signature is malformed: %w", err)
	}
	keys := openpgp.EntityList(a)
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return "", fmt.Errorf("its OpenPGP signature is malformed: %w", err)
	}
	signature, entity, err := openpgp.VerifyDetachedSignature(keys, bytes.NewReader(payload), block.Body, nil)
	if errors.Is(err, pgperrors.ErrUnknownIssuer) {
		return "", &unknownKey{issuerName(first)}
	}
	if entity == nil {
		return "", fmt.Errorf("its signature by %s is wrong, so it was changed after it was signed: %w", issuerName(first), err)
	}
	key := fmt.Sprintf("OpenPGP key %X", entity.PrimaryKey.Fingerprint)
	if errors.Is(err, pgperrors.ErrKeyExpired) && wasValid(entity, keys, signature) {
		err = nil
	}
	switch {
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return "", fmt.Errorf("%s had expired when it signed", key)
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return "", fmt.Errorf("%s is revoked", key)
	case err != nil:
		return "", fmt.Errorf("%s: %w", key, err)
	}
	if identity := entity.PrimaryIdentity(); identity != nil {
		return kargo.PrintableLine(identity.Name) + " (" + key + ")", nil
	}
	return key, nil
}

// wasValid reports whether a key that has expired was valid when it signed. The
// library reports the expired key after it has checked everything else, except the
// expiry of the signature.
func wasValid(entity *openpgp.Entity, keys openpgp.EntityList, signature *packet.Signature) bool {
	then := signature.CreationTime
	primary, _ := entity.PrimarySelfSignature()
	if entity.PrimaryKey.KeyExpired(primary, then) || signature.SigExpired(time.Now()) {
		return false
	}
	for _, key := range keys.KeysByIdUsage(*signature.IssuerKeyId, packet.KeyFlagSign) {
		if key.Entity == entity && key.PublicKey.KeyExpired(key.SelfSignature, then) {
			return false
		}
	}
	return true
}

// firstSignature returns the first packet of an armored signature.
func firstSignature(armored []byte) (*packet.Signature, error) {
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return nil, err
	}
	first, err := packet.NewReader(block.Body).Next()
	if err != nil {
		return nil, err
	}
	signature, ok := first.(*packet.Signature)
	if !ok || signature.IssuerKeyId == nil {
		return nil, errors.New("it names no key")
	}
	return signature, nil
}

// issuerName returns the name of the key that a signature claims to be made with.
func issuerName(signature *packet.Signature) string {
	if len(signature.IssuerFingerprint) > 0 {
		return fmt.Sprintf("OpenPGP key %X", signature.IssuerFingerprint)
	}
	return fmt.Sprintf("OpenPGP key %016X", *signature.IssuerKeyId)
}
