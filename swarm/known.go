package swarm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// knownServices has the services of earlier answers, by a digest of what Docker wrote of
// each. So a service that has not changed is neither decoded nor translated again, and
// takes no more memory. What a look returns of it depends on nothing but these bytes: the
// counts of tasks, which change without the service, are not among them. Values are
// shared by all looks, so nobody may change what they refer to.
type knownServices struct {
	mu       sync.Mutex
	byDigest map[serviceDigest]knownService
	digests  map[string]serviceDigest // by id of the service
}

// serviceDigest is that of what Docker wrote of a service, without the counts.
type serviceDigest [sha256.Size]byte

// knownService is a service as it was translated, and the state of its update as Docker
// wrote it.
type knownService struct {
	live   kargo.LiveService
	update *swarm.UpdateStatus
}

// listed is a service of an answer.
type listed struct {
	swarm.Service // of a known one, only what is counted
	known         *knownService
	digest        serviceDigest // of what is kept; zero if it cannot be told from the counts
}

// id returns the id of the service, and name its name.
func (l listed) id() string {
	if l.known != nil {
		return l.known.live.ID
	}
	return l.ID
}

func (l listed) name() string {
	if l.known != nil {
		return l.known.live.Name
	}
	return l.Spec.Name
}

// counts begins what Docker writes of a service's tasks, at the end of the service.
var counts = []byte(`,"ServiceStatus":{`)

// read reads a list of services, as Docker writes it. One that is cut off is an error: a
// proxy may end it in good order where Docker ended.
func (k *knownServices) read(answer io.Reader) ([]listed, error) {
	decoder := json.NewDecoder(answer)
	switch begin, err := decoder.Token(); {
	case err != nil:
		return nil, fmt.Errorf("read the list: %w", err)
	case begin == nil: // null
		return nil, nil
	case begin != json.Delim('['):
		return nil, fmt.Errorf("read the list: it begins with %v", begin)
	}
	var services []listed
	var data json.RawMessage // the same memory for all
	for decoder.More() {
		if err := decoder.Decode(&data); err != nil {
			return nil, err
		}
		service, err := k.decode(data)
		if err != nil {
			return nil, err
		}
		services = append(services, service)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("read the end of the list: %w", err)
	}
	_, err := io.Copy(io.Discard, answer) // so that the connection can be used again
	return services, err
}

func (k *knownServices) decode(data []byte) (service listed, err error) {
	if at := bytes.LastIndex(data, counts); at >= 0 {
		tail := append([]byte{'{'}, data[at+1:]...)
		strict := json.NewDecoder(bytes.NewReader(tail))
		strict.DisallowUnknownFields()
		var counted struct {
			ServiceStatus *swarm.ServiceStatus
			JobStatus     *swarm.JobStatus
		}
		if strict.Decode(&counted) == nil { // else there is more than the counts
			service.digest = sha256.Sum256(data[:at])
			service.ServiceStatus, service.JobStatus = counted.ServiceStatus, counted.JobStatus
			service.known = k.find(service.digest)
		}
	}
	if service.known == nil {
		err = json.Unmarshal(data, &service.Service)
	}
	return service, err
}

func (k *knownServices) find(digest serviceDigest) *knownService {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known, ok := k.byDigest[digest]; ok {
		return &known
	}
	return nil
}

// keep keeps a service in place of an earlier one with its id.
func (k *knownServices) keep(digest serviceDigest, service knownService) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byDigest == nil {
		k.byDigest, k.digests = map[serviceDigest]knownService{}, map[string]serviceDigest{}
	}
	delete(k.byDigest, k.digests[service.live.ID])
	k.digests[service.live.ID], k.byDigest[digest] = digest, service
}

// forget drops the services that are not in an answer which has all.
func (k *knownServices) forget(all map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, digest := range k.digests {
		if _, there := all[id]; !there {
			delete(k.byDigest, digest)
			delete(k.digests, id)
		}
	}
}

// fetchServices reads the services that pass a filter. Docker's library decodes an answer
// as a whole; of a connection that this package has made, the answer is read service by
// service instead.
func (c *Client) fetchServices(ctx context.Context, filter filters.Args) ([]listed, error) {
	answer := &capture{path: "/services"}
	services, err := c.api.ServiceList(context.WithValue(ctx, captureOf{}, answer), swarm.ServiceListOptions{Status: true, Filters: filter})
	if answer.body != nil {
		defer answer.body.Close()
	}
	if err != nil {
		return nil, err
	}
	if answer.body != nil {
		return c.known.read(answer.body)
	}
	list := make([]listed, 0, len(services))
	for _, service := range services {
		list = append(list, listed{Service: service})
	}
	return list, nil
}

// captureOf is the key of the capture in the context of a request.
type captureOf struct{}

// capture takes the body of the answer to a request.
type capture struct {
	path string // how the request's path ends
	body io.ReadCloser
}

// capturing is a connection that leaves the body of a good answer to the capture in the
// request's context. The caller of the connection reads an empty list.
type capturing struct{ http.RoundTripper }

// RoundTrip sends a request.
func (c capturing) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	wanted, _ := r.Context().Value(captureOf{}).(*capture)
	if err != nil || wanted == nil || response.StatusCode != http.StatusOK || !strings.HasSuffix(r.URL.Path, wanted.path) {
		return response, err
	}
	wanted.body, response.Body = response.Body, io.NopCloser(strings.NewReader("[]"))
	return response, nil
}
