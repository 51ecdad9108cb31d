package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kargo/swarm/swarmtest"
)

// figure is one line of the table of what is not processor time.
type figure struct {
	What   string `json:"what"`
	Stacks int    `json:"stacks"`
	// Value and Goal are numbers with their unit.
	Value string `json:"value"`
	Goal  string `json:"goal"`
}

// figures returns what the rows of one size say besides processor time.
func figures(rows []row) []figure {
	stacks := rows[0].Stacks
	byStep, peak := map[string]row{}, 0
	for _, r := range rows {
		byStep[r.Step], peak = r, max(peak, r.Peak)
	}
	first, atRest := byStep[firstDeployment], byStep[idleRound].Memory
	goals := map[int][2]string{100: {"45 MiB", "80 MiB"}, 1000: {"120 MiB", "200 MiB"}}[stacks]
	return []figure{
		{"calls of the first deployment for each object", stacks, fmt.Sprintf("%.2f", float64(first.Calls)/float64(first.Writes)), "1.02"},
		{"memory while nothing happens", stacks, fmt.Sprint(atRest, " MiB"), goals[0]},
		{"memory with the child, the most", stacks, fmt.Sprint(peak, " MiB"), goals[1]},
	}
}

// BenchmarkTimes prints the times of BenchmarkEndToEnd alone, which takes a minute. Times
// of a real engine are among them where KARGO_TEST_DOCKER names one.
func BenchmarkTimes(b *testing.B) {
	for _, figure := range measureTimes(b, 100) {
		fmt.Printf("%s: %s (at most %s)\n", figure.What, figure.Value, figure.Goal)
	}
	b.ReportMetric(0, "ns/op")
}

// measureTimes measures what passes on the clock, on Swarms of its own: other work on the
// machine shows.
func measureTimes(b *testing.B, stacks int) []figure {
	const limit = "1.3"
	ratio := func(s *scene, replayed func() *daemon) string {
		before, creating, alone := firstDeploymentTime(b, s, stacks, replayed)
		round := func(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
		return fmt.Sprintf("%.1f, and %.1f from the first create on (%s until then, %s from then on; the program %s)",
			(before+creating).Seconds()/alone.Seconds(), creating.Seconds()/alone.Seconds(), round(before), round(creating), round(alone))
	}
	measured := []figure{
		{"from a webhook to the new spec, without the time in Docker", stacks, webhookTime(b, stacks).Round(time.Millisecond).String(), "150ms"},
		{"the first deployment, times a program that only makes the same creates", stacks, ratio(inMemory(b), func() *daemon {
			return newDaemon(b, swarmtest.New(swarmtest.AutoSettle))
		}), limit},
	}
	if os.Getenv("KARGO_TEST_DOCKER") != "" {
		s := onDocker(b)
		measured = append(measured, figure{"the same on a real engine", stacks, ratio(s, func() *daemon {
			s.stop()
			s.removeAll()
			return s.docker
		}), limit})
	}
	return measured
}

// webhookTime returns how long it takes from a signed webhook until Docker is asked to
// update a service, without the time that Docker takes for the calls before: the median of
// five.
func webhookTime(b *testing.B, stacks int) time.Duration {
	s := inMemory(b, webhookSecretFile(b)...)
	w := benchWorkspace(s, stacks)
	s.begin(w)
	var times []time.Duration
	for i := range 5 {
		time.Sleep(3 * time.Second) // webhooks that follow closely are taken for a burst
		commit := s.repo.commit(w.set("S0001_TAG", strconv.Itoa(2+i)))
		var mu sync.Mutex
		var inDocker time.Duration
		updated := make(chan time.Duration, 2*servicesOf(stacks))
		began := time.Now()
		s.docker.meddle(func(answer http.ResponseWriter, r *http.Request, swarm http.Handler) {
			asked := time.Now()
			mu.Lock()
			if strings.HasSuffix(describe(r), "/services/{id}/update") {
				updated <- asked.Sub(began) - inDocker
			}
			mu.Unlock()
			swarm.ServeHTTP(answer, r)
			mu.Lock()
			inDocker += time.Since(asked)
			mu.Unlock()
		})
		if code := s.deliver("{}", webhookSecret); code != http.StatusAccepted {
			b.Fatalf("the webhook was answered %d", code)
		}
		s.awaitDeployment(commit)
		s.docker.meddle(nil)
		times = append(times, <-updated)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// creation is a request that made an object, and the id that the object got.
type creation struct {
	path, id string
	body     []byte
}

// firstDeploymentTime returns how long a controller takes from its start until it begins
// to create, and then until it has created everything, and how long a program does that
// only sends the same requests, one after another, to the daemon that replayed returns.
func firstDeploymentTime(b *testing.B, s *scene, stacks int, replayed func() *daemon) (before, creating, alone time.Duration) {
	commit := s.repo.commit(benchWorkspace(s, stacks))
	var made creations
	began := time.Now()
	s.docker.meddle(made.record)
	s.start()
	s.awaitDeployment(commit)
	s.docker.meddle(nil)
	to := replayed()
	var again creations // so that each request takes the same way
	to.meddle(again.record)
	defer to.meddle(nil)
	return made.first.Sub(began), made.last.Sub(made.first), replay(b, to, made.all)
}

// creations are the requests that made objects, in order.
type creations struct {
	mu          sync.Mutex
	all         []creation
	first, last time.Time // when the first was asked for, and the last answered
}

// record hands a request on, and records it if it makes an object.
func (c *creations) record(answer http.ResponseWriter, r *http.Request, docker http.Handler) {
	if isOfLease(r) || !strings.HasSuffix(r.URL.Path, "/create") {
		docker.ServeHTTP(answer, r)
		return
	}
	asked := time.Now()
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	answered := httptest.NewRecorder()
	docker.ServeHTTP(answered, r)
	var made struct{ ID string }
	_ = json.Unmarshal(answered.Body.Bytes(), &made) // without an id it was refused
	c.mu.Lock()
	if len(c.all) == 0 {
		c.first = asked
	}
	if !ofInstance.Match(body) {
		c.all, c.last = append(c.all, creation{r.URL.Path, made.ID, body}), time.Now()
	}
	c.mu.Unlock()
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(answered.Code)
	_, _ = answer.Write(answered.Body.Bytes())
}

// ofInstance matches the creation of what a controller keeps for itself, long before the
// first deployment.
var ofInstance = regexp.MustCompile(`"Name":"kargo-(lease|sealed-key)-`)

var objectIDs = regexp.MustCompile(`[a-z0-9]{25}`)

// replay sends the creations again, with the ids of the objects that it makes.
func replay(b *testing.B, to *daemon, creations []creation) time.Duration {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", to.socket)
	}}}
	defer client.CloseIdleConnections()
	ids := map[string]string{}
	began := time.Now()
	for _, create := range creations {
		body := objectIDs.ReplaceAllStringFunc(string(create.body), func(id string) string {
			if now, known := ids[id]; known {
				return now
			}
			return id
		})
		response, err := client.Post("http://docker"+create.path, "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		var made struct{ ID string }
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || json.Unmarshal(answer, &made) != nil || response.StatusCode >= 300 && response.StatusCode != http.StatusConflict {
			b.Fatalf("%s: %s %s, %v", create.path, response.Status, answer, err)
		}
		ids[create.id] = made.ID
	}
	return time.Since(began)
}
