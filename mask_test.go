package kargo_test

import (
	"path"
	"strings"
	"testing"

	"kargo"
)

func TestMask(t *testing.T) {
	env := kargo.Environment{
		"DB_PASSWORD": "hunter22", "SHORT_KEY": "abc", "HOST": "db.example", "ODD": "from-sops-1",
		"CACHE": "redis://:cachepass@cache:6379/0", "BOARD_PIN": "4711-board",
	}
	plain := kargo.NewMask([]byte("key"), env)
	own := kargo.NewMask([]byte("key"), env, "*_pin")
	sealed := plain.WithSecrets(env, []string{"ODD"}, []string{"from-a-file", "x"})
	for _, test := range []struct {
		what      string
		mask      kargo.Mask
		name      string
		value     string
		unchanged bool
	}{
		{what: "by pattern", mask: plain, name: "DB_PASSWORD", value: "hunter22"},
		{what: "by pattern, however short", mask: plain, name: "SHORT_KEY", value: "abc"},
		{what: "in another value", mask: plain, name: "ARGS", value: "--password hunter22"},
		{what: "a password in an address", mask: plain, name: "URL", value: "postgres://app:never-seen@db/app"},
		{what: "a password in an address, without a user", mask: plain, name: "CACHE", value: "redis://:cachepass@cache:6379/0"},
		{what: "a password with an @", mask: plain, name: "URL", value: "postgres://app:p@ss@db/app"},
		{what: "the password of an address alone", mask: plain, name: "ARGS", value: "--requirepass cachepass"},
		{what: "a name that no pattern matches", mask: sealed, name: "ODD", value: "from-sops-1"},
		{what: "its value elsewhere", mask: sealed, name: "ARGS", value: "x from-sops-1 y"},
		{what: "a value of a file", mask: sealed, name: "ARGS", value: "x from-a-file y"},
		{what: "the workspace's own pattern, in small letters", mask: own, name: "BOARD_PIN", value: "4711-board"},
		{what: "a flag of a command", mask: plain, name: "ARGS", value: "serve --api-token=hunter22"},
		{what: "prose about a token", mask: plain, name: "TEXT", value: "/run/secrets/git-token is missing, rule external-secrets of it", unchanged: true},
		{what: "a query of an address", mask: kargo.Mask{}, name: "URL", value: "https://host/x?a=1&access_key=hunter22"},
		{what: "a flag that names a file", mask: plain, name: "ARGS", value: "serve --password-file=/run/secrets/x", unchanged: true},
		{what: "a switch", mask: kargo.NewMask(nil, kargo.Environment{"BASIC_AUTH": "true"}), name: "OTHER", value: "true", unchanged: true},
		{what: "a plain value", mask: sealed, name: "HOST", value: "db.example", unchanged: true},
		{what: "an address without a password", mask: plain, name: "URL", value: "ssh://git@host:8080/x@y", unchanged: true},
		{what: "a token as the user of an address", mask: plain, name: "URL", value: "https://hunter22@host/x"},
		{what: "a variable before a command", mask: plain, name: "ARGS", value: "sh -c \"PGPASSWORD=hunter22 psql\""},
		{what: "a connection string", mask: plain, name: "CONNECTION", value: "host=db password='hunter22' user=app"},
		{what: "a header", mask: plain, name: "ARGS", value: "curl -H \"Authorization: Bearer hunter22\" host"},
		{what: "a port is no password", mask: plain, name: "URL", value: "http://host:8080/path", unchanged: true},
		{what: "an image with a digest", mask: plain, name: "IMAGE", value: "registry:5000/app@sha256:0123", unchanged: true},
		{what: "what only other patterns hide", mask: own, name: "DB_PASSWORD", value: "hunter22", unchanged: true},
	} {
		t.Run(test.what, func(t *testing.T) {
			got := test.mask.Value(test.name, test.value)
			if unchanged := got == test.value; unchanged != test.unchanged {
				t.Errorf("%s=%s shows as %s", test.name, test.value, got)
			}
			if test.unchanged {
				return
			}
			for _, secret := range []string{"hunter22", "abc", "cachepass", "never-seen", "p@ss", "from-sops-1", "from-a-file", "4711"} {
				if strings.Contains(got, secret) {
					t.Errorf("%s shows %s", got, secret)
				}
			}
		})
	}
}

// Without a key nothing shows but that something is hidden.
func TestS43_WithoutAKeyThereIsNoDigest(t *testing.T) {
	mask := kargo.NewMask(nil, kargo.Environment{"A_PASSWORD": "hunter22"})
	if got := mask.Value("A_PASSWORD", "hunter22") + " " + mask.Text("is hunter22"); got != "*** is ***" {
		t.Errorf("shows as %s", got)
	}
}

// A digest says that a value is another one, and nothing without the key.
func TestS17_DigestsAreKeyed(t *testing.T) {
	env := kargo.Environment{"A_PASSWORD": "hunter22"}
	one, same, other := kargo.NewMask([]byte("1"), env), kargo.NewMask([]byte("1"), env), kargo.NewMask([]byte("2"), env)
	if one.Text("hunter22") != same.Text("hunter22") {
		t.Error("one key gives two digests")
	}
	if one.Text("hunter22") == other.Text("hunter22") {
		t.Error("two keys give one digest")
	}
	if one.Digest("hunter22") == one.Digest("hunter23") {
		t.Error("two values have one digest")
	}
}

// The usual names of secrets are covered, and names that only resemble them are not.
func TestS43_TheUsualNamesAreCovered(t *testing.T) {
	mask := kargo.NewMask([]byte("key"), nil)
	for _, name := range []string{
		"PGPASSWORD", "MYSQL_PWD", "DBPASS", "BASIC_AUTH", "APIKEY", "API_KEY", "SENTRY_DSN", "JWT_SIGNING", "GCP_CREDENTIAL", "SLACK_WEBHOOK",
		"GITHUB_TOKEN", "CLIENT_SECRET", "SSH_PRIVATE", "SESSION_KEYS", "PASSPHRASE", "DATABASE_URL", "com.example.token",
	} {
		if got := mask.Value(name, "hunter22"); strings.Contains(got, "hunter22") {
			t.Errorf("%s shows its value", name)
		}
	}
	for _, name := range []string{"AUTH_USER", "PASSWORD_FILE", "TOKEN_TTL", "AUTHOR", "AUTH_ENABLED", "TRAEFIK_TAG", "SECRET_PATH", "AUTH_NEEDS", "AUTH_STACK", "AUTH_CONSTRAINTS", "AUTH_DOMAIN", "credential-spec"} {
		if got := mask.Value(name, "plain-value"); got != "plain-value" {
			t.Errorf("%s is hidden", name)
		}
	}
}

// The value of a flag may be the argument after it.
func TestS43_FlagsAndTheirValues(t *testing.T) {
	arguments := []string{"serve", "--password", "hunter22", "--port", "80", "--token", "--verbose"}
	mask := kargo.NewMask([]byte("key"), nil)
	for i := len(arguments) - 1; i > 0; i-- {
		arguments[i] = mask.After(arguments[i-1], arguments[i])
	}
	got := strings.Join(arguments, " ")
	if strings.Contains(got, "hunter22") || !strings.HasPrefix(got, "serve --password ***") || !strings.HasSuffix(got, "--port 80 --token --verbose") {
		t.Errorf("shows as %s", got)
	}
}

// Which names a pattern matches is said by path.Match, whether or not the mask asks it.
func TestPatternsOfNamesAreThoseOfPathMatch(t *testing.T) {
	patterns := []string{"", "*", "**", "***", "KEY", "*KEY", "KEY*", "*KEY*", "A*KEY", "?KEY", "[A-C]KEY", "[", `K\EY`, "*key*", "A/KEY", "*/*"}
	names := []string{"KEY", "A_KEY", "KEY_A", "A_KEY_A", "AKEY", "BKEY", "DKEY", "OTHER", "K", "A", "_"}
	for _, pattern := range append(patterns, kargo.DefaultSecretNames...) {
		for _, name := range names {
			mask := kargo.NewMask(nil, nil, pattern)
			const value = "a-secret-value"
			want, err := path.Match(strings.ToUpper(pattern), name)
			if got := mask.Value(name, value) != value; got != (want && err == nil) {
				t.Errorf("pattern %q hides %s: %t, and path.Match says %t", pattern, name, got, want)
			}
		}
	}
}
