package e2e_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// row is one line of the table of docs/performance.md: what a step costs the built
// binary, on a Swarm in memory that answers at once.
type row struct {
	Step   string `json:"step"`
	Stacks int    `json:"stacks"`
	// Calls to Docker, and of these the changes.
	Calls  int `json:"calls"`
	Writes int `json:"writes"`
	// CPU of the controller and of its children, in milliseconds, as the system counts it.
	CPU float64 `json:"cpuMilliseconds"`
	// Children is how much of CPU the children took that tried a revision.
	Children int `json:"childrenMilliseconds"`
	// Memory of the controller after the step, a minute later for the idle round, and
	// the most of it and of its children together during the step, in MiB.
	Memory int `json:"memoryMiB"`
	Peak   int `json:"peakMiB"`
}

// table is what `make bench` writes as JSON.
type table struct {
	Commit string    `json:"commit"`
	Time   time.Time `json:"time"`
	CPUs   int       `json:"cpus"`
	// Load is the average number of processes that ran or wanted to, over the last
	// minute, before and after the measurement.
	Load    [2]string `json:"load"`
	Rows    []row     `json:"rows"`
	Figures []figure  `json:"figures"`
}

// The steps of the table.
const (
	firstDeployment = "first deployment"
	idleRound       = "idle round"
	commitOfReadme  = "commit of a README"
	oneVariable     = "one variable"
	oneConfigFile   = "config file"
	fullLook        = "plan: a full look"
	restart         = "restart, nothing changed"
)

// goalsOfCalls are how many calls to Docker a step may make with 100 stacks.
var goalsOfCalls = map[string]int{idleRound: 0, commitOfReadme: 0, oneVariable: 8, fullLook: 4, restart: 7}

// goals are what a step may take, by the number of stacks: milliseconds of CPU.
var goals = map[int]map[string]int{
	100:  {idleRound: 2, commitOfReadme: 15, oneVariable: 100, oneConfigFile: 100, fullLook: 25, restart: 150},
	1000: {firstDeployment: 6000, idleRound: 4, oneVariable: 500, fullLook: 250},
}

// BenchmarkEndToEnd measures each step once, and prints a table. KARGO_BENCH_JSON names
// a file for the same as JSON, KARGO_BENCH_PAGE a page that has the table between two
// comments, KARGO_BENCH_STACKS the sizes ("100 1000"). KARGO_BENCH_PACKAGES names the
// output of the benchmarks of the packages, which become a table of the same page.
func BenchmarkEndToEnd(b *testing.B) {
	sizes := strings.Fields(os.Getenv("KARGO_BENCH_STACKS"))
	if len(sizes) == 0 {
		sizes = []string{"100", "1000"}
	}
	commit, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		b.Fatal("find the commit: ", err)
	}
	measured := table{Commit: strings.TrimSpace(string(commit)), Time: time.Now().UTC(), CPUs: runtime.NumCPU()}
	measured.Load[0] = load(b)
	for _, size := range sizes {
		stacks, err := strconv.Atoi(size)
		if err != nil {
			b.Fatal("KARGO_BENCH_STACKS: ", err)
		}
		b.Run(size+" stacks", func(b *testing.B) {
			rows := measureSteps(b, stacks)
			measured.Rows = append(measured.Rows, rows...)
			measured.Figures = append(measured.Figures, figures(rows)...)
			if stacks <= 100 {
				measured.Figures = append(measured.Figures, measureTimes(b, stacks)...)
			}
			b.ReportMetric(0, "ns/op") // the time of the whole means nothing
		})
	}
	measured.Load[1] = load(b)
	fmt.Printf("\n%s\n", measured.page())
	if file := os.Getenv("KARGO_BENCH_JSON"); file != "" {
		data, err := json.MarshalIndent(measured, "", "  ")
		if err == nil {
			err = os.WriteFile(file, append(data, '\n'), 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if file := os.Getenv("KARGO_BENCH_PAGE"); file != "" {
		if err := replaceIn(file, "end to end", measured.page()); err != nil {
			b.Fatal("write the table: ", err)
		}
	}
	if file := os.Getenv("KARGO_BENCH_PACKAGES"); file != "" {
		output, err := os.ReadFile(file)
		if err == nil {
			err = replaceIn(os.Getenv("KARGO_BENCH_PAGE"), "packages", packagesPage(string(output)))
		}
		if err != nil {
			b.Fatal("write the table of the packages: ", err)
		}
	}
}

// ofStacks is a line of a benchmark of 100 or 1,000 stacks.
var ofStacks = regexp.MustCompile(`(?m)^Benchmark(\S*?)_?/?(?:of_)?(100|1000)_stacks\S*\s+\d+\s+([\d.]+) ns/op(?:.*?\s(\d+) allocs/op)?`)

// packageGoals are what a benchmark of 1,000 stacks may take, in milliseconds.
var packageGoals = map[string]string{
	"Compile/all": "600 ms", "Compile/one_variable": "15 ms", "Make/nothing_changed": "100 ms",
}

// packagesPage returns a table of benchmarks that were run with 100 and with 1,000 stacks.
func packagesPage(output string) string {
	type cost struct{ nanoseconds, allocations float64 }
	var names []string
	few, many := map[string]cost{}, map[string]cost{}
	for _, match := range ofStacks.FindAllStringSubmatch(output, -1) {
		var c cost
		c.nanoseconds, _ = strconv.ParseFloat(match[3], 64)
		c.allocations, _ = strconv.ParseFloat(match[4], 64)
		if match[2] == "100" {
			few[match[1]] = c
		} else if many[match[1]] = c; few[match[1]].nanoseconds > 0 {
			names = append(names, match[1])
		}
	}
	slices.Sort(names)
	text := "| benchmark | 100 stacks | 1,000 stacks | goal | times as many allocations |\n|---|---|---|---|---|\n"
	for _, name := range names {
		goal := packageGoals[name]
		if goal == "" {
			goal = "–"
		}
		allocations := "–"
		if few[name].allocations > 0 {
			allocations = fmt.Sprintf("%.1f", many[name].allocations/few[name].allocations)
		}
		text += fmt.Sprintf("| %s | %s | %s | %s | %s |\n", strings.ReplaceAll(name, "_", " "),
			milliseconds(few[name].nanoseconds), milliseconds(many[name].nanoseconds), goal, allocations)
	}
	return text
}

// milliseconds returns a time with two digits, or as a whole number.
func milliseconds(nanoseconds float64) string {
	if ms := nanoseconds / 1e6; ms < 100 {
		return fmt.Sprintf("%.2g ms", ms)
	}
	return fmt.Sprintf("%.0f ms", nanoseconds/1e6)
}

// load returns the system's load average of the last minute.
func load(t testing.TB) string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(data))[0]
}

// replaceIn replaces what a page has between two comments that name a table.
func replaceIn(file, table, text string) error {
	begin, end := "<!-- begin "+table+" (written by make bench) -->\n", "<!-- end "+table+" -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(data), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		return fmt.Errorf("%s has no lines %q and %q", file, begin, end)
	}
	return os.WriteFile(file, []byte(before+begin+text+end+after), 0o600)
}

// page returns the table as Markdown.
func (t table) page() string {
	var text strings.Builder
	fmt.Fprintf(&text, "Measured at commit %s on %s, with %d processors. The load of the machine was %s before, and %s\nafter (%d is a busy machine). Goals are for CPU.\n",
		t.Commit, t.Time.Format(time.DateOnly), t.CPUs, t.Load[0], t.Load[1], t.CPUs)
	stacks := 0
	for _, r := range t.Rows {
		if r.Stacks != stacks {
			stacks = r.Stacks
			fmt.Fprintf(&text, "\n| %d stacks of %d services | calls | changes | CPU | goal | of which children | memory | at most |\n|---|---|---|---|---|---|---|---|\n", stacks, servicesOf(stacks))
		}
		goal := "–"
		if at, has := goals[r.Stacks][r.Step]; has {
			goal = fmt.Sprintf("%d ms", at)
		}
		calls := strconv.Itoa(r.Calls)
		if most, has := goalsOfCalls[r.Step]; has && r.Stacks == 100 && r.Calls > most {
			calls += fmt.Sprintf(" (goal %d)", most)
		}
		fmt.Fprintf(&text, "| %s | %s | %d | %s ms | %s | %d ms | %d MiB | %d MiB |\n", r.Step, calls, r.Writes, twoDigits(r.CPU), goal, r.Children, r.Memory, r.Peak)
	}
	text.WriteString("\n| what | stacks | measured | goal |\n|---|---|---|---|\n")
	for _, f := range t.Figures {
		fmt.Fprintf(&text, "| %s | %d | %s | %s |\n", f.What, f.Stacks, f.Value, cmp.Or(f.Goal, "–"))
	}
	text.WriteString(t.growth())
	return text.String()
}

// twoDigits returns a number of milliseconds with the digits that mean something.
func twoDigits(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

// growth returns how many times as much CPU each step takes with 1,000 stacks as with 100,
// or nothing if these were not both measured.
func (t table) growth() string {
	few, text := map[string]float64{}, ""
	for _, r := range t.Rows {
		switch {
		case r.Stacks == 100:
			few[r.Step] = r.CPU
		case r.Stacks == 1000 && few[r.Step] > 0:
			text += fmt.Sprintf("| %s | %.1f |\n", r.Step, r.CPU/few[r.Step])
		}
	}
	if text == "" {
		return ""
	}
	services := float64(1000*servicesOf(1000)) / float64(100*servicesOf(100))
	return fmt.Sprintf("\nTen times as many stacks have %.0f times as many services here. The goal is 11 times as much for ten times\nas many, which is %.1f for these.\n\n| step | times as much CPU |\n|---|---|\n%s", services, 11*services/10, text)
}

// servicesOf is how many services a stack has: two, and three of a thousand stacks.
func servicesOf(stacks int) int {
	if stacks >= 1000 {
		return 3
	}
	return 2
}

// benchWorkspace has so many stacks. Each has a variable of its own, and each service
// a config file.
func benchWorkspace(s *scene, stacks int) *workspace {
	w := s.workspace()
	for i := range stacks {
		stack := fmt.Sprintf("s%04d", i)
		var services []string
		for part := range servicesOf(stacks) {
			name := fmt.Sprintf("%s-%d", stack, part)
			services = append(services, name)
			w.file("configs/"+name, "content of "+name+"\n")
			w.service(name, config("/etc/app.conf", "configs/"+name), image("kargo/testserver:${"+strings.ToUpper(stack)+"_TAG}"))
		}
		w.stack(stack, services...).set(strings.ToUpper(stack)+"_TAG", "1")
	}
	return w
}

func measureSteps(b *testing.B, stacks int) (rows []row) {
	s := inMemory(b, "--interval", "1s", "--pprof") // nobody asks for a round: that would be a full look
	w := benchWorkspace(s, stacks)
	measure := func(step string, do func()) {
		before, beforeChildren := cpuOf(b, s)
		calls := s.docker.mark()
		stop, profiled := watchMemory(s), profile(b, s, step)
		do()
		settled(s)
		profiled()
		peak, memory := stop()
		after, afterChildren := cpuOf(b, s)
		made := s.docker.callsSince(calls)
		writes := slices.DeleteFunc(slices.Clone(made), func(call string) bool { return !isWrite(call) })
		rows = append(rows, row{Step: step, Stacks: stacks, Calls: len(made), Writes: len(writes), CPU: after - before, Children: int(afterChildren - beforeChildren), Memory: memory, Peak: peak})
	}
	// deploy asks nothing of the controller until it rests: an answer costs it time.
	deploy := func(step string) {
		var commit string
		measure(step, func() {
			commit = s.repo.commit(w)
			within(b, 10*time.Minute, "the commit is read", func() bool { return strings.Contains(s.log(), "main@"+commit[:12]) })
		})
		if applied := s.status().Applied.Commit; applied != commit {
			b.Fatalf("%s: %s is in force, and not %s", step, applied, commit)
		}
	}

	s.repo.commit(w.file("README.md", "one\n"))
	s.launch()
	measure(firstDeployment, func() {
		within(b, 20*time.Minute, "everything is deployed", func() bool {
			time.Sleep(time.Second) // to read the log takes this process time
			return strings.Contains(s.log(), `"deployment succeeded"`)
		})
	})
	before := s.status().Rounds
	measure(idleRound, func() { time.Sleep(20 * time.Second) })
	last := &rows[len(rows)-1]
	last.CPU /= float64(max(s.status().Rounds-before, 1))
	time.Sleep(time.Minute) // what is free is given back once a minute
	controller, _ := s.process()
	last.Memory = residentOf(controller.Process.Pid)
	w.file("README.md", "two\n")
	deploy(commitOfReadme)
	w.set("S0001_TAG", "2")
	deploy(oneVariable)
	w.file("configs/s0002-0", "other content\n")
	deploy(oneConfigFile)
	measure(fullLook, func() {
		if _, err := s.get("/api/v1/plan"); err != nil {
			b.Fatal(err)
		}
	})
	s.stop()
	mark := s.docker.mark()
	s.launch()
	measure(restart, func() {
		within(b, 10*time.Minute, "the controller has looked", func() bool {
			return slices.Contains(s.docker.callsSince(mark), "GET /services")
		})
	})
	return rows
}

// profile makes a profile of the controller's processor time in a step, and one of its
// memory after it, where KARGO_BENCH_PROFILES names a directory for them. The function that it returns waits until
// the profile is written. A step is then longer, and has more idle rounds in it.
func profile(b *testing.B, s *scene, step string) (written func()) {
	dir := os.Getenv("KARGO_BENCH_PROFILES")
	if dir == "" {
		return func() {}
	}
	until(b, "the controller responds", func() bool { _, err := s.get("/debug/pprof/"); return err == nil })
	failed, seconds := make(chan error, 1), 15
	if step == firstDeployment {
		seconds = 60 // at most
	}
	go func() {
		data, err := s.get(fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(step, " ", "-")+".pprof"), data, 0o600)
		}
		failed <- err
	}()
	return func() {
		err := <-failed
		data, failed := s.get("/debug/pprof/heap")
		if err = errors.Join(err, failed); err == nil {
			err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(step, " ", "-")+".heap"), data, 0o600)
		}
		if err != nil {
			b.Fatal("profile a step: ", err)
		}
	}
}

// settled waits until the controller does nothing more.
func settled(s *scene) {
	s.t.Helper()
	last, _ := cpuOf(s.t, s)
	since := time.Now()
	within(s.t, 10*time.Minute, "the controller rests", func() bool {
		time.Sleep(100 * time.Millisecond)
		if now, _ := cpuOf(s.t, s); now > last+150 { // idle rounds take a little each second
			last, since = now, time.Now()
		}
		return time.Since(since) > 3*time.Second
	})
}

// cpuOf returns the milliseconds of processor time of the controller's process and of
// its children that have ended, and those of the children alone, which the system counts
// in steps of ten.
func cpuOf(t testing.TB, s *scene) (all, children float64) {
	t.Helper()
	cmd, _ := s.process()
	var own unix.Timespec
	clock := int32(^cmd.Process.Pid<<3 | 2) // clock_getcpuclockid(3)
	if err := unix.ClockGettime(clock, &own); err != nil {
		t.Fatal("read the clock of the controller: ", err)
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")       // the name before it may hold blanks
	for _, field := range strings.Fields(rest)[13:15] { // cutime, cstime
		ticks, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		children += float64(ticks) * 10
	}
	return float64(own.Nano())/1e6 + children, children
}

// watchMemory samples the memory of the controller and of its children. The function
// that it returns ends that, and returns the most of it and the controller's own at
// the end, in MiB.
func watchMemory(s *scene) (stop func() (peak, memory int)) {
	cmd, _ := s.process()
	pid, done, ended := cmd.Process.Pid, make(chan struct{}), make(chan int)
	go func() {
		most := 0
		for {
			total := residentOf(pid)
			children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
			for _, child := range strings.Fields(string(children)) {
				if id, err := strconv.Atoi(child); err == nil {
					total += residentOf(id)
				}
			}
			most = max(most, total)
			select {
			case <-done:
				ended <- most
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() (int, int) {
		close(done)
		return <-ended, residentOf(pid)
	}
}

// residentOf returns the memory of a process in MiB, 0 if it has ended.
func residentOf(pid int) int {
	data, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize() >> 20
}
