package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"kargo"
	"kargo/compile"
	"kargo/controller"
)

// readerVariable makes this program a reader of revisions that behaves as its value says.
const readerVariable = "KARGO_TEST_READER"

// beReader is what the reader does, until its process ends.
func beReader(how string) {
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	switch how {
	case "hangs":
		time.Sleep(time.Hour) // until it is killed
	case "hangs later":
		fmt.Println(fetched)
		time.Sleep(time.Hour)
	case "crashes":
		panic("as a bug does")
	case "is killed":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	fmt.Println(fetched)
	os.Exit(0)
}

// A child that takes too long has harmed its reader like one that crashes: the revision
// is not read here. A controller that ends meanwhile says nothing of the revision.
func TestS44_AReaderThatHangsIsLikeOneThatCrashes(t *testing.T) {
	const short = 100 * time.Millisecond
	s := &serveFlags{}
	trial := controller.Trial{Revision: "c1", Fetched: func(context.Context) (bool, []compile.Known, error) { return false, nil, nil }}
	for _, test := range []struct {
		how, want    string
		limit, stops time.Duration // of the child, and of the controller
		fault        kargo.Fault
	}{
		{"hangs", "this revision cannot be read: it took longer than 100ms", short, time.Hour, kargo.Invalid},
		{"hangs later", "this revision cannot be read: it took longer than 100ms", short, time.Hour, kargo.Invalid},
		{"crashes", "this revision cannot be read: it ended the reader (exit status 2)", time.Hour, time.Hour, kargo.Invalid},
		{"is killed", "this revision cannot be read: it ended the reader (signal: killed)", time.Hour, time.Hour, kargo.Invalid},
		{"hangs", "read revision: context deadline exceeded", time.Hour, short, kargo.Unavailable},
	} {
		t.Setenv(readerVariable, test.how)
		ctx, stop := context.WithTimeout(t.Context(), test.stops)
		err := s.tryWithin(ctx, test.limit, nil, compile.Layers{}, trial)
		stop()
		if err == nil || err.Error() != test.want || kargo.FaultOf(err) != test.fault {
			t.Errorf("a reader that %s: %v", test.how, err)
		}
	}
	t.Setenv(readerVariable, "reads")
	if err := s.tryWithin(t.Context(), time.Hour, nil, compile.Layers{}, trial); err != nil {
		t.Errorf("a reader that reads: %v", err)
	}
}

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

// Bytes stand behind the messages as they are, and nothing is lost between two messages.
func TestWhatIsKnownArrivesWhole(t *testing.T) {
	start := trialStart{Revision: "c1", Listings: behind{{'\n'}, nil, bytes.Repeat([]byte{'"'}, 1<<17)}}
	rest := trialRest{Known: []compile.Known{{Stack: "dbs", Digest: []byte{0, '\n', 255}}}, Contents: behind{{'\n', '{', 0}, nil, bytes.Repeat([]byte("}"), 1<<20)}}
	var pipe bytes.Buffer
	if err := errors.Join(writeMessage(&pipe, start, start.Listings), writeMessage(&pipe, rest, rest.Contents)); err != nil {
		t.Fatal(err)
	}
	whole := bytes.Clone(pipe.Bytes())
	messages := bufio.NewReader(&pipe)
	var gotStart trialStart
	if err := readMessage(messages, &gotStart, &gotStart.Listings); err != nil || gotStart.Revision != "c1" || !slices.EqualFunc(gotStart.Listings, start.Listings, bytes.Equal) {
		t.Fatal(gotStart.Revision, err)
	}
	var got trialRest
	err := readMessage(messages, &got, &got.Contents)
	known, errKnown := json.Marshal(got.Known) // a list that is nil arrives as an empty one
	want, errWant := json.Marshal(rest.Known)
	if err = errors.Join(err, errKnown, errWant); err != nil || !bytes.Equal(known, want) || !slices.EqualFunc(got.Contents, rest.Contents, bytes.Equal) {
		t.Errorf("%d contents, %v", len(got.Contents), err)
	}
	if err := readMessage(messages, &got, &got.Contents); !errors.Is(err, io.EOF) {
		t.Errorf("after all: %v", err)
	}
	for _, length := range []int{5, 1 << 16} {
		cut := bufio.NewReader(bytes.NewReader(whole[:length]))
		if err := readMessage(cut, &gotStart, &gotStart.Listings); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a message that is cut off after %d bytes: %v", length, err)
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
