package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"kargo"
	"kargo/compile"
	"kargo/controller"
)

// A repository can be made to harm its reader. So each new revision is first read in
// a child process with limited memory, and then by the controller itself. A revision
// that ends the child does not end the controller. Both read the same files, with the
// same limits.

// readingTime is the time limit of a trial, in addition to that of the fetch.
const readingTime = 2 * time.Minute

// Memory to read a revision, in MiB. Go gets memory from the system in steps of 64
// MiB, and the smallest revision needs 90 MiB.
const (
	usualReadMemory = 1024
	leastReadMemory = 192
)

// memoryToRead returns --read-memory in MiB, or the default in this container.
func (s *serveFlags) memoryToRead() (int, error) {
	switch {
	case s.readMemory == 0:
		return usualMemoryToRead(ownCgroup), nil
	case s.readMemory < leastReadMemory:
		return 0, usagef("--read-memory %d is less than %d", s.readMemory, leastReadMemory)
	}
	return s.readMemory, nil
}

// usualMemoryToRead leaves half of a container's memory to the controller: if memory
// runs out, the system may end all processes of the container.
func usualMemoryToRead(cgroup fs.FS) int {
	if limit, limited := containerMemory(cgroup); limited {
		return int(min(max(limit>>20/2, leastReadMemory), usualReadMemory))
	}
	return usualReadMemory
}

// A trial has two steps. The controller writes a trialStart to the standard input of
// the child, and the child fetches the revision. Then it prints a line, fetched. The
// controller ends the input if it has read the same files before. Otherwise it writes a
// trialRest, and the child compiles what differs. Nothing that comes from a repository is
// ever an argument.
type trialStart struct {
	Revision kargo.RevisionID   `json:"revision"`
	Protect  []kargo.RevisionID `json:"protect"`
	// Listings are the directories that the controller has read, and the sizes of files;
	// see compile.Layers.
	Listings behind `json:"listings"`
}

const fetched = "fetched"

// trialRest says what was survived before: from what the controller rendered the stacks of
// the last revision, and the contents of files that are the same in both.
type trialRest struct {
	Known    []compile.Known `json:"known"`
	Contents behind          `json:"contents"`
}

// behind are bytes that stand behind a message as they are: it has their lengths. As JSON
// they would take many times as long.
type behind [][]byte

// MarshalJSON implements json.Marshaler.
func (b behind) MarshalJSON() ([]byte, error) {
	lengths := make([]int, len(b))
	for i, part := range b {
		lengths[i] = len(part)
	}
	return json.Marshal(lengths)
}

// UnmarshalJSON implements json.Unmarshaler. It makes room for the bytes.
func (b *behind) UnmarshalJSON(text []byte) error {
	var lengths []int
	if err := json.Unmarshal(text, &lengths); err != nil {
		return err
	}
	*b = make(behind, len(lengths))
	for i, length := range lengths {
		(*b)[i] = make([]byte, length)
	}
	return nil
}

// writeMessage writes a message as a line, and then the bytes that stand behind it.
func writeMessage(out io.Writer, message any, bytes behind) error {
	if err := json.NewEncoder(out).Encode(message); err != nil {
		return err
	}
	for _, part := range bytes {
		if _, err := out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// readMessage reads a message, whose bytes are those given. The error is io.EOF if the input
// ends before it.
func readMessage(in *bufio.Reader, message any, bytes *behind) error {
	line, err := in.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, message); err != nil {
		return err
	}
	for _, part := range *bytes {
		if _, err := io.ReadFull(in, part); err != nil {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// sameFlags returns the settings of one command as arguments for another. They
// contain no secrets.
func sameFlags(flags *pflag.FlagSet) []string {
	var args []string
	flags.Visit(func(flag *pflag.Flag) {
		values := []string{flag.Value.String()}
		if list, isList := flag.Value.(pflag.SliceValue); isList {
			values = list.GetSlice()
		}
		for _, value := range values {
			args = append(args, "--"+flag.Name+"="+value)
		}
	})
	return args
}

// tryRevision reads a revision in a child process. An error is Invalid and says how
// the child ended, or it is Unavailable: ctx has ended, or the child could not fetch
// the revision, which would take the controller as long again. A child that ends
// normally with another error did no harm: the controller will get the same error,
// and report it. What the source has read already is not read again there.
func (s *serveFlags) tryRevision(ctx context.Context, args []string, source compile.Layers, trial controller.Trial) error {
	return s.tryWithin(ctx, s.timeout+readingTime, args, source, trial)
}

// tryWithin is tryRevision with the time limit of the child.
func (s *serveFlags) tryWithin(ctx context.Context, limit time.Duration, args []string, source compile.Layers, trial controller.Trial) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	memory, err := s.memoryToRead()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	child := exec.CommandContext(limited, program, append([]string{tryName}, args...)...)
	child.Env = append(slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "GOMEMLIMIT=") || strings.HasPrefix(entry, collection)
	}), collection+firstCollection)
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaint bytes.Buffer
	child.Stderr = &complaint
	errFetched, err := converse(limited, child, source, trial)
	crashed := child.ProcessState != nil && !child.ProcessState.Exited() || bytes.Contains(complaint.Bytes(), []byte("\ngoroutine "))
	switch {
	case ctx.Err() != nil:
		return kargo.Errorf(kargo.Unavailable, "read revision: %w", ctx.Err())
	case limited.Err() != nil:
		return s.notRead(fmt.Sprintf("it took longer than %s", limit))
	case child.ProcessState != nil && child.ProcessState.ExitCode() == exitUnavailable:
		return kargo.Errorf(kargo.Unavailable, "%s", complaintOf(complaint.String()))
	case !crashed:
		return errFetched
	case bytes.Contains(complaint.Bytes(), []byte("out of memory")), bytes.Contains(complaint.Bytes(), []byte("cannot allocate memory")):
		return s.notRead(fmt.Sprintf("it took more than %d MiB of memory", memory))
	}
	return s.notRead(fmt.Sprintf("it ended the reader (%v)", err)) // the output of a crash may quote what was read
}

// converse talks with a child until it has ended. The first error is that of
// trial.Fetched, the second that of the child.
func converse(ctx context.Context, child *exec.Cmd, source compile.Layers, trial controller.Trial) (errFetched, err error) {
	input, err := child.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	ended := false
	defer func() {
		if !ended { // trial.Fetched panicked
			_, _ = child.Process.Kill(), child.Wait()
		}
	}()
	// A child that has ended reads nothing more. How it ended is the answer then.
	start := trialStart{trial.Revision, trial.Protect, source.Remembered(false)}
	if writeMessage(input, start, start.Listings) == nil {
		line, _ := bufio.NewReader(io.LimitReader(output, int64(len(fetched)+1))).ReadString('\n')
		if line == fetched+"\n" {
			var compileIt bool
			var known []compile.Known
			if compileIt, known, errFetched = trial.Fetched(ctx); compileIt {
				rest := trialRest{known, source.Remembered(true)}
				_ = writeMessage(input, rest, rest.Contents)
			}
		}
	}
	_ = input.Close()
	err, ended = child.Wait(), true
	return errFetched, err
}

// longestComplaint is how much of what a child says is passed on, in bytes.
const longestComplaint = 1000

// complaintOf returns the error in what a child printed; see printError.
func complaintOf(printed string) string {
	_, text, _ := strings.Cut("\n"+printed, "\nkargo: ")
	text, _, _ = strings.Cut(text, "\n")
	return strings.ToValidUTF8(text[:min(len(text), longestComplaint)], "")
}

func (s *serveFlags) notRead(why string) error {
	return &kargo.Error{Fault: kargo.Invalid, Err: errors.New("this revision cannot be read: " + why),
		Hint: "if it is sound, raise --read-memory; it is tried again when everything is verified"}
}

// tryName is the name of the command of the child process.
const tryName = "try"

// tryCommand returns the command of the child process.
func tryCommand(env map[string]string) *cobra.Command {
	s := &serveFlags{}
	cmd := &cobra.Command{
		Use: tryName, Short: "Read one revision and say nothing of it", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			return s.try(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

func (s *serveFlags) try(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := hideMemory(); err != nil {
		return err
	}
	var told trialStart
	messages := bufio.NewReader(in)
	if err := readMessage(messages, &told, &told.Listings); err != nil {
		return fmt.Errorf("read what to try: %w", err)
	}
	memory, err := s.memoryToRead()
	if err != nil {
		return err
	}
	if err := boundMemory(int64(memory) << 20); err != nil {
		return fmt.Errorf("bound the memory: %w", err)
	}
	afterCollection(collectBySize)
	source, _, err := s.repository()
	if err != nil {
		return err
	}
	compiler, err := s.compiler()
	if err != nil {
		return err
	}
	// Scripts run once, in the controller.
	compiler.Shell = nil
	compiler.Hooks = func(_ context.Context, ws kargo.Workspace, _ ...string) (kargo.Workspace, kargo.Problems, error) {
		return ws, nil, nil
	}
	if err := source.Remember(told.Listings, false); err != nil {
		return err
	}
	source.Protect(append(told.Protect, told.Revision)...)
	tree, err := source.Fetch(ctx, told.Revision)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, fetched); err != nil {
		return err
	}
	var rest trialRest
	err = readMessage(messages, &rest, &rest.Contents)
	if errors.Is(err, io.EOF) {
		return nil // the same files were read before
	}
	if err == nil {
		err = source.Remember(rest.Contents, true)
	}
	if err != nil {
		return fmt.Errorf("read what is known: %w", err)
	}
	compiler.Try(rest.Known)
	_, err = compiler.Compile(ctx, tree)
	return err
}

// hideMemory makes the memory and the environment of this process unreadable for other
// processes of its user, such as hooks. It also writes no core files, which would have
// secrets in them.
func hideMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the memory of this process: %w", err)
	}
	return nil
}

// boundMemory limits the memory of this process. The garbage collector works harder
// before the limit is reached.
func boundMemory(limit int64) error {
	debug.SetMemoryLimit(limit * 4 / 5)
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)})
}

// collection sets how seldom the garbage collector works. A child for a small workspace
// ends before its 16 MiB are used, and never collects; its start alone allocates 5 MiB,
// after which Go would collect for the first time.
const (
	collection      = "GOGC="
	firstCollection = "400"
)
