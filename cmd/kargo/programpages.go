package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram takes the pages of the program's own file out of this process. Most of
// them are used by the start and by rounds that change something, and count as memory
// of the process as long as it runs. What is needed next comes back from the system's
// cache of files, in less than a millisecond. It does nothing where the system does not
// tell which pages these are.
func releaseProgram() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	for _, part := range unchangedParts(maps, program) {
		// An error leaves the pages where they are.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, part.start, part.end-part.start, unix.MADV_DONTNEED)
	}
}

// memoryRange is a part of this process's addresses.
type memoryRange struct{ start, end uintptr }

// unchangedParts returns the parts of a file that the process has mapped and that are
// as they are in the file: nothing may write to them, and nothing did. The text is that
// of /proc/PID/smaps, where each part has a line of its own and lines of its sizes.
func unchangedParts(smaps io.Reader, file string) (parts []memoryRange) {
	var part memoryRange
	ofFile := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		var start, end uintptr
		var may string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &start, &end, &may); n == 3 {
			part, ofFile = memoryRange{start, end}, strings.HasSuffix(line, " "+file) && !strings.Contains(may, "w")
		} else if own, found := strings.CutPrefix(line, "Anonymous:"); found && ofFile && strings.TrimSpace(own) == "0 kB" {
			parts = append(parts, part)
		}
	}
	return parts
}
