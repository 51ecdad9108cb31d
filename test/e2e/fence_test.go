package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"kargo"
)

// fencing is a Swarm in memory with two controllers of one instance. The scene's own
// one leads.
type fencing struct {
	*scene
	audit *audit
	other *controller
}

func newFencing(t *testing.T) *fencing {
	t.Helper()
	f := &fencing{scene: inMemory(t), audit: &audit{}}
	f.docker.swarm = f.audit.of("one", f.memory)
	another := newDaemon(t, f.audit.of("two", f.memory))
	f.other = newController(t, []string{"DOCKER_HOST=unix://" + another.socket},
		"--instance", f.prefix, "--repo", f.repo.dir, "--interval", "1s", "--verify", "1h")
	return f
}

// pauseAt stops the leader when it sends the first write that has these words, as SIGSTOP
// does, and keeps that write on its way until the returned function is called.
func (f *fencing) pauseAt(call string) (paused chan struct{}, goOn func()) {
	paused, resume := make(chan struct{}), make(chan struct{})
	var met atomic.Bool
	f.docker.meddle(func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
		if strings.Contains(describe(r), call) && !isOfLease(r) && met.CompareAndSwap(false, true) {
			body, err := io.ReadAll(r.Body) // all of it is on its way
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			f.signal(syscall.SIGSTOP)
			close(paused)
			<-resume
		}
		swarm.ServeHTTP(w, r)
	})
	return paused, func() {
		close(resume)
		f.signal(syscall.SIGCONT)
	}
}

// A leader that was paused in the middle of a plan, for longer than its lease is valid,
// writes nothing when it goes on. What was on its way is refused, because the object has
// another version by then.
func TestAPausedLeaderIsFenced(t *testing.T) {
	t.Parallel()
	f := newFencing(t)
	w := f.workspace().set("COLOUR", "red")
	for i := range 4 {
		name := fmt.Sprintf("s%d", i)
		w.stack(name, name).service(name, environment("COLOUR=${COLOUR}"))
	}
	f.begin(w)
	f.other.start()
	f.other.awaitStatus("the second stands by", func(k kargo.Status) bool { return k.Leader != "" })

	paused, goOn := f.pauseAt("/update")
	f.repo.commit(w.set("COLOUR", "green"))
	f.signal(syscall.SIGHUP)
	<-paused
	newest := f.repo.commit(w.set("COLOUR", "blue"))
	f.other.awaitDeployment(newest)
	before, state := f.audit.by("one"), f.state()
	goOn()
	f.awaitStatus("the first stands by", func(k kargo.Status) bool { return k.Leader != "" })

	if after := f.audit.by("one"); after != before {
		t.Errorf("the former leader wrote %d times", after-before)
	}
	same(t, "the state", f.state(), state)
	for _, found := range f.audit.found() {
		t.Error(found)
	}
}

// No version keeps a service from being created late. The new leader sees at once that
// nobody wants it, without a look at everything that is due: by the event, or, where the
// stack has no prefix, because the former leader asks for it. (Swarm refuses a service whose
// own network the new leader has removed; this one has none.)
func TestALateCreateIsUndone(t *testing.T) {
	t.Parallel()
	for stack, add := range map[string]func(*workspace){
		"prefix": func(w *workspace) { w.stack("late", "late").service("late", networks("back")) },
		"directory": func(w *workspace) {
			w.file("stacks/late/compose.yml", "services: {late: {image: 'kargo/testserver:1', networks: [back], deploy: {replicas: 0}}}\n"+
				"networks: {back: {external: true, name: t-back}}\n")
		},
	} {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			f := newFencing(t)
			w := f.workspace().stack("web", "site").service("site")
			f.begin(w)
			f.other.start()
			f.other.awaitStatus("the second stands by", func(k kargo.Status) bool { return k.Leader != "" })

			paused, goOn := f.pauseAt("/services/create")
			more := w.clone()
			add(more)
			f.repo.commit(more)
			f.signal(syscall.SIGHUP)
			<-paused
			newest := f.repo.commit(w.service("site", environment("A=2")))
			f.other.awaitDeployment(newest)
			objects, mark := f.objects(), len(f.memory.Writes())
			goOn()
			until(t, "it is created late", func() bool {
				return slices.ContainsFunc(f.memory.Writes()[mark:], func(write string) bool { return strings.HasSuffix(write, "late_late") })
			})
			f.awaitStatus("the first stands by", func(k kargo.Status) bool { return k.Leader != "" })
			until(t, "what was created late is removed", func() bool { return f.objects() == objects })
		})
	}
}

// No version keeps a service from being removed late. The new leader, which wants it,
// creates it again at once.
func TestALateRemovalIsUndone(t *testing.T) {
	t.Parallel()
	f := newFencing(t)
	w := f.workspace().stack("web", "site").service("site").stack("old", "old").service("old")
	f.begin(w)
	f.other.start()
	f.other.awaitStatus("the second stands by", func(k kargo.Status) bool { return k.Leader != "" })

	paused, goOn := f.pauseAt("DELETE /services/")
	f.repo.commit(w.clone().drop("old"))
	f.signal(syscall.SIGHUP)
	<-paused
	newest := f.repo.commit(w.service("site", environment("A=2")))
	f.other.awaitDeployment(newest)
	before := f.services()[f.service("old", "old")]
	goOn()
	f.awaitStatus("the first stands by", func(k kargo.Status) bool { return k.Leader != "" })
	until(t, "what was removed late is there again", func() bool {
		now, there := f.services()[f.service("old", "old")]
		return there && now.ID != before.ID
	})
}

// The audit is worth something only if it finds what must not happen.
func TestTheAuditFindsLateAndRepeatedWrites(t *testing.T) {
	a := &audit{}
	taken := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	writes := func(controller, path, body string) {
		r := httptest.NewRequest(http.MethodPost, "/v1.41"+path, strings.NewReader(body))
		a.of(controller, taken).ServeHTTP(httptest.NewRecorder(), r)
	}
	writes("one", "/services/create", `{"Name":"site","Labels":{"kargo.epoch":"1"}}`)
	writes("two", "/configs/kargo-lease-t/update", `{}`)
	writes("two", "/services/a/update", `{"Name":"site","Labels":{"kargo.epoch":"2"}}`)
	same(t, "found", strings.Join(a.found(), "\n"), "")
	writes("two", "/services/create", `{"Name":"site","Labels":{"kargo.epoch":"2"}}`)
	writes("one", "/services/a/update", `{"Name":"site","Labels":{"kargo.epoch":"1"}, "Mode":{}}`)
	same(t, "found", strings.Join(a.found(), "\n"), "two wrote POST /services/create site as one had done\n"+
		"one: POST /services/a/update site in epoch 1, after epoch 2")
}
