package wire_test

import (
	"testing"

	"kargo"
	"kargo/gitsync/wire"
)

func TestAccessOptionsThatExcludeEachOther(t *testing.T) {
	const url = "https://github.com/ops/platform.git"
	some, key := func() (string, error) { return "x", nil }, func() ([]byte, error) { return []byte("x"), nil }
	for _, c := range []struct {
		url    string
		access wire.Access
		want   string
	}{
		{url, wire.Access{Password: some, BearerToken: some}, "a password, a bearer token and a GitHub App exclude each other"},
		{url, wire.Access{ClientCertificate: key}, "a client certificate and its key go together"},
		{"http://127.0.0.1/r", wire.Access{ClientCertificate: key, ClientKey: key}, "a client certificate is for https (use https://)"},
		{"http://host/r", wire.Access{BearerToken: some}, "credentials would be sent unencrypted over http (use https://)"},
		{"http://127.0.0.1/r", wire.Access{Password: some, Proxy: wire.Proxy{URL: "http://proxy:3128"}},
			"credentials would be sent unencrypted over http (use https://)"},
		{url, wire.Access{Proxy: wire.Proxy{URL: "http://u:pl4nt3d@proxy:3128"}},
			"the proxy's URL holds a user or a password (give them separately)"},
		{url, wire.Access{Proxy: wire.Proxy{URL: "ftp://proxy"}},
			"the proxy's URL has a scheme that is not supported (use http://, https:// or socks5://)"},
		{url, wire.Access{Proxy: wire.Proxy{URL: "http://proxy/pl4nt3d"}},
			"the proxy's URL is not a host with a port (http://proxy.example.com:3128)"},
		{url, wire.Access{Proxy: wire.Proxy{Password: some}}, "a user or a password is given for a proxy, but no proxy"},
		{"git@github.com:o/r", wire.Access{SSHKey: key, KnownHosts: key, GitHubApp: &wire.GitHubApp{ID: "1", Key: key}},
			"a GitHub App reads repositories over https only (use the https:// address)"},
		{url, wire.Access{GitHubApp: &wire.GitHubApp{Key: key}}, "a GitHub App needs its ID and its private key"},
		{"https://github.com/platform", wire.Access{GitHubApp: &wire.GitHubApp{ID: "1", Key: key}},
			"the path is not that of a repository at GitHub (https://github.com/OWNER/REPOSITORY.git)"},
		{url, wire.Access{GitHubApp: &wire.GitHubApp{ID: "1", Key: key, Installation: "../7"}},
			"the installation of the GitHub App is not a number (leave it empty to look it up)"},
		{url, wire.Access{GitHubApp: &wire.GitHubApp{ID: "1", Key: key, API: "http://api.example"}},
			"the address of GitHub's API is not usable (https://github.example.com/api/v3)"},
	} {
		if _, err := wire.New(address(t, c.url), c.access, 1<<20); kargo.FaultOf(err) != kargo.Invalid || kargo.Explain(err) != "repository: "+c.want {
			t.Errorf("error of fault %s:\n got %v\nwant %s", kargo.FaultOf(err), err, c.want)
		}
	}
}
