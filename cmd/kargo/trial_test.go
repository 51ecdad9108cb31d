package main

import (
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

func TestUsualMemoryToRead(t *testing.T) {
	const v2, v1 = "memory.max", "memory/memory.limit_in_bytes"
	for _, c := range []struct {
		file, text string
		want       int
	}{
		{"cgroup.procs", "1\n", 1024},
		{v2, "max\n", 1024},
		{v2, "8589934592\n", 1024},
		{v2, "536870912\n", 256},
		{v2, "67108864\n", 192},
		{v1, "536870912\n", 256},
		{v1, "9223372036854771712\n", 1024}, // no limit
	} {
		cgroup := fstest.MapFS{c.file: {Data: []byte(c.text)}}
		if got := usualMemoryToRead(cgroup); got != c.want {
			t.Errorf("%s %q: %d MiB", c.file, c.text, got)
		}
	}
}

// No other process of the user reads the memory or the environment of a controller.
func TestS44_TheMemoryIsHidden(t *testing.T) {
	t.Cleanup(func() {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
			t.Error(err)
		}
	})
	if err := hideMemory(); err != nil {
		t.Fatal(err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable %d, %v", dumpable, err)
	}
}
