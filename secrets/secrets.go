// Package secrets stands between the files of a revision and the merge: it
// hands on an fs.FS in which everything can be read as plain text, or says
// which file cannot. A file that looks encrypted is never deployed as text.
//
// This version recognises what SOPS, age and git-crypt leave behind and
// refuses it with a clear message; opening them is not built yet.
package secrets

import (
	"bytes"
	"errors"
	"io"
	"io/fs"

	"kargo"
)

// Open is files with every read checked.
func Open(files fs.FS) fs.FS { return checked{files} }

type checked struct{ fs.FS }

// Open refuses a file that looks encrypted.
func (c checked) Open(name string) (fs.File, error) {
	file, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if info.IsDir() {
		return file, nil
	}
	data, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if err := refuseEncrypted(name, data); err != nil {
		return nil, err
	}
	return &opened{bytes.NewReader(data), info}, nil
}

// ReadFile reads a whole file, or refuses it.
func (c checked) ReadFile(name string) ([]byte, error) {
	data, err := fs.ReadFile(c.FS, name)
	if err != nil {
		return nil, err
	}
	return data, refuseEncrypted(name, data)
}

// ReadDir is that of the files below: names are not encrypted.
func (c checked) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(c.FS, name) }

// opened is a file that was read and found plain.
type opened struct {
	*bytes.Reader
	info fs.FileInfo
}

func (o *opened) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *opened) Close() error               { return nil }

// marks are what each tool leaves in the files it encrypts.
var marks = []struct {
	tool  string
	found func(data []byte) bool
}{
	{"SOPS", func(data []byte) bool {
		return bytes.Contains(data, []byte("ENC[AES256_GCM,")) &&
			(bytes.Contains(data, []byte("sops:")) || bytes.Contains(data, []byte("sops_")) || bytes.Contains(data, []byte(`"sops"`)))
	}},
	{"age", func(data []byte) bool {
		return bytes.HasPrefix(data, []byte("age-encryption.org/v1")) || bytes.HasPrefix(data, []byte("-----BEGIN AGE ENCRYPTED FILE-----"))
	}},
	{"git-crypt", func(data []byte) bool { return bytes.HasPrefix(data, []byte("\x00GITCRYPT\x00")) }},
}

func refuseEncrypted(name string, data []byte) error {
	for _, mark := range marks {
		if mark.found(data) {
			return &kargo.Error{
				Fault: kargo.Invalid, Where: name, Err: errors.New("is encrypted with " + mark.tool + ", which this version of Kargo cannot open"),
				Hint: "it is never deployed as it is; keep the plain value out of the repository until then",
			}
		}
	}
	return nil
}
