package wire_test

import (
	"testing"

	"kargo/gitsync/wire"
)

func address(t *testing.T, text string) wire.Address {
	t.Helper()
	parsed, err := wire.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestAddressShowsNoUser(t *testing.T) {
	for url, want := range map[string]string{
		"https://host/group/repository.git":      "https://host/group/repository.git",
		"https://host:8443/group/repository":     "https://host:8443/group/repository",
		"http://[::1]:3000/r":                    "http://[::1]:3000/r",
		"ssh://someone@host:2222/srv/repository": "ssh://host:2222/srv/repository",
		"someone@host:group/repository.git":      "ssh://host/group/repository.git",
		"host:repository":                        "ssh://host/repository",
		"git@[::1]:repository":                   "ssh://[::1]/repository",
		"/srv/git/repository.git":                "/srv/git/repository.git",
		"file:///srv/git/repository.git":         "/srv/git/repository.git",
	} {
		if got := address(t, url).String(); got != want {
			t.Errorf("%s shows as %s, want %s", url, got, want)
		}
	}
}

func TestSameHost(t *testing.T) {
	const main = "https://git.example/ops/platform.git"
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{main, "https://git.example/ops/base.git", true},
		{main, "https://GIT.example/ops/base.git", false}, // not worth the risk
		{main, "http://git.example/ops/base.git", false},
		{main, "https://git.example:8443/ops/base.git", false},
		{main, "https://git.example.evil/ops/base.git", false},
		{main, "ssh://git@git.example/ops/base.git", false},
		{"ssh://git@git.example/a.git", "git@git.example:b.git", true},
		{"/srv/a.git", "/srv/b.git", false},
		{"", "", false},
		{"ext::sh", "ext::sh", false},
	} {
		if got := wire.SameHost(test.a, test.b); got != test.want {
			t.Errorf("SameHost(%q, %q) = %v", test.a, test.b, got)
		}
	}
}

func TestIsOn(t *testing.T) {
	for _, test := range []struct {
		address, host string
		want          bool
	}{
		{"https://git.example/a.git", "git.example", true},
		{"https://GIT.example/a.git", "git.example", true},
		{"https://git.example:8443/a.git", "git.example", false},
		{"https://git.example:8443/a.git", "git.example:8443", true},
		{"https://git.example.evil/a.git", "git.example", false},
		{"ssh://git@[::1]:22/a.git", "[::1]:22", true},
	} {
		if got := address(t, test.address).IsOn([]string{"other.example", test.host}); got != test.want {
			t.Errorf("%s is on %s: %v", test.address, test.host, got)
		}
	}
}
