// Package opener opens encrypted files and resolves references, with the libraries of age,
// SOPS, OpenPGP, Vault and the key services of clouds. Only the program kargo-secrets has
// it, because these libraries are large; package secrets starts that program.
package opener

import (
	"bytes"
	"context"

	"kargo"
	"kargo/secrets"
)

// Opener opens the files of one revision. It implements [secrets.Opener].
type Opener struct {
	ctx     context.Context // of the reading of one revision; Open takes none
	options secrets.Options
	keyring *keyring          // read at the first use
	store   *vaultClient      // opened at the first use
	open    map[string]string // the variables of ref+env:, read at the first use
}

// Start returns an opener for one revision, in this process. It is a value of
// [secrets.Options.Start].
func Start(ctx context.Context, options secrets.Options) secrets.Opener {
	return &Opener{ctx: ctx, options: options}
}

// Open makes a file plain. Opened.Sealed is nil if it was plain before.
func (o *Opener) Open(name string, data []byte) (plain []byte, opened kargo.Opened, err error) {
	switch {
	case secrets.IsGitCrypt(data):
		return nil, opened, refuse(name, "use SOPS or age, or keep the value out of the repository",
			"is encrypted with git-crypt, which Kargo cannot open")
	case secrets.IsAge(data):
		plain, opened, err = o.openAge(name, data)
	case secrets.IsSOPS(data):
		plain, opened, err = o.openSOPS(name, data)
	default:
		plain = data
	}
	if err != nil {
		return nil, kargo.Opened{}, err
	}
	if i := bytes.Index(plain, secrets.SOPSValue); i >= 0 {
		return nil, kargo.Opened{}, refuseAt(name, lineAt(plain, i), "restore the file as `sops encrypt` wrote it",
			"has a value that SOPS encrypted, without what is needed to open it")
	}
	if secrets.IsEnvironment(name) {
		return o.resolve(name, data, plain, opened)
	}
	return plain, opened, nil
}

// variables returns the variables that ref+env: may name.
func (o *Opener) variables() map[string]string {
	if o.open == nil && o.options.Variables != nil {
		o.open = o.options.Variables()
	}
	return o.open
}
