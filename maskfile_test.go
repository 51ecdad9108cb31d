package kargo_test

import (
	"strings"
	"testing"

	"kargo"
)

// Each line holds the secret once, in a form of some kind of file.
const plantedFile = `db.password=S3cret-x
  spring.datasource.password: S3cret-x and more words
password = "S3cret-x"
'api-key' => 'S3cret-x',
{"user": "me", "password": "S3cret-x", "port": 80}
{"clientSecret":"S3cret-x"}
export PGPASSWORD='S3cret-x'
SetEnv TOKEN=S3cret-x
requirepass S3cret-x
sentinel auth-pass main S3cret-x
machine git.example.com login me password S3cret-x
CREATE USER me WITH PASSWORD 'S3cret-x';
CREATE USER me IDENTIFIED BY 'S3cret-x';
jdbc:postgresql://me:S3cret-x@db/x
jdbc:postgresql://db/x?user=me&password=S3cret-x
proxy_set_header Authorization "Basic S3cret-x";
authorization: Bearer S3cret-x
<dataSource password="S3cret-x" user="me"/>
<password>S3cret-x</password>
<entry key="db.password">S3cret-x</entry>
<add key="DbPassword" value="S3cret-x"/>
{"name": "DB_PASSWORD", "value": "S3cret-x"}
me:$2y$10$S3cret-x
me:{SHA}S3cret-x
- name: DB_PASSWORD
  value: S3cret-x
"name": "apiToken",
"value": "S3cret-x"
tokens:
  - S3cret-x
  - "S3cret-x"
password: |
  S3cret-x

  S3cret-x
after: the block
secret = """
S3cret-x
"""
-----BEGIN RSA PRIVATE KEY-----
S3cret-x
-----END RSA PRIVATE KEY-----
`

// A secret that no variable has is hidden in the file of a config, whatever its form.
func TestS17_SecretsInFiles(t *testing.T) {
	mask := kargo.NewMask([]byte("key"), nil)
	shown := strings.Split(mask.File(plantedFile), "\n")
	for i, line := range strings.Split(plantedFile, "\n") {
		if strings.Contains(shown[i], "S3cret-x") {
			t.Errorf("shown: %s", shown[i])
		}
		if strings.Contains(line, "S3cret-x") != strings.Contains(shown[i], "***") {
			t.Errorf("%s\nis shown as %s", line, shown[i])
		}
	}
}

// What is no secret stays readable, and the form of the file as well.
func TestFileStaysReadable(t *testing.T) {
	mask := kargo.NewMask(nil, nil)
	for _, text := range []string{
		"", "\n", "\r\n", "listen 80;\r\nserver_name x;\r\n", "proxy_pass http://backend:80/a?b=c;", "auth_basic_user_file: /etc/x",
		"PasswordAuthentication: true", "user: me\nport: 80", `{"name": "x", "value": "y"}`, "<name>x</name>", "# how to set a value",
		"ratio: 1/2\nurl: https://example.com/a\n", "location ~ \\.php$ {", "key: |", "volumes:\n  - a\n  - b\n",
	} {
		if got := mask.File(text); got != text {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
	for text, want := range map[string]string{
		"password: hunter2, \r\nport: 80": "password: ***, \r\nport: 80",
		`{"password": "a\"b", "x": 1}`:    `{"password": "***", "x": 1}`,
		"password: ''":                    "password: ''",
		"password:\n  min: 8\n  max: 9":   "password:\n  min: 8\n  max: 9",
	} {
		if got := mask.File(text); got != want {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

// The contents of configs in the document of a rendering are shown as files.
func TestS17_ContentsOfConfigsAreMasked(t *testing.T) {
	document := kargo.Document([]kargo.Stack{{Name: "web", Configs: []kargo.Config{{Name: "kargo-web_c", Data: []byte(plantedFile)}}}}, true)
	masked, err := kargo.Masked(document, kargo.NewMask(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if content := masked.Stacks[0].Configs[0].Content; content == "" || strings.Contains(content, "S3cret-x") {
		t.Errorf("shown: %s", content)
	}
}

// FuzzFile looks for a file that makes the mask panic, that does not keep its lines, or
// that changes when it is hidden again.
func FuzzFile(f *testing.F) {
	for line := range strings.Lines(plantedFile) {
		f.Add(line)
	}
	f.Add(plantedFile)
	f.Fuzz(func(t *testing.T, content string) {
		shown := kargo.NewMask([]byte("key"), nil).File(content)
		if strings.Count(shown, "\n") != strings.Count(content, "\n") {
			t.Errorf("%q\nis shown as %q", content, shown)
		}
	})
}
