package swarm_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm"
)

// A service that has not changed is the same value in the next look, whatever is counted of
// it, and another one as soon as anything of it changes.
func TestServicesThatAreKnown(t *testing.T) {
	b := memoryBed()
	spec := b.spec("one")
	spec.Labels = map[string]string{"odd": `,"ServiceStatus":{"RunningTasks":9}}`}
	b.apply(t, serviceChange(spec))
	created := b.service(t)
	b.running(t, "one", 1)
	running := b.service(t)
	if running.Spec.TaskTemplate.ContainerSpec != b.service(t).Spec.TaskTemplate.ContainerSpec {
		t.Error("a service that has not changed was decoded again")
	}
	if created.Running != 0 || running.Running != 1 {
		t.Errorf("%d tasks run after the creation, %d later", created.Running, running.Running)
	}
	same(t, "label", running.Spec.Labels["odd"], spec.Labels["odd"])

	b.apply(t, updateOf(running, func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Env = []string{"A=1"} }))
	updated := b.service(t)
	same(t, "before", strings.Join(running.Spec.TaskTemplate.ContainerSpec.Env, " "), "")
	same(t, "after", strings.Join(updated.Spec.TaskTemplate.ContainerSpec.Env, " "), "A=1")
	same(t, "previous", strings.Join(updated.Previous.TaskTemplate.ContainerSpec.Env, " "), "")

	id := updated.ID
	b.apply(t, removal(kargo.KindService, id, b.name("one")))
	b.apply(t, serviceChange(spec))
	if again := b.service(t); again.ID == id || len(again.Spec.TaskTemplate.ContainerSpec.Env) > 0 {
		t.Errorf("a service that was made again is the former one: %+v", again)
	}
}

// rewriting is a connection that replaces a text in answers.
type rewriting struct {
	http.RoundTripper
	old, new string
}

func (r rewriting) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte(r.old), []byte(r.new))))
	return response, err
}

// A later version of Docker may write more behind the counts. Then nothing is known of a
// service without decoding it.
func TestServicesOfALaterDocker(t *testing.T) {
	b := memoryBed()
	b.apply(t, serviceChange(b.spec("one")))
	client, err := swarm.Open(swarm.Options{Transport: rewriting{b.engine.Transport(), `"ServiceStatus":{`, `"ServiceStatus":{"Later":true,`}})
	if err != nil {
		t.Fatal(err)
	}
	look := func() kargo.LiveService {
		t.Helper()
		services, err := client.Services(t.Context())
		if err != nil || len(services) != 1 {
			t.Fatalf("%d services, %v", len(services), err)
		}
		return services[0]
	}
	first := look()
	if second := look(); first.Spec.TaskTemplate.ContainerSpec == second.Spec.TaskTemplate.ContainerSpec || second.Name != b.name("one") {
		t.Errorf("a service was not decoded again: %+v", second)
	}
}

// An answer that breaks off is an error, and the next one is whole.
func TestServicesThatBreakOff(t *testing.T) {
	b := memoryBed()
	b.apply(t, serviceChange(b.spec("one")))
	for _, broken := range []string{`"Spec":{`, `}]`} {
		client, err := swarm.Open(swarm.Options{Transport: rewriting{b.engine.Transport(), broken, ""}})
		if err != nil {
			t.Fatal(err)
		}
		if services, err := client.Services(t.Context()); err == nil {
			t.Errorf("an answer without %s has %d services", broken, len(services))
		}
	}
	same(t, "whole", b.service(t).Name, b.name("one"))
}

// addressed is a connection that notes the longest address of a request.
type addressed struct {
	http.RoundTripper
	longest int
}

func (a *addressed) RoundTrip(r *http.Request) (*http.Response, error) {
	a.longest = max(a.longest, len(r.URL.RequestURI()))
	return a.RoundTripper.RoundTrip(r)
}

// However many services are asked for, the addresses of requests stay as short as proxies
// allow, and the answers are the same.
func TestAddressesStayShort(t *testing.T) {
	b := memoryBed()
	connection := &addressed{RoundTripper: b.engine.Transport()}
	client, err := swarm.Open(swarm.Options{Transport: connection})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 250 {
		name := fmt.Sprintf("a-stack-with-a-name-of-some-length-%03d_application", i)
		names = append(names, b.name(name))
		b.apply(t, serviceChange(b.spec(name)))
	}
	b.apply(t, serviceChange(b.spec("other")))
	b.running(t, "other", 1)
	if cluster, err := client.Observe(t.Context()); err != nil || len(cluster.Services) != 251 {
		t.Fatalf("%d services, %v", len(cluster.Services), err)
	}
	for _, wanted := range []int{100, 101, 250} {
		tasks, err := client.Tasks(t.Context(), names[:wanted]...)
		if err == nil {
			err = client.MarkOutdated(t.Context(), tasks, names[:wanted]...)
		}
		if err != nil {
			t.Fatal(err)
		}
		of := map[string]bool{}
		for _, task := range tasks {
			of[task.Service] = true
		}
		if len(of) != wanted || of[b.name("other")] {
			t.Errorf("asked for the tasks of %d services, got those of %d", wanted, len(of))
		}
	}
	if connection.longest > 12<<10 {
		t.Errorf("the longest address has %d bytes", connection.longest)
	}
}

// cutting is a connection whose answers about services end early, and in good order: as
// those of a proxy whose connection to Docker broke.
type cutting struct {
	http.RoundTripper
	keep func(body []byte) []byte
}

func (c cutting) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(request)
	if err != nil || !strings.HasSuffix(request.URL.Path, "/services") {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(c.keep(body)))
	return response, err
}

// A list of services that is cut off is no list of fewer services.
func TestServicesThatAreCutOff(t *testing.T) {
	b := memoryBed()
	b.apply(t, serviceChange(b.spec("one")))
	b.apply(t, serviceChange(b.spec("two")))
	var kept int
	client, err := swarm.Open(swarm.Options{Transport: cutting{b.engine.Transport(), func(body []byte) []byte {
		body = bytes.TrimRight(body, "\n")
		kept = min(kept, len(body))
		return body[:kept]
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for length := 0; ; length++ {
		kept = length
		services, err := client.Services(t.Context())
		if err != nil && kargo.FaultOf(err) != kargo.Unavailable {
			t.Fatalf("%d bytes: %s: %v", length, kargo.FaultOf(err), err)
		}
		if err == nil && len(services) != 2 {
			t.Fatalf("%d bytes are taken for %d services", length, len(services))
		}
		if kept == length {
			continue
		}
		if err != nil { // it was the whole answer
			t.Error(err)
		}
		return
	}
}
