package wire

import (
	"net/http"
	"net/url"
	"testing"
)

// Credentials go where the operator said, and never unencrypted.
func TestS12WhichRedirectsAreFollowed(t *testing.T) {
	for _, test := range []struct {
		hops []string // the last one is asked for
		want string
	}{
		{[]string{"https://git.example/old/info/refs", "https://git.example/new/info/refs"}, ""},
		{[]string{"http://git.example/old", "https://git.example/old"}, ""},
		{[]string{"http://git.example/old", "https://git.example/old", "https://git.example/new"}, ""},
		{[]string{"https://git.example/old", "https://other.example/old?token=x"}, "the server redirects to https://other.example"},
		{[]string{"https://git.example/old", "https://git.example:8443/old"}, "the server redirects to https://git.example:8443"},
		{[]string{"https://git.example/old", "http://git.example/old"}, "the server redirects to http://git.example"},
		{[]string{"https://git.example:8443/old", "http://git.example:8443/old"}, "the server redirects to http://git.example:8443"},
		{[]string{"http://git.example/old", "https://git.example/old", "http://git.example/new"}, "the server redirects to http://git.example"},
		{[]string{"http://git.example/old", "https://git.example/old", "https://other.example/old"}, "the server redirects to https://other.example"},
	} {
		var requests []*http.Request
		for _, hop := range test.hops {
			address, err := url.Parse(hop)
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, &http.Request{Method: http.MethodGet, URL: address})
		}
		last := len(requests) - 1
		got := ""
		if err := refuseOtherHosts(requests[last], requests[:last]); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q: got %q, want %q", test.hops, got, test.want)
		}
	}
}
