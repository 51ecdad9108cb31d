package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"kargo/secrets"
)

// refPrefix begins the variables of the controller that every repository may
// refer to (ref+env:). They are not settings.
const refPrefix = "KARGO_SECRET_"

// secretFlags say which keys decrypt files, and where values outside of the
// repository are.
type secretFlags struct {
	ageKey        secretSource
	pgpKey        secretSource
	pgpPassphrase secretSource
	kms           []string

	directory string
	variables []string

	vaultAddress   string
	vaultToken     secretSource
	vaultRoleID    string
	vaultSecretID  secretSource
	vaultAuthPath  string
	vaultNamespace string
	vaultCA        secretSource
}

func (o *secretFlags) flags(flags *pflag.FlagSet) {
	secretFlag(flags, &o.ageKey, "sops-age-key", "file with the age or SSH keys that open encrypted files")
	secretFlag(flags, &o.pgpKey, "sops-pgp-key", "file with the OpenPGP keys that open encrypted files")
	secretFlag(flags, &o.pgpPassphrase, "sops-pgp-passphrase", "file with the passphrase of the OpenPGP keys that open encrypted files")
	flags.StringSliceVar(&o.kms, "sops-kms", nil, "`names` of key services that may open encrypted files: aws, azure=https://NAME.vault.azure.net, gcp, huawei; =PREFIX limits their keys")
	flags.Var((*pathValue)(&o.directory), "secrets-dir", "directory of the files that ref+file: may name")
	flags.StringSliceVar(&o.variables, "ref-variables", nil, "`names` of variables of the controller that ref+env: may name, in addition to "+refPrefix+"*")
	flags.StringVar(&o.vaultAddress, "vault-address", "", "`address` of the OpenBao or Vault that ref+vault: and SOPS ask")
	secretFlag(flags, &o.vaultToken, "vault-token", "file with the token for OpenBao or Vault")
	flags.StringVar(&o.vaultRoleID, "vault-role-id", "", "`name` of the role (its role id) for AppRole, where there is no token")
	secretFlag(flags, &o.vaultSecretID, "vault-secret-id", "file with the secret id for AppRole")
	flags.StringVar(&o.vaultAuthPath, "vault-auth-path", "approle", "`path` in OpenBao or Vault where AppRole is mounted")
	flags.StringVar(&o.vaultNamespace, "vault-namespace", "", "`name` of the namespace in OpenBao or Vault")
	secretFlag(flags, &o.vaultCA, "vault-ca", "file with certificates to trust for OpenBao or Vault, in addition to the system's")
}

// secretsProgram returns the path of the program that opens files: beside this one.
var secretsProgram = func() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return filepath.Join(filepath.Dir(program), secrets.ProgramName), nil
}

// options returns the settings as package secrets takes them.
func (o *secretFlags) options(env map[string]string) (secrets.Options, error) {
	program, err := secretsProgram()
	if err != nil {
		return secrets.Options{}, err
	}
	options := secrets.Options{
		Start:   secrets.Program(program),
		AgeKeys: o.ageKey.optional(), PGPKeys: o.pgpKey.optional(), PGPPassphrase: o.pgpPassphrase.optional(),
		Directory: o.directory,
		Variables: func() map[string]string {
			open := map[string]string{}
			for name, value := range env {
				if strings.HasPrefix(name, refPrefix) || slices.Contains(o.variables, name) {
					open[name] = value
				}
			}
			return open
		},
		Vault: secrets.Vault{
			Address: o.vaultAddress, Token: o.vaultToken.optional(), RoleID: o.vaultRoleID, SecretID: o.vaultSecretID.optional(),
			AuthPath: o.vaultAuthPath, Namespace: o.vaultNamespace, CA: o.vaultCA.optional(),
		},
	}
	if err := options.Vault.Validate(); err != nil {
		return options, usagef("%w", err)
	}
	kms, err := secrets.ParseKMS(o.kms)
	if err != nil {
		return options, usagef("--sops-kms: %w", err)
	}
	options.KMS = kms
	return options, nil
}
