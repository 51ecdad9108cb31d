package swarm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	dockerclient "github.com/docker/docker/client"

	"kargo"
)

// managers is a connection to one of several managers of a Swarm. Each request goes to
// the manager that answered last. If that one cannot be reached, has no leader or is no
// manager any more, the request goes to the next, and so do those after it.
//
// A request that writes is only sent again where it surely did nothing: no connection
// was made, or the manager said that it could not pass it on.
type managers struct {
	all     []manager
	current atomic.Int64
}

// manager is one of them: where requests are sent to, and its connections.
type manager struct {
	address string // host:port, or the path of a socket
	name    string // the header Host; empty for the address
	http.RoundTripper
}

// add adds the manager at an address.
func (m *managers) add(opts Options, host string) error {
	_, connection, err := opts.dial(host)
	if err != nil {
		return err
	}
	address, err := dockerclient.ParseHostURL(host)
	if err != nil {
		return kargo.Errorf(kargo.Invalid, "open docker client: %w", err)
	}
	one := manager{address: address.Host, RoundTripper: connection.Transport}
	if address.Scheme == "unix" {
		one.name = dockerclient.DummyHost
	}
	m.all = append(m.all, one)
	return nil
}

// RoundTrip sends a request to each manager in turn, until one serves it. If none does,
// it returns what the last one said that answered at all.
func (m *managers) RoundTrip(r *http.Request) (*http.Response, error) {
	var said *http.Response // by a manager that did not serve the request
	var failed error
	for attempt := range m.all {
		at := m.current.Load()
		request, ok := m.all[at].addressed(r, attempt)
		if !ok {
			break
		}
		response, err := m.all[at].RoundTrip(request)
		usable, harmless := served(response, err)
		if (usable || err == nil) && said != nil {
			_ = said.Body.Close()
			said = nil
		}
		if usable {
			return response, err
		}
		if err == nil {
			said = response
		}
		failed = err
		// Another request may have moved on already.
		m.current.CompareAndSwap(at, (at+1)%int64(len(m.all)))
		if r.Context().Err() != nil || !harmless && r.Method != http.MethodGet && r.Method != http.MethodHead {
			break
		}
	}
	if said != nil {
		return said, nil
	}
	return nil, failed
}

// addressed returns a copy of a request for a manager. It reports false if the body went
// to another manager and cannot be sent once more.
func (m manager) addressed(r *http.Request, attempt int) (*http.Request, bool) {
	request := r.Clone(r.Context())
	request.URL.Host, request.Host = m.address, m.name
	if attempt == 0 || r.Body == nil || r.Body == http.NoBody {
		return request, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	request.Body = body
	return request, err == nil
}

// served reports whether a manager served a request, and, where it did not, whether
// the request surely did nothing.
func served(response *http.Response, err error) (usable, harmless bool) {
	var connecting *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return true, false // nobody waits for an answer
	case err != nil:
		return false, errors.As(err, &connecting) && connecting.Op == "dial"
	case response.StatusCode < http.StatusInternalServerError:
		return true, false
	}
	text := peek(response)
	switch {
	case containsAny(text, notPassedOn):
		return false, true
	case containsAny(text, noQuorum), gateway().MatchString(text),
		response.StatusCode >= http.StatusBadGateway && response.StatusCode <= http.StatusGatewayTimeout:
		return false, false
	}
	return true, false // a failure of its own
}

// notPassedOn is what a manager says that cannot pass a request on to a leader.
var notPassedOn = []string{"does not have a leader", "not a swarm manager", "not part of a swarm"}

// peek returns the begin of a response's body, and leaves it to be read.
func peek(response *http.Response) string {
	const enough = 4 << 10
	begin, _ := io.ReadAll(io.LimitReader(response.Body, enough)) // the reader of the whole meets the error again
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(begin), response.Body), response.Body}
	return strings.TrimSpace(string(begin))
}
