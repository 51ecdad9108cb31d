package secrets_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/secrets"
)

func TestOpen(t *testing.T) {
	files := fstest.MapFS{
		".env":               {Data: []byte("STACKS=web\n")},
		"configs/a/plain.md": {Data: []byte("how sops: works, without ENC[…]\n")},
		"configs/a/sops.yml": {Data: []byte("password: ENC[AES256_GCM,data:x,type:str]\nsops:\n  mac: y\n")},
		"sops.env":           {Data: []byte("A=ENC[AES256_GCM,data:x]\nsops_mac=y\n")},
		"configs/key.age":    {Data: []byte("age-encryption.org/v1\n-> X25519 …\n")},
		"configs/armor":      {Data: []byte("-----BEGIN AGE ENCRYPTED FILE-----\n")},
		"configs/crypt":      {Data: []byte("\x00GITCRYPT\x00…")},
	}
	refused := map[string]string{
		"configs/a/sops.yml": "SOPS", "sops.env": "SOPS", "configs/key.age": "age",
		"configs/armor": "age", "configs/crypt": "git-crypt",
	}
	opened := secrets.Open(files)
	for name, file := range files {
		for way, read := range map[string]func() ([]byte, error){
			"ReadFile": func() ([]byte, error) { return fs.ReadFile(opened, name) },
			"Open": func() ([]byte, error) {
				f, err := opened.Open(name)
				if err != nil {
					return nil, err
				}
				data := make([]byte, len(file.Data))
				_, err = f.Read(data)
				return data, err
			},
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				data, err := read()
				tool, encrypted := refused[name]
				switch {
				case !encrypted && err != nil:
					t.Fatalf("plain file refused: %v", err)
				case !encrypted && string(data) != string(file.Data):
					t.Fatalf("read %q, want %q", data, file.Data)
				case encrypted && kargo.FaultOf(err) != kargo.Invalid:
					t.Fatalf("encrypted file: %v, want an Invalid error", err)
				case encrypted:
					want := name + ": is encrypted with " + tool + ", which this version of Kargo cannot open" +
						" (it is never deployed as it is; keep the plain value out of the repository until then)"
					if err.Error() != want {
						t.Errorf("got  %s\nwant %s", err, want)
					}
				}
			})
		}
	}
}

func TestOpenIsAnFS(t *testing.T) {
	files := fstest.MapFS{".env": {Data: []byte("A=1\n")}, "deploy/a.yml": {Data: []byte("x: 1\n")}}
	if err := fstest.TestFS(secrets.Open(files), ".env", "deploy/a.yml"); err != nil {
		t.Fatal(err)
	}
}
