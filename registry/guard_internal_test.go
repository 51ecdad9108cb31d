package registry

import (
	"net/http"
	"testing"
)

// TestGuard checks which requests are sent for which registry.
func TestGuard(t *testing.T) {
	for _, c := range []struct {
		name, registry, realm string
		insecure              bool
		url, secret           string
		want                  string
	}{
		{"the registry", "registry.example.org", "", false, "https://registry.example.org/v2/", "Basic x", ""},
		{"in the clear", "registry.example.org", "", false, "http://registry.example.org/v2/", "Basic x", "the credentials would travel unencrypted"},
		{"in the clear, without any", "10.0.0.1:5000", "", false, "http://10.0.0.1:5000/v2/", "", ""},
		{"in the clear, of a private address", "10.0.0.1:5000", "", false, "http://10.0.0.1:5000/v2/", "Basic x", "the credentials would travel unencrypted"},
		{"in the clear, which is accepted", "10.0.0.1:5000", "", true, "http://10.0.0.1:5000/v2/", "Basic x", ""},
		{"this machine", "localhost:5000", "", false, "http://localhost:5000/v2/", "Basic x", ""},
		{"a token service of the site", "index.docker.io", "https://auth.docker.io/token", false, "https://auth.docker.io/token", "Basic x", ""},
		{"a token service of another site", "index.docker.io", "https://docker.io.evil.org/token", false, "https://docker.io.evil.org/token", "Basic x",
			"the credentials were to go to docker.io.evil.org, which is another site than the registry"},
		{"a neighbour under a public suffix", "a.github.io", "https://b.github.io/token", false, "https://b.github.io/token", "Basic x",
			"the credentials were to go to b.github.io, which is another site than the registry"},
		{"an anonymous token of another site", "index.docker.io", "https://tokens.example.org/", false, "https://tokens.example.org/", "", ""},
		{"a token service without TLS", "index.docker.io", "http://auth.docker.io/token", false, "http://auth.docker.io/token", "", "the registry's token service does not use https"},
		{"somewhere else", "index.docker.io", "", false, "https://169.254.169.254/latest", "", "the registry sends its readers on to another host, 169.254.169.254"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuard(c.registry, c.insecure)
			if c.realm != "" {
				g.learn([]string{`Bearer realm="` + c.realm + `",service="s"`})
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.secret != "" {
				request.Header.Set("Authorization", c.secret)
			}
			got := ""
			if err := g.check(request); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
