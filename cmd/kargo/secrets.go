package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"kargo/secrets"
)

// refPrefix begins the variables of the controller that every repository may
// refer to (ref+env:). They are no settings.
const refPrefix = "KARGO_SECRET_"

// secretSettings say with what encrypted files are opened, and where values lie
// that are not in the repository.
type secretSettings struct {
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

// secretFlags are for every command that reads a workspace.
func (s *settings) secretFlags(flags *pflag.FlagSet) {
	o := &s.secrets
	flags.StringVar(&o.ageKey.file, "sops-age-key-file", "", "`file` with the age or SSH keys that open encrypted files (or KARGO_SOPS_AGE_KEY)")
	flags.StringVar(&o.pgpKey.file, "sops-pgp-key-file", "", "`file` with the OpenPGP keys that do (or KARGO_SOPS_PGP_KEY)")
	flags.StringVar(&o.pgpPassphrase.file, "sops-pgp-passphrase-file", "", "`file` with the passphrase of those keys (or KARGO_SOPS_PGP_PASSPHRASE)")
	flags.StringSliceVar(&o.kms, "sops-kms", nil, "`services` that files may be opened by: aws, azure=https://NAME.vault.azure.net, gcp, huawei; =PREFIX bounds their keys")
	flags.StringVar(&o.directory, "secrets-dir", "", "`directory` of the files that ref+file: may name")
	flags.StringSliceVar(&o.variables, "ref-variables", nil, "`variables` of the controller that ref+env: may name, beside "+refPrefix+"*")
	flags.StringVar(&o.vaultAddress, "vault-address", "", "`address` of the OpenBao or Vault of ref+vault: and of SOPS")
	flags.StringVar(&o.vaultToken.file, "vault-token-file", "", "`file` with the token for it (or KARGO_VAULT_TOKEN)")
	flags.StringVar(&o.vaultRoleID, "vault-role-id", "", "role `id` of AppRole, where there is no token")
	flags.StringVar(&o.vaultSecretID.file, "vault-secret-id-file", "", "`file` with the secret id of that role (or KARGO_VAULT_SECRET_ID)")
	flags.StringVar(&o.vaultAuthPath, "vault-auth-path", "approle", "`path` where AppRole is mounted")
	flags.StringVar(&o.vaultNamespace, "vault-namespace", "", "`namespace` of all that is asked for")
	flags.StringVar(&o.vaultCA.file, "vault-ca-file", "", "`file` with certificates to trust for it, beside the system's (or KARGO_VAULT_CA)")
}

// variables are those that hold the secret of a flag's file themselves.
func (o *secretSettings) sources() map[string]*secretSource {
	return map[string]*secretSource{
		"KARGO_SOPS_AGE_KEY":        &o.ageKey,
		"KARGO_SOPS_PGP_KEY":        &o.pgpKey,
		"KARGO_SOPS_PGP_PASSPHRASE": &o.pgpPassphrase,
		"KARGO_VAULT_TOKEN":         &o.vaultToken,
		"KARGO_VAULT_SECRET_ID":     &o.vaultSecretID,
		"KARGO_VAULT_CA":            &o.vaultCA,
	}
}

// options are the settings as the package wants them.
func (o *secretSettings) options(env map[string]string) (secrets.Options, error) {
	options := secrets.Options{
		AgeKeys: o.ageKey.optional(), PGPKeys: o.pgpKey.optional(), PGPPassphrase: o.pgpPassphrase.optional(),
		Directory: o.directory,
		Variable: func(name string) (string, bool) {
			value, exists := env[name]
			return value, exists && (strings.HasPrefix(name, refPrefix) || slices.Contains(o.variables, name))
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
