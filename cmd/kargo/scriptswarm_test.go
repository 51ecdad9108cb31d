package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"
	"github.com/rogpeppe/go-internal/testscript"

	"kargo"
	"kargo/swarm/swarmtest"
)

// daemon is the engine of a script with what no Swarm has, but the Docker on a
// node: it builds and pushes whatever it is sent, and has one image.
func daemon(engine *swarmtest.Engine) http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a request that was not read to its end breaks the connection
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})
	}
	answer("POST /{version}/build", `{"stream":"Successfully built\n"}`+"\n")
	answer("POST /{version}/images/{name...}", `{"status":"Pushed"}`+"\n")
	answer("GET /{version}/images/json", `[{"Id":"sha256:1","RepoTags":["app:1"],"Created":1,"Size":1000000}]`)
	answer("GET /{version}/images/{name}/json", `{"Id":"sha256:1","RepoTags":["app:1"],"Size":1000000,"Metadata":{"LastTagTime":"2024-01-01T00:00:00Z"}}`)
	answer("GET /{version}/containers/json", `[]`)
	answer("DELETE /{version}/images/{name...}", `[]`)
	mux.Handle("/", engine)
	return mux
}

// dockerSays answers in the place of a script's engine what no Swarm in memory can be: old,
// of several managers, behind a proxy, or late.
type dockerSays struct {
	next http.Handler

	mu     sync.Mutex
	nodes  string         // the list of nodes as JSON; "denied" by a proxy, "" as the engine has them
	behind *time.Duration // the clock; nil if it is not said
}

func (d *dockerSays) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	nodes, behind := d.nodes, d.behind
	d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/nodes") && nodes == "denied":
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message": "the proxy does not let this through"}`)
	case strings.HasSuffix(r.URL.Path, "/nodes") && nodes != "":
		_, _ = io.WriteString(w, nodes)
	case strings.HasSuffix(r.URL.Path, "/info") && behind != nil:
		fmt.Fprintf(w, `{"SystemTime": %q}`, time.Now().Add(-*behind).Format(time.RFC3339Nano))
	default:
		w.Header().Del("Content-Type")
		d.next.ServeHTTP(w, r)
	}
}

// dockerSaysNow changes what Docker says.
func dockerSaysNow(ts *testscript.TestScript, change func(*dockerSays)) {
	says := ts.Value(saysOf{}).(*dockerSays)
	says.mu.Lock()
	defer says.mu.Unlock()
	change(says)
}

// swarmWords are what a script can say about its Swarm, in the manner of
// somebody who works on it with other tools.
var swarmWords = map[string]func(*testscript.TestScript, *swarmtest.Engine, []string) error{
	// image NAME missing|unhealthy|exits|good: what containers of an image do.
	"image": func(_ *testscript.TestScript, engine *swarmtest.Engine, args []string) error {
		behaviours := map[string]swarmtest.Behaviour{
			"missing": {Missing: true}, "unhealthy": {Unhealthy: true}, "exits": {Exits: true, ExitCode: 1}, "good": {},
		}
		behaviour, known := behaviours[args[1]]
		if !known {
			return fmt.Errorf("an image cannot be %q", args[1])
		}
		engine.Image(args[0], behaviour)
		return nil
	},
	// nodes FILE|denied: Docker says that these are the nodes.
	"nodes": func(ts *testscript.TestScript, _ *swarmtest.Engine, args []string) error {
		nodes := args[0]
		if nodes != "denied" {
			nodes = ts.ReadFile(nodes)
		}
		dockerSaysNow(ts, func(d *dockerSays) { d.nodes = nodes })
		return nil
	},
	// clock BEHIND: Docker's clock is behind by a duration.
	"clock": func(ts *testscript.TestScript, _ *swarmtest.Engine, args []string) error {
		behind, err := time.ParseDuration(args[0])
		dockerSaysNow(ts, func(d *dockerSays) { d.behind = &behind })
		return err
	},
	// services: prints each with its image, replicas and owner.
	"services": func(ts *testscript.TestScript, engine *swarmtest.Engine, _ []string) error {
		services, err := engine.Client().ServiceList(context.Background(), dockerswarm.ServiceListOptions{})
		if len(services) == 0 {
			fmt.Fprintln(ts.Stdout(), "none")
		}
		for _, service := range services {
			fmt.Fprintf(ts.Stdout(), "%s %s owner=%q\n", service.Spec.Name, service.Spec.TaskTemplate.ContainerSpec.Image, service.Spec.Labels[kargo.LabelInstance])
		}
		return err
	},
	// await NAME: until there is a service of this name.
	"await": func(_ *testscript.TestScript, engine *swarmtest.Engine, args []string) error {
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if _, _, err := engine.Client().ServiceInspectWithRaw(context.Background(), args[0], dockerswarm.ServiceInspectOptions{}); err == nil {
				return nil
			}
		}
		return fmt.Errorf("there is no service %s", args[0])
	},
	// create NAME IMAGE: a service that somebody else deploys, as docker stack deploy does.
	"create": func(ts *testscript.TestScript, engine *swarmtest.Engine, args []string) error {
		namespace, _, _ := strings.Cut(args[0], "_")
		_, err := engine.Client().ServiceCreate(context.Background(), dockerswarm.ServiceSpec{
			Annotations:  dockerswarm.Annotations{Name: args[0], Labels: map[string]string{"com.docker.stack.namespace": namespace}},
			TaskTemplate: dockerswarm.TaskSpec{ContainerSpec: &dockerswarm.ContainerSpec{Image: args[1]}},
		}, dockerswarm.ServiceCreateOptions{})
		return err
	},
	// scale NAME REPLICAS: somebody changes a service by hand.
	"scale": func(ts *testscript.TestScript, engine *swarmtest.Engine, args []string) error {
		replicas, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return err
		}
		service, _, err := engine.Client().ServiceInspectWithRaw(context.Background(), args[0], dockerswarm.ServiceInspectOptions{})
		if err != nil {
			return err
		}
		service.Spec.Mode.Replicated = &dockerswarm.ReplicatedService{Replicas: &replicas}
		_, err = engine.Client().ServiceUpdate(context.Background(), service.ID, service.Version, service.Spec, dockerswarm.ServiceUpdateOptions{})
		return err
	},
}

func scriptSwarm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || swarmWords[args[0]] == nil {
		ts.Fatalf("usage: swarm WORD…, see swarmWords")
	}
	ts.Check(swarmWords[args[0]](ts, ts.Value(swarmOf{}).(*swarmtest.Engine), args[1:]))
}
