package e2e_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// soak is a controller that lives long, with random commits and faults. SEED chooses
// them: the same seed has the same order of events.
type soak struct {
	*scene
	random  *rand.Rand
	w       *workspace
	sound   string // the last commit that is valid
	turns   int
	samples []sample
}

// sample is what the controller uses after a turn.
type sample struct{ memory, goroutines, descriptors, disk int } // memory in KiB, disk in bytes

// soakEvents are what may happen in a turn, as often as they stand here.
var soakEvents = []struct {
	name string
	do   func(*soak)
}{
	{"a value changes", (*soak).changeValue},
	{"a value changes", (*soak).changeValue},
	{"a file changes", func(s *soak) { s.w.file("configs/page.txt", fmt.Sprintln("page", s.turns)); s.commit() }},
	{"a stack comes or goes", func(s *soak) {
		name := fmt.Sprint("extra", s.random.IntN(4))
		if slices.Contains(s.w.stacks, name) {
			s.w.drop(name)
		} else {
			s.w.stack(name, name).service(name, environment("LEVEL=${LEVEL}"))
		}
		s.commit()
	}},
	{"nothing that matters changes", func(s *soak) { s.w.file("README.md", fmt.Sprintln(s.turns)); s.commit() }},
	{"an invalid commit, and its correction", func(s *soak) {
		s.repo.commit(s.w.clone().file("deploy/site.yml", "services: ["))
		s.awaitStatus("it is refused", func(k kargo.Status) bool { return k.Fault == "invalid" })
		s.commit()
	}},
	{"several commits at once", func(s *soak) {
		for range 5 {
			s.changeValue()
		}
	}},
	{"a service is changed by hand", func(s *soak) {
		s.change(s.service("web", "site"), func(spec *dockerswarm.ServiceSpec) { spec.TaskTemplate.ContainerSpec.Env = []string{"BY=hand"} })
	}},
	{"Docker is away for a second", func(s *soak) {
		s.docker.down()
		s.changeValue()
		time.Sleep(time.Second)
		s.docker.up()
	}},
	{"Docker fails for a second", func(s *soak) {
		s.docker.meddle(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, `{"message":"something odd"}`, http.StatusInternalServerError)
		})
		s.changeValue()
		time.Sleep(time.Second)
		s.docker.meddle(nil)
	}},
	{"connections to Docker are cut for a second", func(s *soak) {
		s.docker.meddle(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		s.changeValue()
		time.Sleep(time.Second)
		s.docker.meddle(nil)
	}},
	{"many ask for a round", func(s *soak) {
		for range 20 {
			s.signal(syscall.SIGHUP)
		}
	}},
	{"people read", func(s *soak) {
		for range 10 {
			for _, path := range []string{"/", "/api/v1/status", "/api/v1/deployments", "/metrics", "/deployments"} {
				if _, err := s.get(path); err != nil {
					s.t.Error(err)
				}
			}
		}
	}},
}

func (s *soak) changeValue() {
	s.w.set("LEVEL", fmt.Sprint(s.random.IntN(1_000_000)))
	s.commit()
}

func (s *soak) commit() { s.sound = s.repo.commit(s.w) }

// well waits until the last valid commit runs, and nothing is wrong.
func (s *soak) well(event string) {
	s.t.Helper()
	s.awaitStatus(fmt.Sprintf("all is well after turn %d: %s", s.turns, event), func(k kargo.Status) bool {
		return k.Applied.Commit == s.sound && k.Fault == "" && k.HistoryTrouble == "" && len(k.Stacks) == len(s.w.stacks) &&
			!slices.ContainsFunc(k.Stacks, func(stack kargo.StackStatus) bool { return !stack.InSync || stack.Health != kargo.HealthHealthy })
	})
}

var goroutineCount = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// measure takes a sample of the controller.
func (s *soak) measure() sample {
	s.t.Helper()
	cmd, _ := s.process()
	proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
	statm, err := os.ReadFile(proc + "statm")
	must(s.t, err)
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	must(s.t, err)
	descriptors, err := os.ReadDir(proc + "fd")
	must(s.t, err)
	metrics, err := s.get("/metrics")
	must(s.t, err)
	found := goroutineCount.FindSubmatch(metrics)
	if found == nil {
		s.t.Fatal("the metrics do not count goroutines")
	}
	running, err := strconv.Atoi(string(found[1]))
	must(s.t, err)
	taken := sample{memory: pages * os.Getpagesize() / 1024, goroutines: running, descriptors: len(descriptors)}
	_ = filepath.WalkDir(s.data, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil { // it may be gone already
			if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
				taken.disk += int(info.Size())
			}
		}
		return nil
	})
	return taken
}

// medianOf is the median of a figure in a part of the samples.
func medianOf(samples []sample, figure func(sample) int) int {
	var figures []int
	for _, taken := range samples {
		figures = append(figures, figure(taken))
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

// TestSoak runs for KARGO_TEST_SOAK, a duration: `make soak`.
func TestSoak(t *testing.T) {
	lasts := os.Getenv("KARGO_TEST_SOAK")
	if lasts == "" {
		t.Skip("takes long: make soak runs it")
	}
	duration, err := time.ParseDuration(lasts)
	must(t, err)
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("SEED"); given != "" {
		seed, err = strconv.ParseUint(given, 10, 64)
		must(t, err)
	}
	s := &soak{scene: inMemory(t, "--interval", "1s", "--verify", "5s", "--history-keep", "20", "--history-size", "1", "--log-level", "error"),
		random: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // no secret
	defer func() {
		if t.Failed() {
			t.Logf("again: make soak SEED=%d", seed)
		}
	}()
	s.w = s.workspace().file("configs/page.txt", "page\n").
		stack("web", "site", "api").service("site", environment("LEVEL=${LEVEL}"), config("/page.txt", "configs/page.txt")).service("api").
		stack("base", "db").service("db", environment("LEVEL=${LEVEL}"))
	s.w.set("LEVEL", "0")
	s.commit()
	s.start()
	s.well("the start")
	for end := time.Now().Add(duration); time.Now().Before(end); {
		s.turns++
		event := soakEvents[s.random.IntN(len(soakEvents))]
		event.do(s)
		s.well(event.name)
		s.samples = append(s.samples, s.measure())
	}
	s.flat(duration)
}

// flat compares the last quarter of the samples with the second one.
func (s *soak) flat(duration time.Duration) {
	quarter := len(s.samples) / 4
	if quarter == 0 {
		s.t.Fatal("too few turns to tell")
	}
	early, late := s.samples[quarter:2*quarter], s.samples[3*quarter:]
	s.t.Logf("%d turns in %s", s.turns, duration)
	for _, figure := range []struct {
		name  string
		of    func(sample) int
		slack int // what it may grow by
	}{
		{"memory in KiB", func(t sample) int { return t.memory }, 16 << 10},
		{"goroutines", func(t sample) int { return t.goroutines }, 5},
		{"descriptors", func(t sample) int { return t.descriptors }, 5},
		{"data directory in bytes", func(t sample) int { return t.disk }, 2 << 20},
	} {
		before, after := medianOf(early, figure.of), medianOf(late, figure.of)
		s.t.Logf("%s: %d in the second quarter, %d in the last", figure.name, before, after)
		if after > before+figure.slack {
			s.t.Errorf("%s grows", figure.name)
		}
	}
}
