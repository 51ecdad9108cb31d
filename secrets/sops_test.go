package secrets_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/azkv"
	"github.com/getsops/sops/v3/gcpkms"
	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/kms"

	"kargo"
	"kargo/secrets"
	"kargo/secrets/opener"
	"kargo/secrets/secretstest"
)

// Every format of SOPS, whole files and values, comes back as it was, with the
// values that were encrypted known as secret.
func TestSOPS(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	options := secrets.Options{AgeKeys: given("# made for a test\n" + key.String() + "\n")}
	onlyPassword := func(m *sops.Metadata) { m.UnencryptedSuffix, m.EncryptedRegex = "", "^(DB_)?password$|^DB_" }
	for _, test := range []struct {
		name, file, format string
		change             func(*sops.Metadata)
		plain              string
		names, values      string // secret ones
		open               string // a value that is not
	}{
		{
			name: "an environment", file: ".env", plain: "#a comment\nSTACKS=\"web\"\nDB_PIN='hunter22'\nMODE=true\n",
			names: "DB_PIN MODE", values: `"'hunter22'" "hunter22"`, open: "web",
		},
		{
			name: "an environment, one value of it", file: "db.env", change: onlyPassword,
			plain: "SUBDOMAIN=example.org\nDB_PIN=hunter22\n", names: "DB_PIN", values: `"hunter22"`, open: "example.org",
		},
		{
			name: "YAML", file: "configs/a/app.yaml", plain: "user: appuser\nlist:\n    - first\n    - 5432\nnested:\n    password: hunter22\n    debug: true\n",
			values: `"5432" "appuser" "first" "hunter22"`,
		},
		{
			name: "YAML, one value of it", file: "deploy/db.yml", change: onlyPassword,
			plain:  "services:\n    db:\n        image: postgres:16\n        password: |-\n            hunter22 and more\n            second line\n",
			values: `"hunter22 and more" "hunter22 and more\nsecond line" "second line"`, open: "postgres:16",
		},
		{name: "JSON", file: "configs/a.json", plain: "{\n\t\"password\": \"hunter22\",\n\t\"port\": 8080\n}\n", values: `"8080" "hunter22"`},
		{name: "INI", file: "configs/a.ini", plain: "[db]\npassword = hunter22\n", values: `"hunter22"`},
		{name: "a whole file", file: "configs/token.txt", plain: "hunter22\n", values: `"hunter22"`},
		{
			name: "a template", file: "configs/app.conf.tpl", format: "binary", plain: "password = hunter22\nhost = $HOST\n",
			values: `"$HOST" "host = $HOST" "hunter22" "password = hunter22" "password = hunter22\nhost = $HOST"`,
		},
		{name: "a template of YAML", file: "configs/app.yml.tpl", format: "yaml", plain: "password: hunter22\n", values: `"hunter22"`},
		{name: "a key", file: "configs/tls.key", plain: "-----BEGIN X-----\nMIIBVQIBADANBgkq\n-----END X-----\n", values: `"-----BEGIN X-----\nMIIBVQIBADANBgkq\n-----END X-----" "MIIBVQIBADANBgkq"`},
		{name: "another extension in an environment's format", file: "configs/app.conf", format: "dotenv", plain: "PASSWORD=hunter22\n", names: "PASSWORD", values: `"hunter22"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			seal := secretstest.For(secretstest.ForAge(t, key.Recipient().String()))
			seal.Change = test.change
			sealed := seal.Seal(t, test.file, test.format, test.plain)
			if strings.Contains(string(sealed), "hunter22") {
				t.Fatalf("the fixture is not encrypted:\n%s", sealed)
			}
			files := apart(options).Open(t.Context(), kargo.Files{FS: fstest.MapFS{test.file: {Data: sealed}}})
			plain, err := fs.ReadFile(files.FS, test.file)
			if err != nil {
				t.Fatal(err)
			}
			if string(plain) != test.plain {
				t.Errorf("got  %q\nwant %q", plain, test.plain)
			}
			opened, ok := files.Opened(test.file)
			if !ok || string(opened.Sealed) != string(sealed) {
				t.Error("it is not known as it lies in the repository")
			}
			if want := "SOPS, opened with " + key.Recipient().String(); opened.With != want {
				t.Errorf("opened with %q, want %q", opened.With, want)
			}
			if got := strings.Join(opened.Names, " "); got != test.names {
				t.Errorf("secret names %q, want %q", got, test.names)
			}
			if got := quoted(opened.Values); got != test.values {
				t.Errorf("secret values %s, want %s", got, test.values)
			}
			if test.open != "" && slices.Contains(opened.Values, test.open) {
				t.Errorf("%q is taken for a secret", test.open)
			}
		})
	}
}

// given returns a key as a setting does.
func given(data string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(data), nil }
}

// read opens one file of a tree that has nothing else.
func read(t *testing.T, options secrets.Options, name string, data []byte) (string, error) {
	plain, err := fs.ReadFile(apart(options).Open(t.Context(), kargo.Files{FS: fstest.MapFS{name: {Data: data}}}).FS, name)
	return string(plain), err
}

func quoted(values []string) string {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	for i := range values {
		values[i] = fmt.Sprintf("%q", values[i])
	}
	return strings.Join(values, " ")
}

// Each kind of key that the operator can give opens files.
func TestKeys(t *testing.T) {
	key, other := secretstest.NewAgeKey(t), secretstest.NewAgeKey(t)
	sshPrivate, sshPublic := secretstest.NewSSHKey(t)
	entity, locked := secretstest.NewPGPKey(t), secretstest.NewPGPKey(t)
	lockedSeal := secretstest.For(secretstest.ForPGP(locked)).Seal(t, "a.env", "", "A=hunter22\n")
	for _, test := range []struct {
		name    string
		sealed  []byte
		options secrets.Options
		with    string
	}{
		{
			name: "SOPS for age, the second of two keys", sealed: secretstest.For(secretstest.ForAge(t, key.Recipient().String())).Seal(t, "a.env", "", "A=hunter22\n"),
			options: secrets.Options{AgeKeys: given(other.String() + "\n" + key.String())}, with: "SOPS, opened with " + key.Recipient().String(),
		},
		{
			name:    "SOPS for age, the second of two recipients",
			sealed:  secretstest.For(secretstest.ForAge(t, other.Recipient().String()), secretstest.ForAge(t, key.Recipient().String())).Seal(t, "a.env", "", "A=hunter22\n"),
			options: secrets.Options{AgeKeys: given(key.String())}, with: "SOPS, opened with " + key.Recipient().String(),
		},
		{
			name: "SOPS for an SSH key", sealed: secretstest.For(secretstest.ForAge(t, sshPublic)).Seal(t, "a.env", "", "A=hunter22\n"),
			options: secrets.Options{AgeKeys: given(string(sshPrivate))}, with: "SOPS, opened with " + sshPublic,
		},
		{
			name: "SOPS for PGP", sealed: secretstest.For(secretstest.ForPGP(entity)).Seal(t, "a.env", "", "A=hunter22\n"),
			options: secrets.Options{PGPKeys: given(string(secretstest.PrivatePGP(t, entity, "")))}, with: "SOPS, opened with PGP " + secretstest.Fingerprint(entity),
		},
		{
			name: "SOPS for PGP, with a passphrase", sealed: lockedSeal,
			options: secrets.Options{PGPKeys: given(string(secretstest.PrivatePGP(t, locked, "open sesame"))), PGPPassphrase: given("open sesame")},
			with:    "SOPS, opened with PGP " + secretstest.Fingerprint(locked),
		},
		{
			name: "SOPS, two groups of keys together",
			sealed: secretstest.Sealer{Threshold: 2, Groups: []sops.KeyGroup{
				{secretstest.ForAge(t, key.Recipient().String())}, {secretstest.ForAge(t, other.Recipient().String())},
			}}.Seal(t, "a.env", "", "A=hunter22\n"),
			options: secrets.Options{AgeKeys: given(key.String() + "\n" + other.String())}, with: "SOPS, opened with " + other.Recipient().String(),
		},
		{
			name: "a whole file of age", sealed: secretstest.AgeEncrypt(t, "A=hunter22\n", false, key.Recipient()),
			options: secrets.Options{AgeKeys: given(key.String())}, with: "age, opened with " + key.Recipient().String(),
		},
		{
			name: "a whole file of age, armored", sealed: secretstest.AgeEncrypt(t, "A=hunter22\n", true, key.Recipient()),
			options: secrets.Options{AgeKeys: given(key.String())}, with: "age, opened with " + key.Recipient().String(),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := apart(test.options).Open(t.Context(), kargo.Files{FS: fstest.MapFS{"a.env": {Data: test.sealed}}})
			plain, err := fs.ReadFile(files.FS, "a.env")
			if err != nil || string(plain) != "A=hunter22\n" {
				t.Fatalf("got %q, %v", plain, err)
			}
			opened, _ := files.Opened("a.env")
			if opened.With != test.with {
				t.Errorf("opened with %q, want %q", opened.With, test.with)
			}
			if !slices.Contains(opened.Values, "hunter22") || !slices.Equal(opened.Names, []string{"A"}) {
				t.Errorf("secret are %q and %q", opened.Names, opened.Values)
			}
		})
	}
}

// A file that cannot be opened is an error that names the key it needs, and never
// text.
func TestS18_WhatCannotBeOpenedIsRefused(t *testing.T) {
	key, other := secretstest.NewAgeKey(t), secretstest.NewAgeKey(t)
	entity := secretstest.NewPGPKey(t)
	recipient, otherRecipient := key.Recipient().String(), other.Recipient().String()
	sealed := string(secretstest.For(secretstest.ForAge(t, recipient)).Seal(t, "a.yaml", "", "password: hunter22\nuser: app\n"))
	mine := secrets.Options{AgeKeys: given(key.String())}
	const ageHint = " (name the file with the private key in --sops-age-key-file)"
	const sopsHint = " (restore the file as `sops encrypt` wrote it)"
	const edited = "is encrypted with SOPS and was changed without it (edit it with `sops edit`; after a merge by hand, encrypt it again)"
	for _, test := range []struct {
		name, file string
		data       string
		options    secrets.Options
		want       string
	}{
		{name: "no key", file: "a.yaml", data: sealed, want: "a.yaml: is encrypted with SOPS for " + recipient + ", and none of the given keys opens it" + ageHint},
		{
			name: "another key", file: "a.yaml", data: sealed, options: secrets.Options{AgeKeys: given(other.String())},
			want: "a.yaml: is encrypted with SOPS for " + recipient + ", and none of the given keys opens it" + ageHint,
		},
		{
			name: "PGP without a key", file: "a.env", data: string(secretstest.For(secretstest.ForPGP(entity)).Seal(t, "a.env", "", "A=b\n")),
			options: mine, want: "a.env: is encrypted with SOPS for PGP " + secretstest.Fingerprint(entity) + ", and none of the given keys opens it (name the file with the private key in --sops-pgp-key-file)",
		},
		{
			name: "one of two groups", file: "a.env", options: mine,
			data: string(secretstest.Sealer{Threshold: 2, Groups: []sops.KeyGroup{{secretstest.ForAge(t, recipient)}, {secretstest.ForAge(t, otherRecipient)}}}.Seal(t, "a.env", "", "A=b\n")),
			want: "a.env: is encrypted with SOPS for " + otherRecipient + ", and none of the given keys opens it" + ageHint,
		},
		{
			name: "a value taken out", file: "a.yaml", data: strings.Join(slices.DeleteFunc(strings.SplitAfter(sealed, "\n"), func(line string) bool {
				return strings.HasPrefix(line, "user:")
			}), ""), options: mine, want: "a.yaml: " + edited,
		},
		{name: "a value in plain", file: "a.yaml", data: "password: hunter22\n" + after(sealed, "\n"), options: mine, want: "a.yaml: " + edited},
		{name: "the part of SOPS taken out", file: "a.yaml", data: sealed[:strings.Index(sealed, "sops:")], options: mine, want: "a.yaml:1: has a value that SOPS encrypted, without what is needed to open it" + sopsHint},
		{name: "cut off", file: "a.yaml", data: sealed[:strings.Index(sealed, "sops:")+20], options: mine, want: "a.yaml: is encrypted with SOPS and cannot be read as yaml (restore it as `sops encrypt` wrote it)"},
		{name: "an environment that quotes", file: "a.env", data: "A=ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nhunter22 without a name\nsops_mac=x\n", options: mine, want: "a.env: is encrypted with SOPS and cannot be read as dotenv (restore it as `sops encrypt` wrote it)"},
		{name: "age, no key", file: "a.txt", data: string(secretstest.AgeEncrypt(t, "hunter22", false, key.Recipient())), want: "a.txt: is encrypted with age, and no key is given to open it" + ageHint},
		{
			name: "age, another key", file: "a.txt", data: string(secretstest.AgeEncrypt(t, "hunter22", true, key.Recipient())), options: secrets.Options{AgeKeys: given(other.String())},
			want: "a.txt: is encrypted with age for other keys than " + otherRecipient + ageHint,
		},
		{name: "age, damaged", file: "a.txt", data: string(secretstest.AgeEncrypt(t, "hunter22", false, key.Recipient())[:200]) + "x", options: mine, want: "a.txt: is encrypted with age and damaged"},
		{name: "git-crypt", file: "a.txt", data: "\x00GITCRYPT\x00…", options: mine, want: "a.txt: is encrypted with git-crypt, which Kargo cannot open (use SOPS or age, or keep the value out of the repository)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			plain, err := read(t, test.options, test.file, []byte(test.data))
			if err == nil {
				t.Fatalf("it was read: %q", plain)
			}
			if plain != "" || kargo.FaultOf(err) != kargo.Invalid || kargo.Explain(err) != test.want {
				t.Errorf("got  %s error: %s\nwant %s", kargo.FaultOf(err), err, test.want)
			}
		})
	}
}

func after(text, sep string) string {
	_, rest, _ := strings.Cut(text, sep)
	return rest
}

// A file names key services. None is asked that the operator has not allowed, and
// no other address of one that is allowed.
func TestS12_KeyServicesAreTheOperatorsChoice(t *testing.T) {
	allow := func(list ...string) secrets.Options {
		services, err := secrets.ParseKMS(list)
		if err != nil {
			t.Fatal(err)
		}
		return secrets.Options{KMS: services}
	}
	const hint = " (allow the key service in --sops-kms)"
	wanted := func(key, why string) string {
		return "a.env: is encrypted with SOPS for " + key + ", and none of the given keys opens it" + why
	}
	const arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
	profile := kms.NewMasterKey(arn, "", nil)
	profile.AwsProfile = "admin"
	vault := hcvault.NewMasterKey("https://vault.evil.example", "transit", "k")
	for _, test := range []struct {
		name    string
		key     secretstest.Key
		options secrets.Options
		want    string
	}{
		{"AWS", kms.NewMasterKey(arn, "", nil), secrets.Options{}, wanted("AWS KMS "+arn, hint)},
		{"AWS, other keys allowed", kms.NewMasterKey(arn, "", nil), allow("aws=arn:aws:kms:eu-west-1:999999999999:key"), wanted("AWS KMS "+arn, hint)},
		{"AWS, a profile", profile, allow("aws"), wanted("AWS KMS "+arn, ": AWS KMS "+arn+": an AWS profile that a repository names is not used")},
		{"GCP", gcpkms.NewMasterKeyFromResourceID("projects/p/k"), allow("aws"), wanted("GCP KMS projects/p/k", hint)},
		{
			"Azure, an address that only begins alike", azkv.NewMasterKey("https://mine.vault.azure.net.evil.example", "k", "1"),
			allow("azure=https://mine.vault.azure.net"), wanted("Azure Key Vault https://mine.vault.azure.net.evil.example/keys/k", hint),
		},
		{
			"Vault, none given", vault, secrets.Options{},
			wanted("Vault https://vault.evil.example/v1/transit/keys/k", " (name that Vault in --vault-address)"),
		},
		{
			"Vault, another one given", vault, secrets.Options{Vault: secrets.Vault{Address: "https://vault.example", Token: given("token")}},
			wanted("Vault https://vault.evil.example/v1/transit/keys/k", " (name that Vault in --vault-address)"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.key.SetEncryptedDataKey([]byte("x"))
			sealed := secretstest.Sealer{Groups: []sops.KeyGroup{{secretstest.Unasked{Key: test.key}}}}.Seal(t, "a.env", "", "A=hunter22\n")
			_, err := read(t, test.options, "a.env", sealed)
			if err == nil || kargo.Explain(err) != test.want || kargo.FaultOf(err) != kargo.Invalid {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestParseKMS(t *testing.T) {
	for list, want := range map[string]string{
		"aws": "", "gcp": "", "huawei": "", "azure=https://a.vault.azure.net": "",
		"azure":        "azure needs the address of its vault: azure=https://NAME.vault.azure.net",
		"azure=http:x": "azure needs the address of its vault: azure=https://NAME.vault.azure.net",
		"gpg":          `there is no key service "gpg": aws, azure, gcp or huawei`,
	} {
		if _, err := secrets.ParseKMS([]string{list}); fmt.Sprint(err) != want && (want != "" || err != nil) {
			t.Errorf("%s: %v, want %q", list, err, want)
		}
	}
}

// Keys are read again for each revision, and only if it needs them.
func TestKeysAreReadForEachRevision(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	sealed := secretstest.For(secretstest.ForAge(t, key.Recipient().String())).Seal(t, "a.env", "", "A=hunter22\n")
	current, reads := "", 0
	options := secrets.Options{AgeKeys: func() ([]byte, error) { reads++; return []byte(current), nil }}
	if plain, err := read(t, options, "a.env", []byte("A=plain\n")); err != nil || plain != "A=plain\n" || reads != 0 {
		t.Fatalf("a plain file: %q, %v, and keys were read %d times", plain, err, reads)
	}
	if _, err := read(t, options, "a.env", sealed); kargo.FaultOf(err) != kargo.Invalid {
		t.Fatalf("without a key: %v", err)
	}
	current = key.String()
	files := apart(options).Open(t.Context(), kargo.Files{FS: fstest.MapFS{"a.env": {Data: sealed}, "b.env": {Data: sealed}}})
	for _, name := range []string{"a.env", "b.env", "a.env"} {
		if plain, err := fs.ReadFile(files.FS, name); err != nil || string(plain) != "A=hunter22\n" {
			t.Fatalf("with the key: %q, %v", plain, err)
		}
	}
	if reads != 2 {
		t.Errorf("keys were read %d times for two revisions", reads)
	}
	current = "hunter22 is no key"
	_, err := read(t, options, "a.env", sealed)
	if kargo.FaultOf(err) != kargo.Unavailable || kargo.Explain(err) != "read the age keys: a line of it is not a private key of age" {
		t.Errorf("with nonsense: %s %v", kargo.FaultOf(err), err)
	}
}

func TestOpenIsAnFS(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	sealed := secretstest.For(secretstest.ForAge(t, key.Recipient().String())).Seal(t, "deploy/b.yml", "", "x: hunter22\n")
	files := fstest.MapFS{".env": {Data: []byte("A=1\n")}, "deploy/a.yml": {Data: []byte("x: 1\n")}}
	options := secrets.Options{AgeKeys: given(key.String())}
	if err := fstest.TestFS(apart(options).Open(t.Context(), kargo.Files{FS: files}).FS, ".env", "deploy/a.yml"); err != nil {
		t.Fatal(err)
	}
	files["deploy/b.yml"] = &fstest.MapFile{Data: sealed}
	info, err := fs.Stat(apart(options).Open(t.Context(), kargo.Files{FS: files}).FS, "deploy/b.yml")
	if err != nil || info.Size() != int64(len("x: hunter22\n")) {
		t.Errorf("an opened file has %v bytes, %v", info, err)
	}
}

// A text about encryption is not an encrypted file.
func TestPlainFilesStayPlain(t *testing.T) {
	for _, text := range []string{"how sops: works, without ENC[…]\n", "sops_mac is a variable\n", "age-encryption.org/v1 is a format\n", ""} {
		files := apart(secrets.Options{}).Open(t.Context(), kargo.Files{FS: fstest.MapFS{"configs/a.md": {Data: []byte(text)}}})
		if plain, err := fs.ReadFile(files.FS, "configs/a.md"); err != nil || string(plain) != text {
			t.Errorf("%q: read %q, %v", text, plain, err)
		}
		if _, opened := files.Opened("configs/a.md"); opened {
			t.Errorf("%q is taken for encrypted", text)
		}
	}
}

// FuzzOpen opens files that may hold anything: the result is text or an error.
func FuzzOpen(f *testing.F) {
	key := secretstest.NewAgeKey(f)
	options := secrets.Options{AgeKeys: given(key.String()), Start: opener.Start}
	seal := secretstest.For(secretstest.ForAge(f, key.Recipient().String()))
	for _, seed := range []struct{ name, plain string }{
		{".env", "A=b\n"}, {"a.yaml", "a: {b: [1, c]}\n"}, {"a.json", `{"a": "b"}`}, {"a.ini", "[a]\nb = c\n"}, {"a.bin", "x"},
	} {
		f.Add(seed.name, seal.Seal(f, seed.name, "", seed.plain))
	}
	f.Add("a.age", secretstest.AgeEncrypt(f, "x", true, key.Recipient()))
	f.Add(".env", []byte("A=ref+file:a\nB='ref+vault:x#y'\nC=ref+env:KARGO_SECRET_A\n"))
	f.Add("a.yaml", []byte("a: &a [x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\np: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\nsops:\n    mac: ENC[AES256_GCM,data:x]\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if !fs.ValidPath(name) || name == "." {
			t.Skip()
		}
		_, err := read(t, options, name, data)
		if fault := kargo.FaultOf(err); err != nil && fault != kargo.Invalid {
			t.Errorf("%s: %v", fault, err)
		}
	})
}
