package growth_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// linear are benchmarks, by package. Each has sizes of 100 and of 1,000 stacks, or of as
// many services in one stack.
var linear = map[string][]string{
	"render": {"BenchmarkRenderOneStack"},
	"plan": {"BenchmarkMake/nothing_changed", "BenchmarkMake/nothing_changed_since_the_last_plan", "BenchmarkMake/beside_as_many_of_another_instance", "BenchmarkMake/one_service_changed", "BenchmarkMake/all_wait", "BenchmarkStackHealth", "BenchmarkJudge",
		"BenchmarkMakeOneStack/nothing_runs", "BenchmarkMakeOneStack/nothing_changed", "BenchmarkMakeOneStack/all_change"},
	"controller": {"BenchmarkStatus/all_wait", "BenchmarkStatus/nothing_to_do"},
	"server":     {"BenchmarkOverview", "BenchmarkStatus"},
	"dotkargo":   {"BenchmarkWrite/nothing_differs", "BenchmarkWrite/one_file_differs", "BenchmarkWrite/two_files_differ"},
	"gitsync":    {"BenchmarkFetch"},
}

// mostStatements is how many times as many statements may run for ten times the size.
const mostStatements = 11.0

// What the program does must grow with the number of stacks and no faster. Counts of
// allocations do not show comparisons, such as a search in a list for each of its entries.
// So this counts every statement that runs, as the coverage of tests does. The counts are
// nearly the same on every machine.
func TestStatementsGrowWithTheStacks(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages that count their statements")
	}
	for name, benchmarks := range linear {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), "counted")
			build := exec.Command("go", "test", "-c", "-covermode=atomic", "-coverpkg=kargo,kargo/plan,kargo/"+name+"/...", "-o", program, "kargo/"+name)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build the tests of %s: %v\n%s", name, err, out)
			}
			for _, benchmark := range benchmarks {
				few, many := statements(t, program, name, benchmark, 100), statements(t, program, name, benchmark, 1000)
				if few == 0 || many > mostStatements*few {
					t.Errorf("%s: a size of 100 takes %.0f statements, and 1,000 takes %.0f, which is %.1f times as many", benchmark, few, many, many/few)
				}
			}
		})
	}
}

// statements returns how many statements one run of a benchmark takes.
func statements(t *testing.T, program, dir, benchmark string, stacks int) (sum float64) {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "profile")
	pattern := fmt.Sprintf("^%s$/^%d_(stacks|services)$", strings.ReplaceAll(benchmark, "/", "$/^"), stacks)
	run := exec.Command(program, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime=1x", "-test.short", "-test.coverprofile="+profile)
	run.Dir = filepath.Join("..", "..", dir)
	out, err := run.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ns/op") {
		t.Fatalf("run %s: %v\n%s", pattern, err, out)
	}
	file, err := os.Open(profile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() { // "file:1.2,3.4 STATEMENTS COUNT"
		if fields := strings.Fields(lines.Text()); len(fields) == 3 {
			each, _ := strconv.ParseFloat(fields[1], 64)
			count, _ := strconv.ParseFloat(fields[2], 64)
			sum += each * count
		}
	}
	return sum
}
