package opener

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/logging"
	dotenvstore "github.com/getsops/sops/v3/stores/dotenv"
	inistore "github.com/getsops/sops/v3/stores/ini"
	jsonstore "github.com/getsops/sops/v3/stores/json"
	yamlstore "github.com/getsops/sops/v3/stores/yaml"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/secrets"
)

// SOPS logs to standard error, including comments of the files.
func init() {
	for _, logger := range logging.Loggers {
		logger.SetOutput(io.Discard)
	}
}

// openSOPS opens a file of SOPS. Errors of the library quote the file, so they are
// not passed on.
func (o *Opener) openSOPS(name string, data []byte) (plain []byte, opened kargo.Opened, err error) {
	defer func() {
		if recover() != nil { // the library may panic with a file that SOPS did not write
			plain, opened, err = nil, kargo.Opened{}, refuse(name, "", "is encrypted with SOPS and damaged")
		}
	}()
	if len(data) > maxPlain {
		return nil, opened, refuse(name, "", "is longer than %d bytes", maxPlain)
	}
	format := formatOf(name, data)
	store := newStore(format)
	file, err := load(store, format, data)
	if err != nil {
		return nil, opened, refuse(name, "restore it as `sops encrypt` wrote it", "is encrypted with SOPS and cannot be read as %s", format)
	}
	key, used, err := o.fileKey(name, &file)
	if err != nil {
		return nil, opened, err
	}
	encrypted := encryptedLeaves(file.Branches)
	if err := decrypt(&file, key); err != nil {
		return nil, opened, refuse(name, "edit it with `sops edit`; after a merge by hand, encrypt it again",
			"is encrypted with SOPS and was changed without it")
	}
	if plain, err = store.EmitPlainFile(file.Branches); err != nil {
		return nil, opened, refuse(name, "", "is encrypted with SOPS and cannot be written as %s", format)
	}
	opened = kargo.Opened{Sealed: data, With: "SOPS, opened with " + used}
	if format == "binary" {
		opened.Names, opened.Values = assignedNames(name, plain), textValues(plain)
	} else {
		opened.Names, opened.Values = encrypted.secrets(file.Branches, format)
	}
	return plain, opened, nil
}

// load reads a file of SOPS. SOPS expands aliases of YAML and bounds that in the
// first document only; the decoder here bounds it in all of them.
func load(store sops.EncryptedFileLoader, format string, data []byte) (sops.Tree, error) {
	if format == "yaml" {
		documents := yaml.NewDecoder(bytes.NewReader(data))
		for {
			var document any
			if err := documents.Decode(&document); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return sops.Tree{}, err
			}
		}
	}
	return store.LoadEncryptedFile(data)
}

// fileKey returns the key that the values of a file are encrypted with, and the
// names of the keys that decrypted it.
func (o *Opener) fileKey(name string, file *sops.Tree) (key []byte, used string, err error) {
	keys, err := o.keys()
	if err != nil {
		return nil, "", err
	}
	service := &keyService{ctx: o.ctx, keys: keys, kms: o.options.KMS, vault: o.vault, timeout: o.options.Timeout}
	client := keyservice.NewCustomLocalClient(service)
	// Local keys come first, so that no service is asked without need.
	key, err = file.Metadata.GetDataKeyWithKeyServices([]keyservice.KeyServiceClient{client}, []string{"age", "pgp"})
	if err != nil {
		return nil, "", service.failure(name)
	}
	return key, service.used, nil
}

// decrypt decrypts the values of a file, and verifies that the file is as SOPS
// wrote it.
func decrypt(file *sops.Tree, key []byte) error {
	cipher := aes.NewCipher()
	code, err := file.Decrypt(key, cipher)
	if err != nil {
		return err
	}
	written, err := cipher.Decrypt(file.Metadata.MessageAuthenticationCode, key, file.Metadata.LastModified.Format(time.RFC3339))
	if err != nil {
		return err
	}
	text, _ := written.(string)
	if subtle.ConstantTimeCompare([]byte(text), []byte(code)) != 1 {
		return errors.New("another message authentication code")
	}
	return nil
}

// formatOf returns the format of a file: by its name, as SOPS does, or by its
// content if the name does not say.
func formatOf(name string, data []byte) string {
	extension := path.Ext(strings.TrimSuffix(name, ".tpl"))
	if extension != ".json" && isBinary(data) {
		return "binary"
	}
	byName := map[string]string{".yaml": "yaml", ".yml": "yaml", ".json": "json", ".env": "dotenv", ".ini": "ini"}
	if format, known := byName[extension]; known {
		return format
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return "json"
	}
	for _, format := range slices.Sorted(maps.Keys(secrets.SOPSMarks)) {
		if format != "json" && bytes.Contains(data, secrets.SOPSMarks[format]) {
			return format
		}
	}
	return "binary"
}

// isBinary reports whether a file was encrypted as a whole.
func isBinary(data []byte) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || len(fields) != 2 {
		return false
	}
	return fields["data"] != nil && fields["sops"] != nil
}

// newStore returns SOPS's reader and writer of a format.
func newStore(format string) interface {
	sops.EncryptedFileLoader
	sops.PlainFileEmitter
} {
	settings := config.NewStoresConfig()
	switch format {
	case "yaml":
		return yamlstore.NewStore(&settings.YAML)
	case "json":
		return jsonstore.NewStore(&settings.JSON)
	case "dotenv":
		return dotenvstore.NewStore(&settings.Dotenv)
	case "ini":
		return inistore.NewStore(&settings.INI)
	}
	return jsonstore.NewBinaryStore(&settings.JSONBinary)
}

// isOtherKey reports whether the file was encrypted for another key.
func isOtherKey(err error) bool { return errors.As(err, new(*age.NoIdentityMatchError)) }
