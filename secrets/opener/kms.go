package opener

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/getsops/sops/v3/azkv"
	"github.com/getsops/sops/v3/gcpkms"
	"github.com/getsops/sops/v3/hckms"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/kms"

	"kargo/secrets"
)

// cloudKey is a key of a cloud's key service that a file names.
type cloudKey struct {
	kind, name string
	decrypt    func(context.Context) ([]byte, error)
}

// askCloud decrypts the key of a file at a key service, if the operator allows that
// service.
func (s *keyService) askCloud(ctx context.Context, key *keyservice.Key, ciphertext []byte) ([]byte, attempt) {
	cloud, err := cloudKeyOf(key, string(ciphertext))
	tried := attempt{key: strings.TrimSpace(secrets.KMSName(cloud.kind) + " " + cloud.name), err: err}
	if err != nil {
		return nil, tried
	}
	if !slices.ContainsFunc(s.kms, func(k secrets.KMS) bool { return k.Allows(cloud.kind, cloud.name) }) {
		tried.err, tried.hint = errNoKey, "allow the key service in --sops-kms"
		return nil, tried
	}
	plain, err := cloud.decrypt(ctx)
	if err != nil {
		// Access was denied or the service is not reachable. The operator can
		// correct either, so another attempt may succeed.
		tried.err, tried.away = fmt.Errorf("ask %s: %w", tried.key, err), true
		return nil, tried
	}
	return plain, tried
}

func cloudKeyOf(key *keyservice.Key, ciphertext string) (cloudKey, error) {
	switch key := key.KeyType.(type) {
	case *keyservice.Key_KmsKey:
		k := key.KmsKey
		if k.AwsProfile != "" {
			return cloudKey{kind: "aws", name: k.Arn}, errors.New("an AWS profile that a repository names is not used")
		}
		encryption := map[string]*string{}
		for name, value := range k.Context {
			encryption[name] = &value
		}
		master := kms.MasterKey{Arn: k.Arn, Role: k.Role, EncryptionContext: encryption, EncryptedKey: ciphertext}
		return cloudKey{"aws", k.Arn, master.DecryptContext}, nil
	case *keyservice.Key_GcpKmsKey:
		master := gcpkms.MasterKey{ResourceID: key.GcpKmsKey.ResourceId, EncryptedKey: ciphertext}
		return cloudKey{"gcp", master.ResourceID, master.DecryptContext}, nil
	case *keyservice.Key_AzureKeyvaultKey:
		k := key.AzureKeyvaultKey
		master := azkv.MasterKey{VaultURL: k.VaultUrl, Name: k.Name, Version: k.Version, EncryptedKey: ciphertext}
		return cloudKey{"azure", strings.TrimSuffix(k.VaultUrl, "/") + "/keys/" + k.Name, master.DecryptContext}, nil
	case *keyservice.Key_HckmsKey:
		master, err := hckms.NewMasterKey(key.HckmsKey.KeyId)
		if err != nil {
			return cloudKey{kind: "huawei", name: key.HckmsKey.KeyId}, errors.New("is not a key of Huawei Cloud")
		}
		master.EncryptedKey = ciphertext
		return cloudKey{"huawei", master.KeyID, master.DecryptContext}, nil
	}
	return cloudKey{}, errors.New("is of a kind that Kargo does not know")
}
