package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestGettingStarted runs docs/getting-started.md as a newcomer types it, on a
// Swarm of one node that has the images of real programs.
//
// A block "sh" has to succeed; "sh once" may fail, for the Swarm is there;
// "sh background" runs until a block "sh stopped", or the end. A block "text" is what the block before
// it prints, at the latest after a while: each line, where "…" stands for
// anything, and other lines may stand between.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	socket := testBed(t, "KARGO_TEST_DOCKER")
	if out, err := exec.Command("../bed/programs", strings.TrimPrefix(socket, "unix://")).CombinedOutput(); err != nil {
		t.Fatalf("make the images: %v\n%s", err, out)
	}
	reader := newReader(t, socket)
	t.Cleanup(func() {
		reader.stop()
		// Where the page was not followed to its end, the stacks are still there.
		_, _ = reader.bash("set +e; docker stack rm kargo-data kargo-site; docker volume rm kargo-data_redis_data; docker network rm kargo-back kargo-front kargo-docker-socket")
	})
	page, err := os.ReadFile("../../docs/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fencedBlocks(string(page))
	for i, block := range blocks {
		expected := ""
		if i+1 < len(blocks) && blocks[i+1].kind == "text" {
			expected = blocks[i+1].text
		}
		reader.follow(block, expected)
	}
}

// fencedBlock is a block of code in Markdown.
type fencedBlock struct{ kind, text string }

func fencedBlocks(page string) []fencedBlock {
	var blocks []fencedBlock
	for _, match := range regexp.MustCompile("(?ms)^```([^\n]+)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, fencedBlock{match[1], match[2]})
	}
	return blocks
}

// reader is somebody who types what a page says, on the node n1.
type reader struct {
	t    *testing.T
	home string
	env  []string
	stop func() // what runs in the background
}

func newReader(t *testing.T, dockerHost string) *reader {
	t.Helper()
	home := shortTempDir(t)
	bin := filepath.Join(home, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kargoBinary, filepath.Join(bin, "kargo")); err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, home: home, stop: func() {}}
	t.Cleanup(func() { r.stop() })
	r.env = append(os.Environ(), "HOME="+home, "USER=newcomer", "PATH="+bin+":"+os.Getenv("PATH"), "DOCKER_HOST="+dockerHost)
	r.write(".cwd", home)
	return r
}

func (r *reader) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.home, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// follow does what a block says, until it prints what the page shows.
func (r *reader) follow(block fencedBlock, expected string) {
	r.t.Helper()
	switch block.kind {
	case "text":
	case "sh background":
		r.background(block.text)
	case "sh once":
		_, _ = r.bash(block.text)
	case "sh stopped":
		r.stop()
		r.untilPrinted(block.text, expected)
	case "sh":
		r.untilPrinted(block.text, expected)
	default:
		r.t.Fatalf("a block of an unknown kind: %s", block.kind)
	}
}

func (r *reader) untilPrinted(commands, expected string) {
	r.t.Helper()
	if expected == "" {
		if out, err := r.bash(commands); err != nil {
			r.t.Fatalf("%s%v\n%s", commands, err, out)
		}
		return
	}
	var out string
	defer func() {
		if r.t.Failed() {
			r.t.Logf("%sprints\n%s\nand should print\n%s", commands, out, expected)
		}
	}()
	within(r.t, patience, "the page's commands print what it shows", func() bool {
		out, _ = r.bash(commands)
		return prints(expected).MatchString(out)
	})
}

// left is what a page leaves out of a line.
var left = regexp.MustCompile(` *… *`)

// prints is the expression for what a block "text" shows.
func prints(expected string) *regexp.Regexp {
	var lines []string
	for line := range strings.Lines(expected) {
		quoted := regexp.QuoteMeta(strings.TrimSpace(line))
		lines = append(lines, ".*"+left.ReplaceAllString(quoted, ".*")+".*\n")
	}
	return regexp.MustCompile(strings.Join(lines, "(?:.*\n)*"))
}

// bash runs commands in the directory where the last ones ended, and returns
// what they print.
func (r *reader) bash(commands string) (string, error) {
	cmd := r.command(fmt.Sprintf("cd \"$(cat %[1]s/.cwd)\"\n%[2]s\npwd >%[1]s/.cwd\n", r.home, commands))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// background runs a command until it is stopped, as with Ctrl-C.
func (r *reader) background(command string) {
	r.t.Helper()
	cmd := r.command(fmt.Sprintf("cd \"$(cat %s/.cwd)\"\nexec %s", r.home, command))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	// The shell of the lab stands between: Ctrl-C goes to all of the group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.stop = sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		_ = cmd.Wait()
		if r.t.Failed() {
			r.t.Logf("the program in the background:\n%s", log.String())
		}
	})
}

func (r *reader) command(script string) *exec.Cmd {
	node := strings.Fields(testBed(r.t, "KARGO_TEST_NODES"))[0]
	cmd := exec.Command("../bed/lab", "netexec", node, "bash", "-euo", "pipefail", "-c", script)
	cmd.Env = r.env
	return cmd
}
