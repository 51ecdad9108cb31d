package secrets_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/kms"

	"kargo"
	"kargo/secrets"
	"kargo/secrets/secretstest"
)

// A key service that the operator allows opens files. The service is a server on
// loopback; the library that asks it is AWS's own.
func TestSOPSByKMS(t *testing.T) {
	const arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
	denied := false
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var asked struct{ CiphertextBlob, KeyId string }
		_ = json.Unmarshal(body, &asked)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if denied || r.Header.Get("X-Amz-Target") != "TrentService.Decrypt" || asked.KeyId != arn {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type": "AccessDeniedException", "Message": "not allowed to decrypt"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"KeyId": arn, "Plaintext": asked.CiphertextBlob})
	}))
	defer service.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_KMS": service.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	allowed, err := secrets.ParseKMS([]string{"aws=arn:aws:kms:eu-west-1:123456789012:key/"})
	if err != nil {
		t.Fatal(err)
	}
	sealed := secretstest.For(awsKey{kms.NewMasterKey(arn, "", nil)}).Seal(t, "a.env", "", "A=hunter22\n")
	if plain, err := read(t, secrets.Options{KMS: allowed}, "a.env", sealed); err != nil || plain != "A=hunter22\n" {
		t.Fatalf("got %q, %v", plain, err)
	}
	denied = true
	_, err = read(t, secrets.Options{KMS: allowed}, "a.env", sealed)
	if kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), "not allowed to decrypt") || strings.Contains(err.Error(), "planted") {
		t.Errorf("denied: %s: %v", kargo.FaultOf(err), err)
	}
}

// awsKey encrypts as that server does: not at all.
type awsKey struct{ *kms.MasterKey }

// Encrypt encrypts the key of a file.
func (k awsKey) Encrypt(dataKey []byte) error {
	k.SetEncryptedDataKey([]byte(base64.StdEncoding.EncodeToString(dataKey)))
	return nil
}

// Master is the key as SOPS writes it down.
func (k awsKey) Master() keys.MasterKey { return k.MasterKey }
