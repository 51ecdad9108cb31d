package registry

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"kargo"
	"kargo/pattern"

	"golang.org/x/net/publicsuffix"
)

// guard limits the requests that are sent to list the tags at one registry.
// Requests go to the registry and to the token service that it names, and to no
// other host. A credential is sent only to hosts of the registry's own site
// (docker.io for index.docker.io and auth.docker.io), and never unencrypted to
// another machine unless the operator named the registry.
type guard struct {
	wire     *http.Transport
	registry string // host, with the port if it has one
	plain    bool   // need not be encrypted

	mu     sync.Mutex
	realms map[string]bool // hosts of token services
}

func newGuard(registry string, insecure bool) *guard {
	return &guard{
		wire: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		registry: registry, plain: insecure || kargo.IsLoopback((&url.URL{Host: registry}).Hostname()), realms: map[string]bool{},
	}
}

// refusal is the error of a request that was not sent.
type refusal struct{ words, hint string }

func (r *refusal) Error() string { return r.words }

// RoundTrip sends a request, or refuses to.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := g.check(request); err != nil {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, err
	}
	response, err := g.wire.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if request.URL.Host == g.registry {
		g.learn(response.Header.Values("WWW-Authenticate"))
	}
	response.Body = limitedBody{io.LimitReader(response.Body, maxPage), response.Body}
	return response, nil
}

type limitedBody struct {
	io.Reader
	io.Closer
}

func (g *guard) check(request *http.Request) error {
	to := request.URL
	g.mu.Lock()
	isRealm := g.realms[to.Host]
	g.mu.Unlock()
	secret := request.Header.Get("Authorization") != "" || request.Method != http.MethodGet
	switch {
	case to.Host != g.registry && !isRealm:
		return &refusal{words: "the registry sends its readers on to another host, " + to.Host}
	case to.Host != g.registry && to.Scheme != "https" && !g.plain:
		return &refusal{words: "the registry's token service does not use https"}
	case secret && to.Scheme != "https" && !g.plain:
		return &refusal{"the credentials would travel unencrypted", "name the registry with --insecure-registry if you accept that"}
	case secret && to.Host != g.registry && !sameSite(to.Hostname(), (&url.URL{Host: g.registry}).Hostname()):
		return &refusal{words: fmt.Sprintf("the credentials were to go to %s, which is another site than the registry", to.Host)}
	}
	return nil
}

var realm = pattern.Lazy(`(?i)realm="([^"]*)"`)

// learn records the token service that the registry names.
func (g *guard) learn(challenges []string) {
	for _, challenge := range challenges {
		for _, match := range realm().FindAllStringSubmatch(challenge, -1) {
			if address, err := url.Parse(match[1]); err == nil && address.Host != "" {
				g.mu.Lock()
				g.realms[address.Host] = true
				g.mu.Unlock()
			}
		}
	}
}

// sameSite reports whether two hosts belong to the same organization, judged by
// their names: registry.example.org and git.example.org.
func sameSite(a, b string) bool {
	if a == b {
		return true
	}
	if net.ParseIP(a) != nil || net.ParseIP(b) != nil {
		return false
	}
	siteA, errA := publicsuffix.EffectiveTLDPlusOne(a)
	siteB, errB := publicsuffix.EffectiveTLDPlusOne(b)
	return errA == nil && errB == nil && siteA == siteB
}
