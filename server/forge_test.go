package server_test

import (
	"strings"
	"testing"

	"kargo/server"
)

func TestCommitAddress(t *testing.T) {
	const commit = "9c1185a5c5e9fc54612808977ee8f548b2258d31"
	for _, c := range []struct{ repository, pattern, want string }{
		{"https://github.com/ops/platform.git", "", "https://github.com/ops/platform/commit/"},
		{"git@github.com:ops/platform.git", "", "https://github.com/ops/platform/commit/"},
		{"ssh://git@gitlab.example.com:2222/group/sub/platform.git", "", "https://gitlab.example.com/group/sub/platform/-/commit/"},
		{"https://gitlab.example.com:8443/ops/platform", "", "https://gitlab.example.com:8443/ops/platform/-/commit/"},
		{"https://gitea.example.com/ops/platform.git", "", "https://gitea.example.com/ops/platform/commit/"},
		{"https://codeberg.org/ops/platform.git", "", "https://codeberg.org/ops/platform/commit/"},
		{"https://forgejo.example.com/ops/platform.git", "", "https://forgejo.example.com/ops/platform/commit/"},
		{"git@bitbucket.org:ops/platform.git", "", "https://bitbucket.org/ops/platform/commits/"},
		{"https://bitbucket.example.com/scm/ops/platform.git", "", "https://bitbucket.example.com/projects/OPS/repos/platform/commits/"},
		{"https://dev.azure.com/org/project/_git/platform", "", "https://dev.azure.com/org/project/_git/platform/commit/"},
		{"git@ssh.dev.azure.com:v3/org/project/platform", "", "https://dev.azure.com/org/project/_git/platform/commit/"},
		{"https://git.example.com/ops/platform.git", "", ""},
		{"https://git.example.com/ops/platform.git", "https://git.example.com/ops/platform/commit/{commit}?tab=files", "https://git.example.com/ops/platform/commit/" + commit + "?tab=files"},
		{"/srv/platform.git", "", ""},
		{"javascript:github/alert(1)", "", ""},
	} {
		want := c.want
		if want != "" && !strings.Contains(want, commit) {
			want += commit
		}
		wantText(t, c.repository, server.CommitAddress(c.repository, c.pattern, commit), want)
	}
	for _, commit := range []string{"", "dir-6e449f65", `"><script>`, "../../settings"} {
		wantText(t, commit, server.CommitAddress("https://github.com/ops/platform.git", "", commit), "")
	}
	for pattern, valid := range map[string]bool{
		"": true, "https://x.example/{commit}": true, "javascript:{commit}": false, "https://x.example/": false, "/{commit}": false,
	} {
		if err := server.CheckCommitURL(pattern); (err == nil) != valid {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}
