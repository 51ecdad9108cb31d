package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/secrets"
	"kargo/secrets/secretstest"
)

// stores returns a directory, variables and a Vault with something in each.
func stores(t *testing.T) (secrets.Options, *secretstest.Vault, string) {
	t.Helper()
	vault := secretstest.NewVault(t)
	vault.Put("secret/platform/db", map[string]any{"password": "from vault", "port": 5432, "list": []string{"a"}})
	vault.Put("secret/gone", nil)
	vault.Put("old/db", map[string]any{"password": "from the old engine"})
	dir := filepath.Join(t.TempDir(), "secrets")
	for name, content := range map[string]string{
		"db": "from a file\n", "sub/key": "line one\nit's line two\n", "binary": "\xff\xfe", "empty": "", "../outside": "never",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The last two are how Kubernetes mounts a Secret.
	for name, target := range map[string]string{"link": "../outside", "..data": "sub", "mounted": "..data/key"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return secrets.Options{
		Directory: dir,
		Variables: func() map[string]string { return map[string]string{"KARGO_SECRET_A": "from a variable"} },
		Vault:     secrets.Vault{Address: vault.Address, Token: given(vault.Token), CA: given(string(vault.CA))},
	}, vault, dir
}

// References are resolved in environment files, each on its line, and quoted so
// that every reader of such files understands them.
func TestReferences(t *testing.T) {
	options, _, _ := stores(t)
	const text = "STACKS=web\n# A=ref+file:nothing\nA=ref+file:db\nexport B=\"ref+env:KARGO_SECRET_A\" # why\n  C='ref+vault:secret/platform/db#password'\n" +
		"D=ref+vault:old/db#password\r\nE=ref+file:sub/key\nF=ref+vault:secret/platform/db#port\nG=ref+file:empty\nH=$A\nI=ref+file:mounted\n"
	const want = "STACKS=web\n# A=ref+file:nothing\nA='from a file'\nexport B='from a variable'\n  C='from vault'\n" +
		"D='from the old engine'\nE=$'line one\\nit\\'s line two'\nF='5432'\nG=''\nH=$A\nI=$'line one\\nit\\'s line two'\n"
	files := apart(options).Open(t.Context(), kargo.Files{FS: fstest.MapFS{".env": {Data: []byte(text)}}})
	plain, err := fs.ReadFile(files.FS, ".env")
	if err != nil || strings.ReplaceAll(string(plain), "\r", "") != want {
		t.Errorf("got  %q, %v\nwant %q", plain, err, want)
	}
	opened, _ := files.Opened(".env")
	if got := strings.Join(opened.Names, " "); got != "A B C D E F G I" || !opened.External || string(opened.Sealed) != text ||
		opened.With != "values from file, env, vault" {
		t.Errorf("known are %s, %v, %q", got, opened.External, opened.With)
	}
	for _, value := range []string{"from a file", "from a variable", "from vault", "it's line two"} {
		if !slices.Contains(opened.Values, value) {
			t.Errorf("%q is not known as secret", value)
		}
	}
}

// References are resolved in environment files at the top of a workspace, encrypted
// or not. Elsewhere they are text.
func TestReferencesAreResolvedInEnvironmentFilesOnly(t *testing.T) {
	options, _, _ := stores(t)
	key := secretstest.NewAgeKey(t)
	options.AgeKeys = given(key.String())
	sealed := secretstest.For(secretstest.ForAge(t, key.Recipient().String())).Seal(t, ".env", "", "A=ref+file:db\n")
	for _, test := range []struct{ name, data, want string }{
		{".env", "A=ref+file:db\n", "A='from a file'\n"},
		{".env", string(sealed), "A='from a file'\n"},
		{"more.env", "A=ref+file:db\n", "A='from a file'\n"},
		{"configs/app.env", "A=ref+file:db\n", "A=ref+file:db\n"},
		{"deploy/app.yml", "a: ref+file:db\n", "a: ref+file:db\n"},
		{".env", "A=prefix+suffix\nB=\"a ref+erence\"\n", "A=prefix+suffix\nB=\"a ref+erence\"\n"},
	} {
		if got, err := read(t, options, test.name, []byte(test.data)); err != nil || got != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

// A reference to what does not exist is the revision's fault. A store that is not
// available is not, and another attempt may succeed. No error shows a value, or the
// operator's paths.
func TestReferencesThatCannotBeResolved(t *testing.T) {
	options, vault, dir := stores(t)
	sealed := func() secrets.Options { vault.Seal(true); return options }
	with := func(change func(*secrets.Options)) func() secrets.Options {
		return func() secrets.Options { other := options; change(&other); return other }
	}
	asIs := func() secrets.Options { return options }
	nothing := func() secrets.Options { return secrets.Options{} }
	for _, test := range []struct {
		line    string
		options func() secrets.Options
		fault   kargo.Fault
		want    string
	}{
		{"A=ref+file:nosuch", asIs, kargo.Invalid, "the directory of secrets has no such file"},
		{"A=ref+file:../outside", asIs, kargo.Invalid, "it leads out of the directory of secrets"},
		{"A=ref+file:/etc/passwd", asIs, kargo.Invalid, "it leads out of the directory of secrets"},
		{"A=ref+file:link", asIs, kargo.Unavailable, "path escapes from parent"},
		{"A=ref+file:sub", asIs, kargo.Invalid, "it is not a file"},
		{"A=ref+file:binary", asIs, kargo.Invalid, "the value is not text"},
		{"A=ref+file:db", nothing, kargo.Invalid, "no directory of secrets is given"},
		{"A=ref+file:db", with(func(o *secrets.Options) { o.Directory = dir + "-gone" }), kargo.Unavailable, "open the directory of secrets: no such file or directory"},
		{"A=ref+env:HOME", asIs, kargo.Invalid, "there is no such variable that repositories may read"},
		{"A=ref+env:KARGO_SECRET_A", nothing, kargo.Invalid, "there is no such variable that repositories may read"},
		{"A=ref+vault:secret/platform/db#nosuch", asIs, kargo.Invalid, `secret/platform/db has no key "nosuch"`},
		{"A=ref+vault:secret/platform/db#list", asIs, kargo.Invalid, `the value of "list" is not text`},
		{"A=ref+vault:secret/nosuch#a", asIs, kargo.Invalid, "there is no secret secret/nosuch"},
		{"A=ref+vault:secret/gone#a", asIs, kargo.Invalid, "the secret secret/gone was deleted"},
		{"A=ref+vault:old/nosuch#a", asIs, kargo.Invalid, "there is no secret old/nosuch"},
		{"A=ref+vault:elsewhere/db#a", asIs, kargo.Unavailable, "Vault responds with 403: preflight capability check returned 403"},
		{"A=ref+vault:secret/platform/db", asIs, kargo.Invalid, "it is not PATH#KEY"},
		{"A=ref+vault:../sys/seal#a", asIs, kargo.Invalid, "it is not PATH#KEY"},
		{"A=ref+vault:secret/platform/db#password", nothing, kargo.Invalid, "no Vault is given"},
		{"A=ref+vault:secret/platform/db#password", sealed, kargo.Unavailable, "Vault responds with 503: Vault is sealed"},
		{"A=ref+vault:secret/platform/db#password", with(func(o *secrets.Options) { o.Vault.Token = given("wrong") }), kargo.Unavailable, "Vault responds with 403: permission denied"},
		{"A=ref+vault:secret/platform/db#password", with(func(o *secrets.Options) { o.Vault.CA = nil }), kargo.Unavailable, "certificate signed by unknown authority"},
		{"A=ref+vault:secret/platform/db#password", with(func(o *secrets.Options) { o.Vault.Address = "https://127.0.0.1:1" }), kargo.Unavailable, "connection refused"},
		{"A=ref+nosuch:a", asIs, kargo.Invalid, "no such kind of reference"},
		{"A=before-ref+file:db", asIs, kargo.Invalid, "a reference must be the whole value of a variable"},
		{"A=\"pg://app:ref+file:db@host\"", asIs, kargo.Invalid, "a reference must be the whole value of a variable"},
		{"A='ref+file:db", asIs, kargo.Invalid, "a reference must be the whole value of a variable"},
	} {
		t.Run(test.line, func(t *testing.T) {
			defer vault.Seal(false)
			plain, err := read(t, test.options(), ".env", []byte("STACKS=web\n"+test.line+"\n"))
			if err == nil {
				t.Fatalf("it was read: %q", plain)
			}
			if kargo.FaultOf(err) != test.fault || !strings.Contains(kargo.Explain(err), test.want) || !strings.HasPrefix(kargo.Explain(err), ".env:2: ") {
				t.Errorf("got  %s: %v\nwant %s: .env:2: …%s", kargo.FaultOf(err), err, test.fault, test.want)
			}
			for _, secret := range []string{"from a", "from v", dir, vault.Token} {
				if strings.Contains(kargo.Explain(err), secret) {
					t.Errorf("%q shows in %v", secret, err)
				}
			}
		})
	}
}

// One revision reads each secret once, and logs in once.
func TestVaultIsAskedOnce(t *testing.T) {
	options, vault, _ := stores(t)
	vault.Namespace, options.Vault.Namespace = "team/geo", "team/geo"
	options.Vault.Token, options.Vault.RoleID, options.Vault.SecretID = nil, vault.RoleID, given(vault.SecretID)
	text := []byte("A=ref+vault:secret/platform/db#password\nB=ref+vault:secret/platform/db#port\n")
	files := apart(options).Open(t.Context(), kargo.Files{FS: fstest.MapFS{".env": {Data: text}, "b.env": {Data: text}}})
	for _, name := range []string{".env", "b.env", ".env"} {
		if plain, err := fs.ReadFile(files.FS, name); err != nil || string(plain) != "A='from vault'\nB='5432'\n" {
			t.Fatalf("got %q, %v", plain, err)
		}
	}
	want := "PUT /v1/auth/approle/login GET /v1/sys/internal/ui/mounts/secret/platform/db GET /v1/secret/data/platform/db"
	if got := strings.Join(vault.Requests(), " "); got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
	options.Vault.SecretID = given("wrong")
	_, err := read(t, options, ".env", text)
	if kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), "log in: Vault responds with 400: invalid role or secret ID") {
		t.Errorf("with a wrong secret id: %v", err)
	}
}

// The transit engine of the operator's Vault opens files of SOPS.
func TestSOPSByVault(t *testing.T) {
	options, vault, _ := stores(t)
	sealed := secretstest.For(secretstest.ForVault(vault.Address)).Seal(t, "a.env", "", "A=hunter22\n")
	if plain, err := read(t, options, "a.env", sealed); err != nil || plain != "A=hunter22\n" {
		t.Fatalf("got %q, %v", plain, err)
	}
	vault.Namespace, options.Vault.Namespace = "team/geo", "team/geo"
	if plain, err := read(t, options, "a.env", sealed); err != nil || plain != "A=hunter22\n" {
		t.Fatalf("in a namespace: %q, %v", plain, err)
	}
	vault.Seal(true)
	_, err := read(t, options, "a.env", sealed)
	want := "a.env: is encrypted with SOPS for Vault " + vault.Address + "/v1/transit/keys/kargo, and that key is not available: Vault responds with 503: Vault is sealed"
	if kargo.FaultOf(err) != kargo.Unavailable || kargo.Explain(err) != want {
		t.Errorf("got  %s: %v\nwant %s", kargo.FaultOf(err), err, want)
	}
}

// Every request to a Vault that does not answer ends with the context of the
// reading, and not with the deadline of the request.
func TestASilentVaultIsLeftWhenTheReadingEnds(t *testing.T) {
	token := given("planted-token")
	for name, test := range map[string]struct {
		file  string
		vault secrets.Vault
	}{
		"a reference":       {".env", secrets.Vault{Token: token}},
		"a login":           {".env", secrets.Vault{RoleID: "role", SecretID: token}},
		"the key of a file": {"a.env", secrets.Vault{Token: token}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			left := make(chan struct{})
			silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				end()
				<-left
			}))
			defer silent.Close()
			defer close(left)
			test.vault.Address = silent.URL
			files := apart(secrets.Options{Vault: test.vault}).Open(ctx, kargo.Files{FS: fstest.MapFS{
				".env":  {Data: []byte("A=ref+vault:secret/a#b\n")},
				"a.env": {Data: secretstest.For(secretstest.ForVault(silent.URL)).Seal(t, "a.env", "", "A=b\n")},
			}})
			if _, err := fs.ReadFile(files.FS, test.file); kargo.FaultOf(err) != kargo.Unavailable || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", kargo.FaultOf(err), err)
			}
		})
	}
}

// A Vault that redirects to another host does not get its token sent there.
func TestS12_VaultTokenStaysWithItsVault(t *testing.T) {
	asked := 0
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer evil.Close()
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, evil.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer vault.Close()
	options := secrets.Options{Vault: secrets.Vault{Address: vault.URL, Token: given("token")}}
	sealed := secretstest.For(secretstest.ForVault(vault.URL)).Seal(t, "a.env", "", "A=b\n")
	for name, data := range map[string][]byte{".env": []byte("A=ref+vault:secret/a#b\n"), "a.env": sealed} {
		if _, err := read(t, options, name, data); kargo.FaultOf(err) != kargo.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if asked > 0 {
		t.Errorf("the other address was asked %d times", asked)
	}
}

func TestVaultSettings(t *testing.T) {
	token := given("token")
	for _, test := range []struct {
		vault secrets.Vault
		want  string
	}{
		{secrets.Vault{}, "<nil>"},
		{secrets.Vault{Address: "https://vault.example:8200", Token: token}, "<nil>"},
		{secrets.Vault{Address: "http://127.0.0.1:8200", Token: token}, "<nil>"},
		{secrets.Vault{Address: "http://localhost:8200", RoleID: "r", SecretID: token}, "<nil>"},
		{secrets.Vault{Address: "http://vault.example", Token: token}, "the address of Vault is https://HOST[:PORT]: a token is not sent unencrypted"},
		{secrets.Vault{Address: "https://user:pass@vault.example", Token: token}, "the address of Vault is https://HOST[:PORT]"},
		{secrets.Vault{Address: "https://vault.example/v1", Token: token}, "the address of Vault is https://HOST[:PORT]"},
		{secrets.Vault{Address: "vault.example", Token: token}, "the address of Vault is https://HOST[:PORT]"},
		{secrets.Vault{Address: "https://vault.example"}, "Vault needs a token, or a role id and a secret id"},
		{secrets.Vault{Address: "https://vault.example", RoleID: "r"}, "Vault needs a token, or a role id and a secret id"},
		{secrets.Vault{Token: token}, "credentials for Vault need its address"},
	} {
		if got := fmt.Sprint(test.vault.Validate()); got != test.want {
			t.Errorf("%s: %s, want %s", test.vault.Address, got, test.want)
		}
	}
}
