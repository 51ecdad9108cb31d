package swarm

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/swarm"
)

// greeting is a connection of a process that needs the join token of managers soon. Docker
// says in every answer which version of its API it has. So the first question is for the
// token, in place of a ping that asks for the version alone. Where the question is not
// answered well, as behind a proxy that hides the token, the ping is sent after all.
//
// It may be used from any goroutine.
type greeting struct {
	http.RoundTripper

	mu    sync.Mutex
	asked bool      // the token, in place of a ping
	token string    // until somebody takes it
	at    time.Time // when it was asked for
}

// greetedLong is for how long a token may be taken that came with the greeting. It may be
// rotated later.
const greetedLong = 10 * time.Second

// mostOfSwarm is how much of an answer about the Swarm is read. It has some kilobytes.
const mostOfSwarm = 1 << 20

// RoundTrip sends a request.
func (g *greeting) RoundTrip(r *http.Request) (*http.Response, error) {
	start, ping := strings.CutSuffix(r.URL.Path, "/_ping")
	if !ping || r.Method != http.MethodHead || !g.first() {
		return g.RoundTripper.RoundTrip(r)
	}
	question := r.Clone(r.Context())
	question.Method, question.URL.Path = http.MethodGet, start+"/swarm"
	asked := time.Now()
	response, err := g.RoundTripper.RoundTrip(question)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var found swarm.Swarm
	err = json.NewDecoder(io.LimitReader(response.Body, mostOfSwarm)).Decode(&found)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Api-Version") == "" {
		return g.RoundTripper.RoundTrip(r)
	}
	g.keep(found.JoinTokens.Manager, asked)
	response.Body, response.ContentLength, response.Request = http.NoBody, 0, r
	return response, nil
}

// first reports, once, whether nothing was asked yet.
func (g *greeting) first() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.asked
	g.asked = true
	return first
}

func (g *greeting) keep(token string, asked time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.token, g.at = token, asked
}

// take returns the token that came with the greeting, once; "" if there is none or if it is
// old.
func (g *greeting) take(now time.Time) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	token := g.token
	g.token = ""
	if now.Sub(g.at) > greetedLong {
		return ""
	}
	return token
}
