package gitsync

import "testing"

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
		if got := SameHost(test.a, test.b); got != test.want {
			t.Errorf("SameHost(%q, %q) = %v", test.a, test.b, got)
		}
	}
}
