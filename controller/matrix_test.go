package controller_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"
	dockerclient "github.com/docker/docker/client"
	"pgregory.net/rapid"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// Whatever people push and do by hand, the whole loop, on a Swarm in memory
// that keeps to the rules of the real one, ends where it should and says so.

// rendering is what a push makes of stack web: two services after a job.
type rendering struct {
	one, two, job string // images
	replicas      int
	greeting      int
	constraint    string
}

// sound images do what they should. What the others do is in newMatrix.
var sound = []string{"app:1", "app:2", "app:3"}

var fine = rendering{one: "app:1", two: "app:1", job: "job:1", replicas: 2}

// good reports whether the rendering comes up. Without tasks, nothing can fail.
func (r rendering) good() bool {
	one := r.replicas == 0 || slices.Contains(sound, r.one) && r.constraint == ""
	return one && slices.Contains(sound, r.two) && strings.HasPrefix(r.job, "job:") && !r.unknown()
}

// unknown reports whether a registry does not have one of the images.
func (r rendering) unknown() bool { return r.one == "unknown:1" || r.two == "unknown:1" }

func (r rendering) files() []string {
	constraints := ""
	if r.constraint != "" {
		constraints = "placement: {constraints: ['" + r.constraint + "']}, "
	}
	return []string{
		".env=STACKS='web dbs'\nWEB_STACK=pair\nDBS_STACK=db\nWEB_BEFORE=migrate\nWEB_DEADLINE=1m\n",
		"deploy/db.yml=services: {db: {image: 'app:1', networks: [back]}}\nnetworks: {back: {external: true, name: kargo-back}}\n",
		fmt.Sprintf(`deploy/pair.yml=
services:
  migrate: {image: '%s', networks: [back], deploy: {mode: replicated-job, restart_policy: {condition: none}}}
  one:
    {image: '%s', networks: [back], environment: [GREETING=%d], configs: [page],
     deploy: {replicas: %d, %supdate_config: {failure_action: pause}}}
  two: {image: '%s', networks: [back]}
networks: {back: {external: true, name: kargo-back}}
configs: {page: {file: ./../configs/page.txt}}
`, r.job, r.one, r.greeting, r.replicas, constraints, r.two),
		fmt.Sprintf("configs/page.txt=page %d\n", r.greeting),
	}
}

// matrix is a world whose Swarm is swarmtest's.
type matrix struct {
	*world
	engine *swarmtest.Engine
	api    *dockerclient.Client
	client *swarm.Client // the controller's
	pushes int
	last   rendering    // pushed last
	runs   *rendering   // came up last
	set    atomic.Int64 // by how much the Swarm's clock was set forward
}

func newMatrix(t *testing.T, options ...swarmtest.Option) *matrix {
	m := &matrix{world: newWorld(t)}
	m.engine = swarmtest.New(append(options, swarmtest.Clock(func() time.Time { return time.Now().Add(time.Duration(m.set.Load())) }))...)
	for image, behaviour := range map[string]swarmtest.Behaviour{
		"sick:1":    {Unhealthy: true},
		"crash:1":   {Exits: true, ExitCode: 7},
		"missing:1": {Missing: true},
		"unknown:1": {Unknown: true},
		"badjob:1":  {Exits: true, ExitCode: 3},
	} {
		m.engine.Image(image, behaviour)
	}
	m.api = m.engine.Client()
	m.client = m.connect()
	m.parts.Swarm, m.parts.Watcher = m.client, m.client
	m.create("foreign", dockerswarm.ServiceSpec{Annotations: dockerswarm.Annotations{Name: "other_foreign",
		Labels: map[string]string{kargo.LabelNamespace: "other"}},
		TaskTemplate: dockerswarm.TaskSpec{ContainerSpec: &dockerswarm.ContainerSpec{Image: "app:1"}}})
	return m
}

// connect returns a client of the Swarm, as a controller has it.
func (m *matrix) connect() *swarm.Client {
	m.t.Helper()
	client, err := swarm.Open(swarm.Options{Hosts: []string{"tcp://swarmtest:2375"}, Transport: m.engine.Transport()})
	if err != nil {
		m.t.Fatal(err)
	}
	return client
}

func (m *matrix) create(what string, spec dockerswarm.ServiceSpec) {
	m.t.Helper()
	if _, err := m.api.ServiceCreate(m.t.Context(), spec, dockerswarm.ServiceCreateOptions{}); err != nil {
		m.t.Fatalf("create %s: %v", what, err)
	}
}

// live runs the Swarm for so many seconds; the loop does what it does.
func (m *matrix) live(seconds int) {
	for range seconds {
		m.engine.Step()
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

// setClocks sets the clocks of all nodes.
func (m *matrix) setClocks(hours int) { m.set.Add(int64(time.Duration(hours) * time.Hour)) }

// push makes a commit and runs the rounds that follow.
func (m *matrix) push(r rendering) (writes []string) { return m.pushAnd(r, func() {}) }

// pushAnd is push, with something that happens after the push.
func (m *matrix) pushAnd(r rendering, happens func()) (writes []string) {
	m.pushes++
	m.last = r
	m.repo.commit(fmt.Sprint("c", m.pushes), r.files()...)
	before := len(m.engine.Writes())
	m.loop.Nudge("webhook test")
	happens()
	m.live(150)
	m.engine.Fail(nil)
	if r.good() {
		m.runs = &r
	}
	return m.engine.Writes()[before:]
}

// begin starts the loop over what it remembers.
func (m *matrix) begin() {
	m.start()
	m.live(30)
}

func (m *matrix) service(name string) (dockerswarm.Service, bool) {
	m.t.Helper()
	services, err := m.api.ServiceList(m.t.Context(), dockerswarm.ServiceListOptions{Status: true})
	if err != nil {
		m.t.Fatal(err)
	}
	i := slices.IndexFunc(services, func(s dockerswarm.Service) bool { return s.Spec.Name == name })
	if i < 0 {
		return dockerswarm.Service{}, false
	}
	return services[i], true
}

// byHand changes a service as `docker service update` does.
func (m *matrix) byHand(name string, change func(*dockerswarm.ServiceSpec)) {
	m.t.Helper()
	service, exists := m.service(name)
	if !exists {
		return
	}
	change(&service.Spec)
	_, err := m.api.ServiceUpdate(m.t.Context(), service.ID, service.Version, service.Spec, dockerswarm.ServiceUpdateOptions{})
	if err != nil {
		m.t.Fatal(err)
	}
}

// rollBack is `docker service rollback`.
func (m *matrix) rollBack(name string) {
	m.t.Helper()
	service, exists := m.service(name)
	if !exists {
		m.t.Fatalf("there is no service %s", name)
	}
	if _, err := m.api.ServiceUpdate(m.t.Context(), service.ID, service.Version, service.Spec, dockerswarm.ServiceUpdateOptions{Rollback: "previous"}); err != nil {
		m.t.Fatal(err)
	}
}

// runningImages is what services run and how many tasks of them, as a person
// would say it.
func (m *matrix) runningImages() string {
	var all []string
	for _, name := range []string{"kargo-web_one", "kargo-web_two", "kargo-dbs_db"} {
		service, exists := m.service(name)
		if !exists {
			all = append(all, "none")
			continue
		}
		image, _, _ := strings.Cut(service.Spec.TaskTemplate.ContainerSpec.Image, "@")
		all = append(all, fmt.Sprintf("%s x%d", image, service.ServiceStatus.RunningTasks))
	}
	return strings.Join(all, ", ")
}

func (r rendering) want() string {
	return fmt.Sprintf("%s x%d, %s x1, app:1 x1", r.one, r.replicas, r.two)
}

// newestAbout is the newest deployment that is about a stack.
func (m *matrix) newestAbout(stack string) kargo.Deployment {
	for _, d := range slices.Backward(m.records.deployments) {
		for _, result := range d.Stacks {
			if result.Name == stack && result.Verdict != kargo.VerdictUnchanged {
				return d
			}
		}
	}
	return kargo.Deployment{}
}

// problems is all that is not as it should be.
func (m *matrix) problems() []string {
	var all []string
	complain := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	newest := m.records.deployments[len(m.records.deployments)-1]
	status := m.loop.Status().Stacks[0]
	switch {
	case m.last.good():
		if status.Failure != nil || !status.InSync || status.Health != kargo.HealthHealthy {
			complain("a good rendering is said to be %s, in sync %t, %+v", status.Health, status.InSync, status.Failure)
		}
	case m.last.unknown():
		if about := m.newestAbout("web"); status.InSync || about.Outcome != kargo.OutcomeFailed {
			complain("an image that nobody has is said to be in sync, the deployment %s", about.Outcome)
		}
	case status.Failure == nil:
		complain("a bad rendering has not failed; the deployment is %s: %s", newest.Outcome, newest.Err)
	}
	if newest.Finished.IsZero() {
		complain("deployment %d is not finished", newest.Number)
	}
	if m.runs != nil {
		if got, want := m.runningImages(), m.runs.want(); got != want {
			complain("what runs is %s, want %s", got, want)
		}
	}
	return append(all, m.harm()...)
}

// harm is what Kargo must never do, whatever happens.
func (m *matrix) harm() []string {
	var all []string
	for _, write := range m.engine.Writes()[1:] {
		if strings.Contains(write, "foreign") {
			all = append(all, "touched what is another's: "+write)
		}
	}
	services, err := m.api.ServiceList(m.t.Context(), dockerswarm.ServiceListOptions{})
	if err != nil {
		return append(all, err.Error())
	}
	for _, service := range services {
		if service.PreviousSpec != nil && encoded(service.Spec) == encoded(*service.PreviousSpec) {
			all = append(all, service.Spec.Name+" would be rolled back to itself")
		}
	}
	return all
}

func encoded(spec dockerswarm.ServiceSpec) string {
	data, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// inMatrix runs a script in a bubble of virtual time.
func inMatrix(t *testing.T, script func(m *matrix), options ...swarmtest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMatrix(t, options...)
		script(m)
		m.stop()
		m.knowsServices()
	})
}

// knowsServices checks that nobody has changed what the controller's client knows of
// services: another client sees the same.
func (m *matrix) knowsServices() {
	m.t.Helper()
	see := func(client *swarm.Client) string {
		services, err := client.Services(m.t.Context())
		if err != nil {
			m.t.Fatal(err)
		}
		for i := range services {
			services[i].Update = nil // its times are of the client's own clock
		}
		text, err := json.Marshal(services)
		if err != nil {
			m.t.Fatal(err)
		}
		return string(text)
	}
	if known, fresh := see(m.client), see(swarm.New(m.api)); known != fresh {
		m.t.Errorf("the controller knows\n%s\nand there is\n%s", known, fresh)
	}
}

// failures are the ways in which a second version may not come up: what is
// reported, and where the Swarm ends.
var failures = []struct {
	name   string
	bad    rendering
	report string // how the deployment ends
}{
	{"a crash at start", rendering{one: "crash:1", two: "app:2", job: "job:1", replicas: 2},
		"stack web failed and was rolled back: kargo-web_one: update paused due to failure or early termination of task"},
	{"a health check that fails", rendering{one: "app:2", two: "sick:1", job: "job:1", replicas: 2},
		"stack web failed and was rolled back: kargo-web_two: update paused due to failure"},
	{"an image that no node has and whose registry is away", rendering{one: "missing:1", two: "app:2", job: "job:1", replicas: 2},
		"stack web failed and was rolled back: kargo-web_one: update paused due to failure"},
	{"an image that its registry does not have", rendering{one: "app:2", two: "unknown:1", job: "job:1", replicas: 2},
		"hold service kargo-web_two: there is no image unknown:1"},
	{"no node to run on", rendering{one: "app:2", two: "app:2", job: "job:1", replicas: 2, constraint: "node.labels.nosuch == true"},
		"stack web failed and was rolled back: did not come up within 1m0s"},
	{"a job that fails", rendering{one: "app:2", two: "app:2", job: "badjob:1", replicas: 2},
		"stack web failed and was rolled back: kargo-web_migrate: 1 tasks failed"},
}

func TestFailuresEndWhereTheyShould(t *testing.T) {
	for _, failure := range failures {
		t.Run(failure.name, func(t *testing.T) {
			inMatrix(t, func(m *matrix) {
				m.repo.commit("c0", fine.files()...)
				m.begin()
				m.push(fine)
				m.push(failure.bad)
				newest := m.records.deployments[len(m.records.deployments)-1]
				if newest.Outcome != kargo.OutcomeFailed || !strings.HasPrefix(newest.Err, failure.report) {
					t.Errorf("deployment %s: %s\nwant a failure: %s", newest.Outcome, newest.Err, failure.report)
				}
				for _, problem := range m.problems() {
					t.Error(problem)
				}
				before := len(m.engine.Writes())
				m.live(1200)
				if again := m.engine.Writes()[before:]; len(again) > 0 {
					t.Errorf("the failed rendering was tried again: %q", again)
				}
			})
		})
	}
}

// What one hand does twice is drift both times, while an image that nobody has
// keeps a newer rendering out.
func TestTheSameHandTwice(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.repo.commit("c0", fine.files()...)
		m.begin()
		m.push(fine)
		m.push(rendering{one: "unknown:1", two: "app:1", job: "job:1", replicas: 2})
		for range 2 {
			m.byHand("kargo-web_one", func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "rogue:1" })
			m.live(70)
			for _, problem := range m.problems() {
				t.Error(problem)
			}
		}
		if failure := m.loop.Status().Stacks[0].Failure; failure != nil {
			t.Errorf("what never ran is said to have failed: %s", failure.Reason)
		}
	})
}

// Tasks of the spec before prove nothing: managers that are busy begin an update late.
func TestALateUpdateIsNotTakenForGood(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.repo.commit("c0", fine.files()...)
		m.begin()
		m.push(fine)
		crashes := fine
		crashes.one = "crash:1"
		m.pushAnd(crashes, func() {
			time.Sleep(50 * time.Second) // in which Swarm does nothing
			synctest.Wait()
			if web := m.records.memory.Rollouts["web"]; web.Good == web.Digest {
				t.Error("a rendering of which no task runs is called good")
			}
		})
		for _, problem := range m.problems() {
			t.Error(problem)
		}
	})
}

// someRendering is good or bad, and often shares most with another.
func someRendering(t *rapid.T, last rendering) rendering {
	r := last
	image := rapid.SampledFrom(slices.Concat(sound, sound, []string{"sick:1", "crash:1", "missing:1", "unknown:1"}))
	switch rapid.SampledFrom([]string{"one", "two", "both", "job", "greeting", "replicas", "constraint", "fine"}).Draw(t, "changes") {
	case "one":
		r.one = image.Draw(t, "one")
	case "two":
		r.two = image.Draw(t, "two")
	case "both":
		r.one, r.two = image.Draw(t, "one"), image.Draw(t, "two")
	case "job":
		r.job = rapid.SampledFrom([]string{"job:1", "job:2", "badjob:1"}).Draw(t, "job")
	case "greeting":
		r.greeting = rapid.IntRange(0, 3).Draw(t, "greeting")
	case "replicas":
		r.replicas = rapid.IntRange(0, 3).Draw(t, "replicas")
	case "constraint":
		r.constraint = rapid.SampledFrom([]string{"", "node.labels.nosuch == true"}).Draw(t, "constraint")
	case "fine":
		r = fine
	}
	return r
}

func TestWhateverHappensItEndsWhereItShould(t *testing.T) {
	checkInBubbles(t, func(m *matrix, rt *rapid.T) {
		m.repo.commit("c0", fine.files()...)
		m.begin()
		m.push(fine)
		rt.Repeat(m.actions())
	})
}

// checkInBubbles checks a property, each case in a bubble of virtual time.
func checkInBubbles(t *testing.T, property func(*matrix, *rapid.T)) {
	rapid.Check(t, func(rt *rapid.T) {
		var caught any
		synctest.Test(t, func(t *testing.T) {
			m := newMatrix(t)
			defer func() { m.stop() }()
			defer func() { caught = recover() }()
			property(m, rt)
		})
		// Rapid distinguishes failures by their line. One that it meets while
		// it looks for the smallest must not be taken for the first.
		if fmt.Sprintf("%T", caught) == "rapid.invalidData" {
			panic(caught)
		}
		if caught != nil {
			panic(caught)
		}
	})
}

// actions are what people do. After each, all is as it should be.
func (m *matrix) actions() map[string]func(*rapid.T) {
	check := func(rt *rapid.T) {
		if m.backsOff() {
			m.live(1000) // the longest truce, and a look at everything
		}
		for _, problem := range m.problems() {
			rt.Error(problem)
		}
	}
	return map[string]func(*rapid.T){
		"push": func(rt *rapid.T) {
			before := m.last
			next := someRendering(rt, before)
			m.meddle(rapid.IntRange(0, 4).Draw(rt, "out of sequence"))
			writes := m.push(next)
			checkJob(rt, before, next, writes)
			check(rt)
		},
		"by hand": func(rt *rapid.T) {
			m.someHand(rt)
			m.live(60)
			check(rt)
		},
		"restart": func(rt *rapid.T) {
			m.stop()
			m.begin()
			m.live(60)
			check(rt)
		},
		"retry": func(rt *rapid.T) {
			m.loop.Retry("web", kargo.Person{})
			m.live(150)
			check(rt)
		},
		"outage": func(rt *rapid.T) {
			m.outage(rapid.IntRange(1, 90).Draw(rt, "seconds"))
			check(rt)
		},
		"events lost": func(rt *rapid.T) {
			m.engine.Disconnect()
			m.live(rapid.IntRange(0, 3).Draw(rt, "seconds"))
			m.someHand(rt)
			m.live(60)
			check(rt)
		},
		"clocks are set": func(rt *rapid.T) {
			m.setClocks(rapid.IntRange(-20, 20).Draw(rt, "hours"))
			m.live(60)
			check(rt)
		},
		"clocks are set during a rollout": func(rt *rapid.T) {
			next := someRendering(rt, m.last)
			m.pushAnd(next, func() {
				m.live(rapid.IntRange(0, 30).Draw(rt, "seconds"))
				m.setClocks(rapid.IntRange(-20, 20).Draw(rt, "hours"))
			})
			check(rt)
		},
		"quiet": func(rt *rapid.T) {
			before := len(m.engine.Writes())
			m.live(700)
			if writes := m.engine.Writes()[before:]; len(writes) > 0 {
				rt.Errorf("nobody did anything, and Kargo wrote %q", writes)
			}
		},
	}
}

// backsOff reports whether Kargo takes the same hand, again and again, for
// somebody who undoes its corrections.
func (m *matrix) backsOff() bool {
	return slices.ContainsFunc(m.loop.Status().Pending.Held, func(h kargo.Hold) bool {
		return strings.HasPrefix(h.Reason, "something undoes each correction")
	})
}

// outage is a daemon that nobody reaches for a while. What runs, runs on.
func (m *matrix) outage(seconds int) {
	m.engine.Disconnect()
	m.engine.Fail(func(*http.Request) (int, string) { return http.StatusServiceUnavailable, "the daemon is away" })
	m.live(seconds)
	m.engine.Fail(nil)
	m.live(150)
}

// meddle lets so many updates find that another tool was quicker.
func (m *matrix) meddle(times int) {
	m.engine.Fail(func(r *http.Request) (int, string) {
		if !strings.HasSuffix(r.URL.Path, "/update") || !strings.HasPrefix(r.URL.Path, "/services/") || times == 0 {
			return 0, ""
		}
		times--
		return http.StatusInternalServerError, "rpc error: code = Unknown desc = update out of sequence"
	})
}

// someHand is somebody who does not know about Kargo.
func (m *matrix) someHand(t *rapid.T) {
	name := rapid.SampledFrom([]string{"kargo-web_one", "kargo-web_two", "kargo-dbs_db"}).Draw(t, "service")
	switch rapid.SampledFrom([]string{"scale", "image", "remove", "config"}).Draw(t, "hand") {
	case "scale":
		replicas := rapid.Uint64Range(4, 6).Draw(t, "replicas")
		m.byHand(name, func(s *dockerswarm.ServiceSpec) { s.Mode.Replicated.Replicas = &replicas })
	case "image":
		m.byHand(name, func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "rogue:1" })
	case "remove":
		m.removeByHand(t, name)
	case "config": // Swarm lets it go with the last service that names it
		m.removeByHand(t, "kargo-web_one")
		configs, err := m.api.ConfigList(m.t.Context(), dockerswarm.ConfigListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range configs {
			_ = m.api.ConfigRemove(m.t.Context(), config.ID) // one may be needed already
		}
	}
}

func (m *matrix) removeByHand(t *rapid.T, name string) {
	if service, exists := m.service(name); exists {
		if err := m.api.ServiceRemove(m.t.Context(), service.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// checkJob: a job runs once a rendering of it, and never because of something
// else.
func checkJob(t *rapid.T, before, next rendering, writes []string) {
	runs := 0
	for _, write := range writes {
		if strings.HasSuffix(write, "service kargo-web_migrate") {
			runs++
		}
	}
	most := 0
	if before.job != next.job || !before.good() {
		most = 1
		if !next.good() {
			most = 2 // and back
		}
	}
	if runs > most {
		t.Errorf("the job was sent %d times for a push from %+v to %+v", runs, before, next)
	}
}
