package kargo

// Opened says how a file got its plain content: the file, or some of its
// values, were encrypted in the repository or came from outside of it. The zero
// value is that of a file that is plain in the repository.
type Opened struct {
	// Sealed is the file as the repository has it. It alone may be written to
	// a disk.
	Sealed []byte
	// With says for people how the file got its content: "SOPS, opened with
	// age1…", "values from vault".
	With string
	// Names are the variables of an environment file whose values are secret.
	Names []string
	// Values are the secret values of the file.
	Values []string
	// External says that values come from outside the repository, so that
	// they may change without a commit.
	External bool
}

// OnDisk returns a file's content as it may be written to a disk: the content
// in the repository. It returns false for a file that was made of secrets and
// has no encrypted form.
func (f File) OnDisk() ([]byte, bool) {
	if !f.Secret {
		return f.Data, true
	}
	sealed := f.HowOpened().Sealed
	return sealed, sealed != nil
}

// HowOpened returns how a secret file got its Data; zero if it was plain.
func (f File) HowOpened() Opened {
	if f.Opened == nil {
		return Opened{}
	}
	return *f.Opened
}
