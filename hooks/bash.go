package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kargo"
)

const (
	// maxOutput is how much of the end of an output is kept, in bytes.
	maxOutput = 16 << 10
	// maxReport is the size in bytes of the largest report of a child.
	maxReport = 16 << 20
	// afterwards is how long to wait for the rest of a child's output after its
	// end: a process that it left in the background may keep the output open.
	afterwards = time.Second
)

// standardPath is PATH if the workspace does not set it.
const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// reporting comes before a program for bash. kargo_report writes the list of compose
// files, if there is one, and the exported variables to file descriptor 3, separated
// by zero bytes, with builtins of bash only.
const reporting = `
kargo_report() {
	local IFS=$' \t\n' kargo_name
	[ -z "${` + listVariable + `+set}" ] || printf 'list\t%s\0' "$` + listVariable + `" >&3
	for kargo_name in $(compgen -e); do printf '%s=%s\0' "$kargo_name" "${!kargo_name}" >&3; done
	printf 'end\0' >&3
}
`

// child is one run of bash.
type child struct {
	dir     string
	program string   // for bash -c
	args    []string // $0, $1, …
	env     kargo.Environment
	timeout time.Duration
	files   [][]byte // readable as /proc/self/fd/N, from firstFile on
	user    *User    // that it runs as; nil for the user of this process
}

// firstFile is the first file descriptor of a child's files. Its report is 3.
const firstFile = 4

// outcome is the result of a child.
type outcome struct {
	output string // the end of its output
	// variables are those exported at its end; nil if it did not report them.
	variables kargo.Environment
	// list is SERVICES_TO_DEPLOY at its end, exported or not.
	list     string
	failures []failure
	code     int
	took     time.Duration
	// ended says why Kargo stopped it; empty if it ended by itself.
	ended string
}

// failure is a failed command, as an ERR trap reports it.
type failure struct {
	file string
	line string
	code string
}

// run runs the child to its end, and kills every process that it started. An error
// is the machine's: bash is missing or cannot be run.
func (c child) run(caller context.Context) (outcome, error) {
	ctx, cancel := context.WithTimeout(caller, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", append([]string{"--noprofile", "--norc", "-c", reporting + c.program}, c.args...)...)
	cmd.Dir, cmd.Env = c.dir, environ(c.env)
	output := &tail{limit: maxOutput}
	cmd.Stdout, cmd.Stderr = output, output
	report, err := attachReport(cmd)
	if err != nil {
		return outcome{}, err
	}
	for _, data := range c.files {
		file, err := memoryFile(data)
		if err != nil {
			return outcome{}, err
		}
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	inGroup(cmd)
	if c.user != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.user.UID, Gid: c.user.GID}
	}
	begun := time.Now()
	err = cmd.Start()
	if err == nil {
		report.begin()
		err = cmd.Wait()
		// Kill what it left in the background.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	said := report.end()
	result := outcome{output: output.String(), took: time.Since(begun), ended: c.whyEnded(caller, ctx)}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		result.code = exit.ExitCode()
	case errors.Is(err, fs.ErrPermission) && c.user != nil:
		return result, &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("run bash as user %d: %w", c.user.UID, err),
			Hint: "Kargo must be allowed to change its user (CAP_SETUID, CAP_SETGID), and that user to enter the directory for temporary files (TMPDIR); or set --hook-user=same"}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay) && result.ended == "":
		return result, &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("run bash: %w", err), Hint: "scripts of a workspace need bash where Kargo runs"}
	}
	result.read(said)
	return result, nil
}

// whyEnded says why a child was stopped, in words for a message.
func (c child) whyEnded(caller, limited context.Context) string {
	switch {
	case caller.Err() != nil:
		return "was stopped because Kargo stopped"
	case limited.Err() != nil:
		return fmt.Sprintf("did not end within %s", c.timeout)
	}
	return ""
}

// hintLonger is the hint for a script that needs more time.
const hintLonger = "it may take longer with --hook-timeout"

// memoryFile returns a file that exists in memory only: its content may have been
// encrypted.
func memoryFile(data []byte) (*os.File, error) {
	descriptor, err := unix.MemfdCreate("environment", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(descriptor), "environment")
	if _, err := file.Write(data); err != nil {
		return nil, errors.Join(fmt.Errorf("write a file in memory: %w", err), file.Close())
	}
	return file, nil
}

// inGroup runs a child in a process group of its own, so that all of it can be
// killed.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = afterwards
}

// environ returns an environment in the form of os/exec, sorted.
func environ(env kargo.Environment) []string {
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// report is the pipe on which a child reports its variables, its file descriptor 3.
type report struct {
	read, write *os.File
	mu          sync.Mutex
	said        []byte
	done        chan struct{}
}

func attachReport(cmd *exec.Cmd) (*report, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{write}
	return &report{read: read, write: write, done: make(chan struct{})}, nil
}

func (r *report) begin() {
	go func() {
		defer close(r.done)
		said, _ := io.ReadAll(io.LimitReader(r.read, maxReport)) // a report that was cut off has no end and is not used
		r.mu.Lock()
		defer r.mu.Unlock()
		r.said = said
	}()
}

// end returns the report. The child must have ended, or not have started.
func (r *report) end() []byte {
	_ = r.write.Close()
	select {
	case <-r.done:
	case <-time.After(afterwards):
	}
	_ = r.read.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said
}

// read parses a report. The variables stay nil if it is incomplete.
func (o *outcome) read(said []byte) {
	variables := kargo.Environment{}
	for entry := range bytes.SplitSeq(bytes.TrimSuffix(said, []byte{0}), []byte{0}) {
		text := string(entry)
		if where, ok := strings.CutPrefix(text, "failed\t"); ok {
			if parts := strings.SplitN(where, "\t", 3); len(parts) == 3 {
				o.failures = append(o.failures, failure{parts[0], parts[1], parts[2]})
			}
		} else if list, ok := strings.CutPrefix(text, "list\t"); ok {
			o.list = list
		} else if text == "end" {
			o.variables = variables
		} else if name, value, ok := strings.Cut(text, "="); ok {
			variables[name] = value
		}
	}
}

// tail keeps the end of what is written.
type tail struct {
	mu    sync.Mutex
	limit int
	kept  []byte
	cut   bool
}

func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, data...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept, t.cut = slices.Delete(t.kept, 0, over), true
	}
	return len(data), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.ToValidUTF8(string(t.kept), "?")
	if t.cut {
		text = "…" + text
	}
	return text
}
