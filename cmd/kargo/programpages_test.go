package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestUnchangedPartsOfTheProgram(t *testing.T) {
	const smaps = `00400000-01a5d000 r-xp 00000000 fe:00 1 /usr/bin/kargo
Rss:               17236 kB
Anonymous:             0 kB
01a5d000-03000000 r--p 0165d000 fe:00 1 /usr/bin/kargo
Anonymous:            12 kB
03000000-03100000 r--p 02c5d000 fe:00 1 /usr/bin/kargo
Anonymous:             0 kB
03100000-03200000 rw-p 02d5d000 fe:00 1 /usr/bin/kargo
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Anonymous:          4096 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 2 /usr/lib/other/usr/bin/kargo
Anonymous:             0 kB
`
	var got []string
	for _, part := range unchangedParts(strings.NewReader(smaps), "/usr/bin/kargo") {
		got = append(got, fmt.Sprintf("%x-%x", part.start, part.end))
	}
	if want := "400000-1a5d000 3000000-3100000"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestReleaseProgram(t *testing.T) {
	before := residentOfFiles(t)
	releaseProgram()
	if after := residentOfFiles(t); after > before/2 {
		t.Errorf("pages of files in memory: %d kB before, %d kB after", before, after)
	}
}

// residentOfFiles returns how many kB of files are in this process's memory.
func residentOfFiles(t *testing.T) (kilobytes int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "RssFile: %d kB", &kilobytes); n == 1 {
			return kilobytes
		}
	}
	t.Fatal("the system does not say how much memory is of files")
	return 0
}
