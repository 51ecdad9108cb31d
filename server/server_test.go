package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/server"
)

const (
	token  = "t0ken-of-the-api"
	secret = "s3cret-of-the-hooks"
)

// loop is a controller that does nothing but remember what it was asked.
type loop struct {
	status   kargo.Status
	preview  kargo.Preview
	err      error // of the preview
	approval error

	mu    sync.Mutex
	asked []string
}

func (l *loop) Status() kargo.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// set changes what the controller knows.
func (l *loop) set(status kargo.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

func (l *loop) Preview(context.Context) (kargo.Preview, error) { return l.preview, l.err }
func (l *loop) Nudge(trigger string)                           { l.remember("nudge: " + trigger) }

func (l *loop) Approve(_ context.Context, plan string, by kargo.Person) error {
	l.remember("approve: " + plan + " by " + by.String())
	return l.approval
}

func (l *loop) Retry(stack string, by kargo.Person) { l.remember(by.Did("retry: " + stack)) }

func (l *loop) Adopt(stack string, by kargo.Person) { l.remember(by.Did("adopt: " + stack)) }

func (l *loop) Hold(_ context.Context, stack string, stop kargo.Stop) error {
	l.remember("hold " + stack + " " + stop.String())
	return l.err
}

// shown returns what stacks go back to in one line.
func shown(to kargo.BackTo) string {
	if to.Digests == nil {
		return to.Start
	}
	return fmt.Sprint(to.Digests)
}

func (l *loop) Rollback(_ context.Context, stack string, to kargo.BackTo, stop kargo.Stop) error {
	l.remember("rollback " + stack + " to " + shown(to) + " " + stop.String())
	return l.err
}

func (l *loop) PreviewRollback(_ context.Context, stack string, to kargo.BackTo) (kargo.Preview, error) {
	l.remember("plan of rollback " + stack + " to " + shown(to))
	return l.preview, l.err
}

func (l *loop) Release(_ context.Context, stack string, by kargo.Person, why string) error {
	l.remember(by.Did("release "+stack) + ": " + why)
	return l.err
}

func (l *loop) Suspend(_ context.Context, stop kargo.Stop) error {
	l.remember(stop.Suspended())
	return l.err
}

func (l *loop) Resume(_ context.Context, by kargo.Person, why string) error {
	l.remember(by.Did("resume") + ": " + why)
	return l.err
}

func (l *loop) remember(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, what)
}

// askedFor is what the controller was asked since the last call.
func (l *loop) askedFor() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := strings.Join(l.asked, "; ")
	l.asked = nil
	return asked
}

// records is a history in memory.
type records struct {
	deployments []kargo.Deployment
	err         error
}

func (r records) KeptDigests(string) []string { return []string{"aaaa", "bbbb"} }

func (r records) Kept(stack string) ([]kargo.KeptRendering, error) {
	return []kargo.KeptRendering{
		{Digest: "aaaa", Revision: newest.ID(), Kept: at(2 * time.Minute)},
		{Digest: "bbbb", Revision: older.ID(), Kept: at(26 * time.Hour)},
	}, r.err
}

func (r records) Deployment(number uint64) (*kargo.Deployment, error) {
	for _, deployment := range r.deployments {
		if deployment.Number == number {
			return &deployment, r.err
		}
	}
	return nil, r.err
}

func (r records) Deployments(before uint64, limit int) ([]kargo.Deployment, error) {
	var found []kargo.Deployment
	for _, deployment := range r.deployments {
		if (before == 0 || deployment.Number < before) && len(found) < limit {
			found = append(found, deployment)
		}
	}
	return found, r.err
}

func (r records) DeploymentsAbout(stack string, before uint64, limit int) ([]kargo.Deployment, error) {
	var found []kargo.Deployment
	for _, deployment := range r.deployments {
		if (before == 0 || deployment.Number < before) && len(found) < limit && slices.Contains(deployment.MayBeAbout(), stack) {
			found = append(found, deployment)
		}
	}
	return found, r.err
}

func (r records) DeploymentsOf(start string, limit int) ([]kargo.Deployment, error) {
	var found []kargo.Deployment
	for _, deployment := range r.deployments {
		if len(found) < limit && slices.ContainsFunc(append(deployment.Commits, kargo.Commit{Hash: deployment.Revision.Commit}), func(c kargo.Commit) bool {
			return strings.HasPrefix(c.Hash, start)
		}) {
			found = append(found, deployment)
		}
	}
	return found, r.err
}

func fixed(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}

// inspector knows one difference, and one rendering.
type inspector struct{}

func (inspector) Diff(_ context.Context, from, to, _ string) (kargo.Diff, error) {
	if from == "4711" {
		return kargo.Diff{}, &kargo.Error{Fault: kargo.Invalid, Err: errors.New("there is no deployment 4711"), Hint: "kept are 40 to 42"}
	}
	changes := slices.Clone(rolledOut)
	changes[2] = kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Stack: "maps", Name: "maps_tileserver", Fields: []kargo.FieldChange{
		{Path: "TaskTemplate.ContainerSpec.Configs[/styles.json].ConfigName", Before: `"maps_styles-77aa01be"`, After: `"maps_styles-1f3870be"`,
			Lines: kargo.DiffLines("{\n  \"scale\": 1,\n  \"key\": \"***1b2c3d4e\",\n  \"tiles\": 4\n}\n", "{\n  \"scale\": 2,\n  \"key\": \"***1b2c3d4e\",\n  \"tiles\": 4,\n  \"fonts\": []\n}\n")},
		{Path: "Mode.Replicated.Replicas", Before: "2", After: "3"},
	}}
	return kargo.Diff{From: kargo.State{Name: from}, To: kargo.State{Name: to, Revision: newest}, Changes: changes}, nil
}

func (inspector) Rendering(context.Context, string, string) (kargo.RenderedState, error) {
	spec := swarm.ServiceSpec{TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "redis:7.4-alpine" + digest, Env: []string{"PASSWORD=*** (a1b2c3d4)"}}}}
	stack := kargo.RenderedStack{Name: "kargo-dbs", Services: []kargo.RenderedService{{Name: "kargo-dbs_redis", Spec: spec}},
		Networks: []kargo.Network{{Name: "kargo-dbs_default"}}, Configs: []kargo.RenderedConfig{{Name: "kargo-dbs_redis.conf-1f3870be", Size: 60, Content: "maxmemory 200mb\nrequirepass ***1b2c3d4e\n"}, {Name: "kargo-dbs_password-77aa01be", Secret: true, Size: 12}}}
	return kargo.RenderedState{State: kargo.State{Name: "git", Revision: newest}, RenderedStacks: kargo.RenderedStacks{Stacks: []kargo.RenderedStack{stack}}}, nil
}

// newServer serves a status, with token and webhook secret.
func newServer(status kargo.Status) (*server.Server, *loop) {
	controller := &loop{status: status}
	return &server.Server{
		Controller: controller, History: records{deployments: deployments()}, Inspector: inspector{},
		Settings: map[string]string{"interval": "30s", "ref": "main"},
		Token:    fixed(token + "\n"), WebhookSecret: fixed(secret + "\n"), Ref: "main",
		Metrics: server.NewMetrics(controller.Status, nil),
		Log:     slog.New(slog.DiscardHandler),
		Now:     func() time.Time { return now },
	}, controller
}

// request is a request as a table can hold it.
type request struct {
	method, path string
	header       map[string]string
	body         string
}

// send sends it and returns the status and the body.
func send(t *testing.T, handler http.Handler, r request) (*http.Response, string) {
	t.Helper()
	sent := httptest.NewRequest(r.method, r.path, strings.NewReader(r.body))
	for name, value := range r.header {
		sent.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, sent)
	response := recorder.Result()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func withToken() map[string]string { return map[string]string{"Authorization": "Bearer " + token} }

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func wantStatus(t *testing.T, response *http.Response, want int) {
	t.Helper()
	if response.StatusCode != want {
		t.Errorf("status %d, want %d", response.StatusCode, want)
	}
}

func (inspector) Why(_ context.Context, what string, _ bool) (kargo.Explained, error) {
	if what != "dbs.services" && what != "dbs.redis.image" {
		return kargo.Explained{}, kargo.Errorf(kargo.Invalid, "there is no variable, file, stack or service %q", what)
	}
	place := func(file string, line int) kargo.Place { return kargo.Place{File: file, Line: line} }
	return kargo.Explained{Revision: newest, Values: []kargo.Explanation{
		{Stack: "dbs", Path: "services.redis.image", Service: "redis", Field: "image", Origins: []kargo.Origin{
			{Layer: "default", Where: place("deploy/redis.yml", 3), Text: "redis:${REDIS_TAG}", Value: "redis:7.4"},
			{Layer: "user", Where: place("deploy/redis-more.yml", 2), Text: "mirror/redis:${REDIS_TAG}", Value: "mirror/redis:7.4", Counts: true},
		}, Variables: []kargo.Explanation{{Variable: "REDIS_TAG", Value: "7.4", Origins: []kargo.Origin{
			{Layer: "default", Where: place(".env.default", 12)}, {Layer: "user", Where: place(".env", 4), Counts: true}}}}},
		{Stack: "dbs", Path: "services.redis.ports", Service: "redis", Field: "ports", Origins: []kargo.Origin{
			{Layer: "user", Where: place("deploy/redis-more.yml", 7), Entries: []string{"6379:6379", "{target: 9121}"}, Counts: true}}},
		{Stack: "dbs", Path: "services.redis.environment.REDIS_PASSWORD", Service: "redis", Field: "environment.REDIS_PASSWORD", Origins: []kargo.Origin{
			{Layer: "user", Where: place("deploy/redis-more.yml", 4), Text: "***1b2c3d4e", Value: "***1b2c3d4e", Counts: true}}},
		{Stack: "web", Path: "services.dbs.services", Service: "dbs", Field: "services", Origins: []kargo.Origin{{Layer: "user", Counts: true}}},
	}}, nil
}

func (inspector) Details(context.Context, ...string) ([]kargo.StackDetail, error) {
	stack := troubled().Stacks[0]
	return []kargo.StackDetail{{StackStatus: stack, Parts: []kargo.ServiceDetail{
		{ServiceStatus: stack.Services[0], Ports: []string{"6379"}, Configs: []string{"dbs_redis.conf-1f3870be"}, Secrets: []string{"dbs_password"}, Volumes: []string{"dbs_data"}, Networks: []string{"back"},
			Tasks: []kargo.TaskDetail{{ID: "t1", Name: "dbs_redis.1", Node: "worker-0", State: "running", Since: at(time.Hour)}}},
		{ServiceStatus: stack.Services[1], Tasks: []kargo.TaskDetail{
			{ID: "t2", Name: "dbs_postgis.1", Node: "worker-0", State: "failed", Since: at(time.Minute), Message: "task: non-zero exit (1)"},
			{ID: "t3", Name: "dbs_postgis.2", State: "pending", Since: at(time.Second), Message: "no suitable node"}}},
	}}}, nil
}
func (inspector) Logs(context.Context, string, string, kargo.LogOptions, func(kargo.LogLine)) error {
	return nil
}
func (inspector) Events(context.Context, string, time.Time, bool, func(kargo.Happening)) error {
	return nil
}
