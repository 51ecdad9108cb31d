package swarmtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
)

// apiVersion is the version of Docker 20.10, whose behaviour this is.
const apiVersion = "1.41"

// Fault decides what happens to a request. A status above zero is returned with the
// message, 0 lets the request pass, and the others are below. The path of the request
// has no version in front.
type Fault func(r *http.Request) (status int, message string)

// What a Fault can return beside an HTTP status.
const (
	// Cut closes the connection without an answer. Nothing is carried out.
	Cut = -1 - iota
	// CutAfter carries the request out and closes the connection without an answer.
	CutAfter
	// Silent sends no answer until the client gives up.
	Silent
)

// Fail calls the fault for each request from now on; nil ends that.
func (e *Engine) Fail(fault Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fault
}

// apiError is an answer with a status of 400 or more.
type apiError struct {
	status  int
	message string
}

func (e *apiError) Error() string { return e.message }

func refuse(status int, format string, args ...any) error {
	return &apiError{status, fmt.Sprintf(format, args...)}
}

// invalid returns a refusal of Swarm's own, which arrives as a gRPC error.
func invalid(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "rpc error: code = InvalidArgument desc = "+format, args...)
}

func notFound(kind, name string) error {
	return refuse(http.StatusNotFound, "%s %s not found", kind, name)
}

func outOfSequence() error {
	return refuse(http.StatusInternalServerError, "rpc error: code = Unknown desc = update out of sequence")
}

// answer is a status and what to encode as the body.
type answer struct {
	status int
	body   any
}

func ok(body any) (answer, error)      { return answer{http.StatusOK, body}, nil }
func created(body any) (answer, error) { return answer{http.StatusCreated, body}, nil }
func done(status int) (answer, error)  { return answer{status, nil}, nil }

func (e *Engine) routes() {
	e.mux = http.NewServeMux()
	for pattern, handler := range map[string]func(*http.Request) (answer, error){
		"GET /_ping":                  e.ping,
		"HEAD /_ping":                 e.ping,
		"GET /info":                   e.info,
		"GET /swarm":                  e.inspectSwarm,
		"GET /nodes":                  e.listNodes,
		"GET /nodes/{id}":             e.inspectNode,
		"POST /nodes/{id}/update":     e.updateNode,
		"GET /networks":               e.listNetworks,
		"GET /networks/{id}":          e.inspectNetwork,
		"POST /networks/create":       e.createNetwork,
		"DELETE /networks/{id}":       e.removeNetwork,
		"GET /configs":                e.listConfigs,
		"GET /configs/{id}":           e.inspectConfig,
		"POST /configs/create":        e.createConfig,
		"POST /configs/{id}/update":   e.updateConfig,
		"DELETE /configs/{id}":        e.removeConfig,
		"GET /secrets":                e.listSecrets,
		"GET /secrets/{id}":           e.inspectSecret,
		"POST /secrets/create":        e.createSecret,
		"POST /secrets/{id}/update":   e.updateSecret,
		"DELETE /secrets/{id}":        e.removeSecret,
		"GET /services":               e.listServices,
		"GET /services/{id}":          e.inspectService,
		"POST /services/create":       e.createService,
		"POST /services/{id}/update":  e.updateService,
		"DELETE /services/{id}":       e.removeService,
		"GET /volumes":                e.listVolumes,
		"POST /volumes/create":        e.createVolume,
		"DELETE /volumes/{name}":      e.removeVolume,
		"GET /tasks":                  e.listTasks,
		"GET /tasks/{id}":             e.inspectTask,
		"GET /distribution/{rest...}": e.inspectDistribution,
	} {
		e.mux.HandleFunc(pattern, e.answering(handler))
	}
	e.mux.HandleFunc("GET /events", e.streamEvents)
	e.mux.HandleFunc("GET /tasks/{id}/logs", e.taskLogs)
}

// answering makes an HTTP handler of a function that returns an answer or an error.
func (e *Engine) answering(handler func(*http.Request) (answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, body := e.handle(handler, r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

// handle runs one handler at a time, and encodes its answer under the same lock,
// because the answer shares the engine's state.
func (e *Engine) handle(handler func(*http.Request) (answer, error), r *http.Request) (int, []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	reply, err := handler(r)
	if err != nil {
		reply = answer{http.StatusBadRequest, types.ErrorResponse{Message: err.Error()}}
		var refused *apiError
		if errors.As(err, &refused) {
			reply.status = refused.status
		}
	}
	if reply.body == nil {
		return reply.status, nil
	}
	body, err := json.Marshal(reply.body)
	if err != nil {
		panic("swarmtest: encode an answer: " + err.Error())
	}
	return reply.status, body
}

var versionPrefix = regexp.MustCompile(`^/v\d+\.\d+/`)

// ServeHTTP handles one request of Docker's API.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = versionPrefix.ReplaceAllString(r.URL.Path, "/")
	w.Header().Set("Api-Version", apiVersion)
	w.Header().Set("Ostype", "linux")
	_, pattern := e.mux.Handler(r)
	if pattern == "" {
		pattern = r.Method + " " + r.URL.Path
	}
	e.mu.Lock()
	e.calls[pattern]++
	fail := e.fail
	w.Header().Set("Date", e.now().UTC().Format(http.TimeFormat))
	e.mu.Unlock()
	if fail != nil {
		status, message := fail(r)
		switch {
		case status > 0:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(types.ErrorResponse{Message: message})
			return
		case status == Silent:
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		case status == Cut:
			panic(http.ErrAbortHandler)
		case status == CutAfter:
			e.mux.ServeHTTP(discard{}, r)
			panic(http.ErrAbortHandler)
		}
	}
	e.mux.ServeHTTP(w, r)
}

// discard takes an answer that nobody receives.
type discard struct{}

func (discard) Header() http.Header            { return http.Header{} }
func (discard) Write(data []byte) (int, error) { return len(data), nil }
func (discard) WriteHeader(int)                {}

func (e *Engine) ping(*http.Request) (answer, error) { return done(http.StatusOK) }

func (e *Engine) info(*http.Request) (answer, error) {
	return ok(system.Info{
		ServerVersion: "swarmtest",
		Swarm: swarm.Info{
			NodeID:           e.nodes[0].ID,
			LocalNodeState:   swarm.LocalNodeStateActive,
			ControlAvailable: true,
			Managers:         1,
			Nodes:            len(e.nodes),
		},
	})
}

// inspectSwarm shows the join tokens, and not what else Docker shows.
func (e *Engine) inspectSwarm(*http.Request) (answer, error) {
	return ok(swarm.Swarm{JoinTokens: swarm.JoinTokens{
		Worker:  "SWMTKN-1-swarmtest-worker",
		Manager: fmt.Sprintf("SWMTKN-1-swarmtest-manager-%d", e.rotations),
	}})
}

// RotateJoinToken gives the Swarm another join token of managers, as
// `docker swarm join-token --rotate manager` does.
func (e *Engine) RotateJoinToken() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rotations++
}

func decode(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "invalid JSON: %v", err)
	}
	return nil
}

func filtersOf(r *http.Request) (filters.Args, error) {
	args, err := filters.FromJSON(r.URL.Query().Get("filters"))
	if err != nil {
		return args, refuse(http.StatusBadRequest, "invalid filters: %v", err)
	}
	return args, nil
}

// matches reports whether an object passes the filters that all kinds share.
func matches(only filters.Args, id, name string, labels map[string]string) bool {
	prefixOf := func(text string) func(string) bool {
		return func(wanted string) bool { return strings.HasPrefix(text, wanted) }
	}
	if ids := only.Get("id"); len(ids) > 0 && !slices.ContainsFunc(ids, prefixOf(id)) {
		return false
	}
	if names := only.Get("name"); len(names) > 0 && !slices.ContainsFunc(names, prefixOf(name)) {
		return false
	}
	return only.MatchKVList("label", labels)
}

// versionOf returns the version that a write names, such as ServiceUpdate.
func versionOf(r *http.Request, kind string) (uint64, error) {
	raw := r.URL.Query().Get("version")
	version, err := strconv.ParseUint(raw, 10, 64)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "invalid %s version '%s': %v", kind, raw, err)
	}
	return version, nil
}
