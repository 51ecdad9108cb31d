// Package secretstest creates encrypted files for tests, with the libraries that
// SOPS and age use, and a server that speaks Vault's API. Its keys are created for
// one test and end with it.
package secretstest

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/ProtonMail/go-crypto/openpgp"
	pgparmor "github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/pgp"
	dotenvstore "github.com/getsops/sops/v3/stores/dotenv"
	inistore "github.com/getsops/sops/v3/stores/ini"
	jsonstore "github.com/getsops/sops/v3/stores/json"
	yamlstore "github.com/getsops/sops/v3/stores/yaml"
	"golang.org/x/crypto/ssh"
)

// NewAgeKey returns a private key of age.
func NewAgeKey(t testing.TB) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// NewSSHKey returns a private key in OpenSSH's form and the public one.
func NewSSHKey(t testing.TB) (private []byte, public string) {
	t.Helper()
	publicKey, privateKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(privateKey, "")
	if err != nil {
		t.Fatal(err)
	}
	authorized, err := ssh.NewPublicKey(publicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(authorized)))
}

// NewPGPKey returns a private key of OpenPGP.
func NewPGPKey(t testing.TB) *openpgp.Entity {
	t.Helper()
	entity, err := openpgp.NewEntity("test", "", "test@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	return entity
}

// PrivatePGP returns a private key, armored, and encrypted if there is a
// passphrase.
func PrivatePGP(t testing.TB, entity *openpgp.Entity, passphrase string) []byte {
	t.Helper()
	var text bytes.Buffer
	writer, err := pgparmor.Encode(&text, openpgp.PrivateKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if passphrase != "" {
		if err := entity.EncryptPrivateKeys([]byte(passphrase), nil); err != nil {
			t.Fatal(err)
		}
		err = entity.SerializePrivateWithoutSigning(writer, nil)
	} else {
		err = entity.SerializePrivate(writer, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// AgeEncrypt encrypts a file as a whole.
func AgeEncrypt(t testing.TB, plain string, armored bool, recipients ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	var target io.Writer = &out
	var armorWriter io.WriteCloser
	if armored {
		armorWriter = armor.NewWriter(&out)
		target = armorWriter
	}
	writer, err := age.Encrypt(target, recipients...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(writer, plain); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if armored {
		if err := armorWriter.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// Sealer encrypts files as the sops command does: with SOPS's own stores,
// cipher and keys.
type Sealer struct {
	// Groups of keys; where there are several, Threshold of them open a file
	// together.
	Groups    []sops.KeyGroup
	Threshold int
	// Change sets further properties of SOPS: which values are encrypted.
	Change func(*sops.Metadata)
}

// For returns the Sealer of one group of keys: any of them opens the file.
func For(keys ...keys.MasterKey) Sealer { return Sealer{Groups: []sops.KeyGroup{keys}} }

// ForAge returns a recipient of SOPS.
func ForAge(t testing.TB, recipient string) keys.MasterKey {
	t.Helper()
	key, err := sopsage.MasterKeyFromRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// pgpKey encrypts without gpg, which the library would run.
type pgpKey struct {
	*pgp.MasterKey
	entity *openpgp.Entity
}

// ForPGP returns a recipient of SOPS.
func ForPGP(entity *openpgp.Entity) keys.MasterKey {
	return &pgpKey{pgp.NewMasterKeyFromFingerprint(Fingerprint(entity)), entity}
}

// Fingerprint returns the name of a key of OpenPGP.
func Fingerprint(entity *openpgp.Entity) string {
	const digits = "0123456789ABCDEF"
	var text []byte
	for _, b := range entity.PrimaryKey.Fingerprint {
		text = append(text, digits[b>>4], digits[b&15])
	}
	return string(text)
}

// Master returns the key as SOPS writes it.
func (k *pgpKey) Master() keys.MasterKey { return k.MasterKey }

// Encrypt encrypts the key of a file.
func (k *pgpKey) Encrypt(dataKey []byte) error {
	var out bytes.Buffer
	armored, err := pgparmor.Encode(&out, "PGP MESSAGE", nil)
	if err != nil {
		return err
	}
	plain, err := openpgp.Encrypt(armored, []*openpgp.Entity{k.entity}, nil, nil, nil)
	if err != nil {
		return err
	}
	if _, err := plain.Write(dataKey); err != nil {
		return err
	}
	if err := plain.Close(); err != nil {
		return err
	}
	if err := armored.Close(); err != nil {
		return err
	}
	k.SetEncryptedDataKey(out.Bytes())
	return nil
}

// Seal encrypts one file; the format is "" if the name says it.
func (s Sealer) Seal(t testing.TB, name, format, plain string) []byte {
	t.Helper()
	store := storeOf(cmp.Or(format, strings.TrimPrefix(path.Ext(name), ".")))
	branches, err := store.LoadPlainFile([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	tree := sops.Tree{Branches: branches, FilePath: name, Metadata: sops.Metadata{
		KeyGroups: s.Groups, ShamirThreshold: s.Threshold, Version: "3.13.3", UnencryptedSuffix: "_unencrypted",
	}}
	if s.Change != nil {
		s.Change(&tree.Metadata)
	}
	dataKey := s.dataKey(t, &tree)
	cipher := aes.NewCipher()
	code, err := tree.Encrypt(dataKey, cipher)
	if err != nil {
		t.Fatal(err)
	}
	tree.Metadata.LastModified = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tree.Metadata.MessageAuthenticationCode, err = cipher.Encrypt(code, dataKey, tree.Metadata.LastModified.Format(time.RFC3339))
	if err != nil {
		t.Fatal(err)
	}
	for g, group := range tree.Metadata.KeyGroups {
		for k, key := range group {
			if own, ok := key.(interface{ Master() keys.MasterKey }); ok { // SOPS writes down keys of its own only
				tree.Metadata.KeyGroups[g][k] = own.Master()
			}
		}
	}
	data, err := store.EmitEncryptedFile(tree)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// storeOf returns SOPS's reader and writer of a format, or of an extension.
func storeOf(format string) sops.Store {
	settings := config.NewStoresConfig()
	switch format {
	case "yaml", "yml":
		return yamlstore.NewStore(&settings.YAML)
	case "json":
		return jsonstore.NewStore(&settings.JSON)
	case "dotenv", "env":
		return dotenvstore.NewStore(&settings.Dotenv)
	case "ini":
		return inistore.NewStore(&settings.INI)
	}
	return jsonstore.NewBinaryStore(&settings.JSONBinary)
}

// dataKey creates the key of a file, and encrypts it for every recipient.
func (s Sealer) dataKey(t testing.TB, tree *sops.Tree) []byte {
	t.Helper()
	if len(s.Groups) > 1 {
		key, errs := tree.GenerateDataKey()
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		return key
	}
	key := make([]byte, 32)
	rand.Read(key)
	for _, master := range s.Groups[0] {
		if err := master.Encrypt(key); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

// Key is a key of SOPS whose part in a file can be set.
type Key interface {
	keys.MasterKey
	SetEncryptedDataKey([]byte)
}

// Unasked is a key that is never asked to encrypt, because there is no service.
type Unasked struct{ Key }

// Master returns the key as SOPS writes it.
func (u Unasked) Master() keys.MasterKey { return u.Key }

// Encrypt leaves the key as it was set.
func (Unasked) Encrypt([]byte) error { return nil }
