package gitsync_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	gosync "sync" // sync is one poll here
	"testing"
	"time"

	"kargo"
	"kargo/gitsync"
)

// packsSent remembers the answers of a server that have packs.
type packsSent struct {
	handler http.Handler

	mu gosync.Mutex // for what follows
	// change may change a request for a pack; nil changes none.
	change func(question []byte) []byte
	// answer may answer a request for a pack in the server's place.
	answer  func(w http.ResponseWriter, question []byte) bool
	answers [][]byte
}

// set changes how requests are answered from now on.
func (p *packsSent) set(change func(*packsSent)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *packsSent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	question, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(bytes.NewReader(question))
		if err == nil {
			question, err = io.ReadAll(unpacked)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Header.Del("Content-Encoding")
	}
	asksForPack := r.Method == http.MethodPost
	p.mu.Lock()
	answer, change := p.answer, p.change
	p.mu.Unlock()
	if asksForPack && answer != nil && answer(w, question) {
		return
	}
	if asksForPack && change != nil {
		question = change(question)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(question)), int64(len(question))
	recorder := httptest.NewRecorder()
	p.handler.ServeHTTP(recorder, r)
	if asksForPack && bytes.Contains(recorder.Body.Bytes(), packStart) {
		p.set(func(p *packsSent) { p.answers = append(p.answers, recorder.Body.Bytes()) })
	}
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(recorder.Body.Bytes())
}

// packStart is how a pack begins; the number of its objects follows.
var packStart = []byte("PACK\x00\x00\x00\x02")

// last returns the number of objects and the bytes of the last answer.
func (p *packsSent) last(t *testing.T) (objects, bytesSent int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.answers) == 0 {
		t.Fatal("no pack was sent")
	}
	answer := p.answers[len(p.answers)-1]
	return objectsIn(t, answer), len(answer)
}

// objectsIn returns how many objects the pack in an answer has.
func objectsIn(t *testing.T, answer []byte) int {
	t.Helper()
	_, after, _ := bytes.Cut(answer, packStart)
	if len(after) < 4 {
		t.Fatalf("the pack is cut off: %.100q", answer)
	}
	return int(binary.BigEndian.Uint32(after))
}

// withFiles commits and pushes so many files, in ten directories.
func (o *origin) withFiles(count int) {
	o.t.Helper()
	files := []string{"README.md", "one\n"}
	for i := range count {
		files = append(files, fmt.Sprintf("configs/d%d/f%04d", i%10, i), fmt.Sprintf("content %d, which is its own\n", i))
	}
	o.commit("many files", files...)
	o.push("main")
}

// follow serves a repository over HTTP, and follows it in a directory.
func follow(t *testing.T, o *origin) (repository *gitsync.Repository, sent *packsSent, dir string) {
	t.Helper()
	sent, dir = &packsSent{handler: gitHandler(t, o.root)}, t.TempDir()
	return open(t, gitsync.Options{URL: serve(t, sent), Dir: dir, Ref: "main"}), sent, dir
}

// wantFiles compares all files with those of the origin's work tree.
func wantFiles(t *testing.T, o *origin, files fs.FS) {
	t.Helper()
	var want strings.Builder
	for name := range strings.SplitSeq(o.git(o.work, "ls-files"), "\n") {
		data, err := os.ReadFile(filepath.Join(o.work, name))
		if err != nil {
			t.Fatal(err)
		}
		want.WriteString(name + ": " + strings.TrimSpace(string(data)) + "\n")
	}
	if got := listing(t, files); got != want.String() {
		t.Errorf("files:\n got %.500s\nwant %.500s", got, want.String())
	}
}

// A commit brings what it changes, however many files there are.
func TestOnlyWhatChangedIsSent(t *testing.T) {
	t.Parallel()
	for _, count := range []int{250, 1000} {
		o := newOrigin(t)
		o.withFiles(count)
		repository, sent, dir := follow(t, o)
		sync(t, repository)
		if objects, _ := sent.last(t); objects < count {
			t.Fatalf("%d files: the first fetch brought %d objects", count, objects)
		}

		o.commit("readme", "README.md", "two\n")
		o.push("main")
		_, files := sync(t, repository)
		// The commit, the root, and the README.
		if objects, sent := sent.last(t); objects != 3 || sent > 2000 {
			t.Errorf("%d files: a README brought %d objects in %d bytes, want 3", count, objects, sent)
		}
		wantFiles(t, o, files)

		o.commit("five files", "configs/d1/f0001", "a\n", "configs/d1/f0011", "b\n", "configs/d2/f0002", "c\n", "configs/d2/new", "d\n", ".env", "STACKS=e\n")
		o.commit("and another commit", "configs/d3/f0003", "f\n")
		o.push("main")
		_, files = sync(t, repository)
		// One commit, the root, configs, three directories below it, and six files.
		if objects, _ := sent.last(t); objects != 12 {
			t.Errorf("%d files: six files brought %d objects, want 12", count, objects)
		}
		wantFiles(t, o, files)

		// The directory of each commit is complete by itself.
		own := filepath.Join(dir, o.head())
		if err := os.Rename(own, own+".moved"); err != nil {
			t.Fatal(err)
		}
		for _, entry := range []string{"HEAD~1", "HEAD~2", "HEAD~3"} {
			if err := os.RemoveAll(filepath.Join(dir, o.git(o.work, "rev-parse", entry))); err != nil {
				t.Fatal(err)
			}
		}
		o.git(own+".moved", "rev-list", "--objects", "--quiet", "HEAD")
		o.git(own+".moved", "cat-file", "--batch-check", "--batch-all-objects")
	}
}

func TestOnlyWhatChangedIsSentOverSSH(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.withFiles(1000)
	client, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	server := newSSHServer(t, o.root, client.PublicKey(), host)
	opts := gitsync.Options{URL: server.url(), Ref: "main"}
	opts.SSHKey, opts.KnownHosts = content(clientPEM), content(server.knownHosts(host.PublicKey()))
	repository := open(t, opts)
	sync(t, repository)
	whole := server.sent.Swap(0)
	o.commit("readme", "README.md", "two\n")
	o.push("main")
	_, files := sync(t, repository)
	wantFiles(t, o, files)
	if got := server.sent.Load(); got > 3000 || whole < 30_000 {
		t.Errorf("%d bytes came for a README, and %d for everything", got, whole)
	}
}

// Whatever way a branch goes, the files are those of its commit.
func TestFetchOnTopOfAnotherCommit(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.withFiles(100)
	first := o.head()
	repository, sent, dir := follow(t, o)
	expect := func(what string, most int) {
		t.Helper()
		o.push("HEAD:main")
		revision, files := sync(t, repository)
		wantText(t, what, revision.Commit, o.head())
		wantFiles(t, o, files)
		if objects, _ := sent.last(t); objects > most {
			t.Errorf("%s: %d objects, want %d at most", what, objects, most)
		}
	}
	expect("the first", 1000)
	o.commit("a file", "configs/d1/f0001", "other\n")
	expect("a file", 5)
	o.commit("the file as it was", "configs/d1/f0001", "content 1, which is its own\n")
	expect("a file as it was before", 5) // only a commit that is not here has it
	o.git(o.work, "mv", "configs/d4", "configs/moved")
	o.commit("a directory moved")
	expect("a directory moved", 4)
	o.git(o.work, "mv", "configs/d5/f0005", "configs/d6/f0005")
	o.git(o.work, "rm", "--quiet", "-r", "configs/d7")
	o.commit("moved and removed")
	expect("a file moved, a directory removed", 6)
	if err := os.RemoveAll(filepath.Join(dir, first)); err != nil {
		t.Fatal(err)
	}
	o.git(o.work, "reset", "--quiet", "--hard", first)
	expect("back to a commit that was removed here", 20)
	o.git(o.work, "commit", "--quiet", "--amend", "--message", "amended")
	expect("the last commit amended", 1)
	o.git(o.work, "checkout", "--quiet", "--orphan", "other")
	o.commit("no history", "README.md", "three\n")
	expect("another history", 3)
	o.git(o.work, "tag", "--annotate", "--message", "a release", "v1")
	o.push("v1")
	revision, files := sync(t, open(t, gitsync.Options{URL: serve(t, sent), Dir: dir, Ref: "v1"}))
	wantText(t, "the commit of a tag", revision.Ref+"@"+revision.Commit, "v1@"+o.head())
	wantFiles(t, o, files)
	o.commit("later", "README.md", "four\n")
	o.git(o.bare, "update-ref", "-d", "refs/heads/main")
	o.git(o.bare, "update-ref", "-d", "refs/tags/v1")
	o.git(o.bare, "reflog", "expire", "--expire=now", "--all")
	o.git(o.bare, "gc", "--quiet", "--prune=now") // the server forgets what is here
	o.git(o.work, "checkout", "--quiet", "--orphan", "new")
	o.commit("a new beginning", "README.md", "five\n")
	expect("a server that knows nothing that is here", 1000)
}

// A pack is not opened for each object: what is open is read, also if its directory was
// removed meanwhile.
func TestPacksStayOpenWhileFilesAreRead(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.withFiles(20)
	packed := filepath.Join(t.TempDir(), "packed.git")
	o.git(o.root, "clone", "--quiet", "--bare", "--no-hardlinks", o.bare, packed)
	o.git(packed, "gc", "--quiet")
	for _, history := range []bool{false, true} {
		_, sent, dir := follow(t, o)
		for _, opts := range []gitsync.Options{{URL: serve(t, sent), Dir: dir, History: history}, {URL: packed}} {
			_, files := sync(t, open(t, opts))
			if _, err := fs.ReadFile(files, "README.md"); err != nil {
				t.Fatal(err)
			}
			packs, err := filepath.Glob(filepath.Join(dir, "*", "objects", "pack"))
			if opts.Dir == "" {
				packs, err = []string{filepath.Join(packed, "objects", "pack")}, nil
			}
			if err != nil || len(packs) != 1 {
				t.Fatal(packs, err)
			}
			if err := os.Rename(packs[0], packs[0]+".moved"); err != nil {
				t.Fatal(err)
			}
			wantFiles(t, o, files)
			if err := os.Rename(packs[0]+".moved", packs[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// withoutHaves takes from a request what says what is here.
func withoutHaves(question []byte) []byte {
	var kept []byte
	for len(question) >= 4 {
		var size int
		if _, err := fmt.Sscanf(string(question[:4]), "%04x", &size); err != nil || size > len(question) {
			break
		}
		line := question[:max(size, 4)]
		question = question[len(line):]
		if text := string(line[4:]); !strings.HasPrefix(text, "have ") && !strings.HasPrefix(text, "shallow ") {
			kept = append(kept, line...)
		}
	}
	return kept
}

// What a server does with what it is told, each commit arrives as it is.
func TestServersThatSendWhatTheyLike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  func(t *testing.T, o *origin, p *packsSent)
		// requests for packs, of two commits.
		requests int
	}{
		{"everything, whatever is here", func(_ *testing.T, _ *origin, p *packsSent) { p.change = withoutHaves }, 2},
		{"an error, if something is here", func(_ *testing.T, _ *origin, p *packsSent) {
			p.answer = func(w http.ResponseWriter, question []byte) bool {
				refused := bytes.Contains(question, []byte("have "))
				if refused {
					http.Error(w, "no", http.StatusInternalServerError)
				}
				return refused
			}
		}, 2},
		{"a commit without its files", func(t *testing.T, o *origin, p *packsSent) {
			p.answer = func(w http.ResponseWriter, question []byte) bool {
				if !bytes.Contains(question, []byte("have ")) {
					return false
				}
				w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
				_, _ = w.Write(onlyCommit(t, o))
				return true
			}
		}, 2},
		{"a thin pack on top of something else", func(t *testing.T, o *origin, p *packsSent) {
			other := o.commit("only the server has it", "README.md", strings.Repeat("long enough for a delta\n", 50)+"one\n")
			o.git(o.work, "push", "--quiet", "origin", "HEAD:refs/heads/other")
			p.change = func(question []byte) []byte {
				if !bytes.Contains(question, []byte("have ")) {
					return question
				}
				return fmt.Appendf(withoutDone(withoutHaves(question)), "0032have %s\n0009done\n", other)
			}
			o.commit("like it", "README.md", strings.Repeat("long enough for a delta\n", 50)+"two\n")
		}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			o.withFiles(50)
			repository, sent, _ := follow(t, o)
			sync(t, repository)
			sent.set(func(p *packsSent) { c.set(t, o, p) })
			o.commit("next", "configs/d1/f0001", "other\n")
			o.push("main")
			revision, files := sync(t, repository)
			wantText(t, "commit", revision.Commit, o.head())
			wantFiles(t, o, files)
			sent.set(func(p *packsSent) {
				if len(p.answers) != c.requests {
					t.Errorf("%d answers with packs, want %d", len(p.answers), c.requests)
				}
			})
		})
	}
}

// A server that never answers to what it is told costs one attempt.
func TestServerThatIsSilentIfSomethingIsHere(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.withFiles(20)
	sent := &packsSent{handler: gitHandler(t, o.root)}
	ended := make(chan struct{})
	sent.answer = func(_ http.ResponseWriter, question []byte) bool {
		silent := bytes.Contains(question, []byte("have "))
		if silent {
			<-ended
		}
		return silent
	}
	repository := open(t, gitsync.Options{URL: serve(t, sent), Ref: "main", Timeout: 3 * time.Second})
	t.Cleanup(func() { close(ended) }) // before the server is closed, which waits for its answers
	sync(t, repository)
	o.commit("next", "README.md", "two\n")
	o.push("main")
	_, _, err := repository.Fetch(deadline(t), head(t, repository))
	if kargo.FaultOf(err) != kargo.Unavailable {
		t.Errorf("a fetch without an answer: %v", err)
	}
	_, files := sync(t, repository)
	wantFiles(t, o, files)
}

func withoutDone(question []byte) []byte { return bytes.TrimSuffix(question, []byte("0009done\n")) }

// onlyCommit is an answer with the head of main alone.
func onlyCommit(t *testing.T, o *origin) []byte {
	command := exec.Command("git", "pack-objects", "--stdout", "--quiet")
	command.Dir, command.Stdin = o.bare, strings.NewReader(o.head()+"\n")
	pack, err := command.Output()
	if err != nil {
		t.Error("git pack-objects: ", err)
	}
	answer := fmt.Appendf(nil, "0034shallow %s0000", o.head())
	answer = append(answer, "0008NAK\n"...)
	answer = fmt.Appendf(answer, "%04x\x01%s", len(pack)+5, pack)
	return append(answer, "0000"...)
}

// What is damaged on the disk is not the base of another commit for long.
func TestDamageThatCommitsShare(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.withFiles(50)
	repository, sent, dir := follow(t, o)
	sync(t, repository)
	damagePacks(t, filepath.Join(dir, o.head()))
	o.commit("readme", "README.md", "two\n")
	o.push("main")
	commit := head(t, repository)
	_, files, err := repository.Fetch(deadline(t), commit)
	if err == nil {
		err = walk(files.FS)
	}
	if err != nil { // what is damaged may be read here first
		if kargo.FaultOf(err) != kargo.Unavailable {
			t.Errorf("the damage is not Unavailable: %v", err)
		}
		_, again := sync(t, open(t, gitsync.Options{URL: serve(t, sent), Dir: dir, Ref: "main"})) // as the next child process does
		wantFiles(t, o, again)
	} else {
		wantFiles(t, o, files.FS)
	}
	if objects, _ := sent.last(t); objects < 50 {
		t.Errorf("the last pack has %d objects, so it is not a whole commit", objects)
	}
	// Then commits are fetched on top of others again.
	o.commit("readme", "README.md", "three\n")
	o.push("main")
	_, after := sync(t, repository)
	wantFiles(t, o, after)
	if objects, _ := sent.last(t); objects != 3 {
		t.Errorf("%d objects came for a README afterwards, want 3", objects)
	}
}

// damagePacks overwrites the middle of each pack of a directory.
func damagePacks(t *testing.T, dir string) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("no packs in %s: %v", dir, err)
	}
	for _, pack := range packs {
		data, err := os.ReadFile(pack)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(data) / 3; i < len(data)*2/3; i++ {
			data[i] ^= 0x55
		}
		if err := os.Chmod(pack, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pack, data, 0o600); err != nil { // in its place: commits share it
			t.Fatal(err)
		}
	}
}

// A long way of small commits, of which each is fetched, takes little of the disk.
func TestManyCommitsTakeLittleOfTheDisk(t *testing.T) {
	t.Parallel()
	const commits = 100
	o := newOrigin(t)
	o.withFiles(100)
	var input strings.Builder
	for i := range commits {
		fmt.Fprintf(&input, "commit refs/heads/later\nmark :%d\ncommitter Ada <ada@example.org> %d +0000\ndata 4\nnext\n", i+1, 1_700_000_000+i)
		if i == 0 {
			fmt.Fprintf(&input, "from %s\n", o.head())
		}
		text := fmt.Sprintf("text %d\n", i)
		fmt.Fprintf(&input, "M 644 inline README.md\ndata %d\n%s\nM 644 inline configs/d%d/f%04d\ndata %d\n%s\n\n", len(text), text, i%10, i%100, len(text), text)
	}
	runProgram(t, nil, input.String(), "git", "-C", o.bare, "fast-import", "--quiet")
	repository, sent, dir := follow(t, o)
	sync(t, repository)
	var disk []int
	whole := 0
	for commit := range strings.SplitSeq(o.git(o.bare, "rev-list", "--reverse", "main..later"), "\n") {
		if err := os.WriteFile(filepath.Join(o.bare, "refs", "heads", "main"), []byte(commit+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := repository.Fetch(deadline(t), commit); err != nil {
			t.Fatal(err)
		}
		disk = append(disk, diskOf(t, dir))
		if objects, _ := sent.last(t); objects > 6 {
			whole++
		}
	}
	// A whole one has nothing of those before it.
	if whole == 0 || whole > commits/30 {
		t.Errorf("%d of %d commits were fetched as a whole", whole, commits)
	}
	if first, second := slices.Max(disk[:commits/2]), slices.Max(disk[commits/2:]); second > first*11/10 {
		t.Errorf("the directory had up to %d KiB during the first half of the commits, and up to %d KiB during the second", first>>10, second>>10)
	}
	o.git(o.work, "fetch", "--quiet", "origin", "main")
	o.git(o.work, "reset", "--quiet", "--hard", "FETCH_HEAD")
	_, files := sync(t, repository)
	wantFiles(t, o, files)
}

// diskOf returns the bytes of all files below a directory; files with several names count
// once.
func diskOf(t *testing.T, dir string) (bytes int) {
	t.Helper()
	var seen []fs.FileInfo
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		for _, other := range seen {
			if os.SameFile(info, other) {
				return nil
			}
		}
		seen, bytes = append(seen, info), bytes+int(info.Size())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// What is bounded of a commit does not depend on how much of it came at once: a commit is
// refused on top of another one if it is refused as a whole, also if most of it lies outside
// of the directory that is read.
func TestLimitsOfCommitsThatComeBitByBit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		limits gitsync.Limits
		refuse int // the first commit that is too much
	}{
		{"files", gitsync.Limits{Files: 20}, 4},
		{"bytes", gitsync.Limits{Bytes: 7000}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			opts := gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: t.TempDir(), Ref: "main", Path: "deploy", Limits: c.limits}
			said := func(opts gitsync.Options) string {
				repository := open(t, opts)
				revision, files, err := repository.Fetch(deadline(t), head(t, repository))
				if err != nil {
					return kargo.FaultOf(err).String() + ": " + err.Error()
				}
				return revision.Commit + "\n" + listing(t, files.FS)
			}
			refused := 0
			for i := 1; i <= 6; i++ {
				for j := range 10 {
					o.commit("more", fmt.Sprintf("elsewhere/%d-%d", i, j), strings.Repeat(fmt.Sprintf("%d %d, ", i, j), 40))
				}
				o.push("main")
				alone := opts
				alone.Dir = t.TempDir()
				got, want := said(opts), said(alone)
				wantText(t, fmt.Sprintf("commit %d", i), got, want)
				if refused == 0 && strings.HasPrefix(got, kargo.Invalid.String()) {
					refused = i
				}
			}
			if refused != c.refuse {
				t.Errorf("commit %d was refused first, want %d", refused, c.refuse)
			}
			o.git(o.work, "rm", "--quiet", "-r", "elsewhere")
			o.commit("less")
			o.push("main")
			if got := said(opts); !strings.HasPrefix(got, o.head()) {
				t.Errorf("after that: %s", got)
			}
		})
	}
}

// A repository says where its history ends, also if a tag brought nothing but itself. The
// next commit is fetched on top of it.
func TestNewTagOfACommitThatIsHere(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.withFiles(30)
	first := o.head()
	o.commit("other", "configs/d1/f0001", "other\n")
	o.push("main")
	_, sent, dir := follow(t, o)
	opts := gitsync.Options{URL: serve(t, sent), Dir: dir, Ref: "main"}
	sync(t, open(t, opts))
	tagged := func(name string, most int) {
		t.Helper()
		o.git(o.work, "tag", "--annotate", "--message", "a release", name)
		o.push("main", name)
		opts.Ref = name
		revision, files := sync(t, open(t, opts))
		wantText(t, "commit of "+name, revision.Commit, o.head())
		wantFiles(t, o, files)
		own := filepath.Join(dir, o.head())
		wantText(t, "history of "+name, o.git(own, "rev-list", name), o.head())
		o.git(own, "fsck", "--connectivity-only")
		if objects, _ := sent.last(t); objects > most {
			t.Errorf("%s: %d objects, want %d at most", name, objects, most)
		}
	}
	tagged("v1", 1)
	tagged("v2", 1)
	o.git(o.work, "checkout", "--quiet", first, "--", "configs")
	o.commit("as it was")
	tagged("v3", 6)
}

// The size of a file is read without its content. If it is damaged, the file is not taken
// for one that is too large.
func TestDamagedSizesHeal(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.withFiles(8)
	repository, sent, dir := follow(t, o)
	sync(t, repository)
	pack := func() string {
		t.Helper()
		packs, err := filepath.Glob(filepath.Join(dir, o.head(), "objects", "pack", "*.pack"))
		if err != nil || len(packs) != 1 {
			t.Fatal(packs, err)
		}
		return packs[0]
	}
	whole, err := os.ReadFile(pack())
	if err != nil {
		t.Fatal(err)
	}
	compressed := []byte{0x78, 0x9c} // follows the size of an object
	objects := 0
	for at := 1; at < len(whole); at++ {
		if !bytes.HasPrefix(whole[at:], compressed) {
			continue
		}
		objects++
		damaged, err := os.ReadFile(pack()) // it was fetched again
		if err != nil || !bytes.HasPrefix(damaged[at:], compressed) {
			t.Fatal("another pack", err)
		}
		damaged[at-1] ^= 0x80 // the size goes on in the next byte
		if err := errors.Join(os.Chmod(pack(), 0o600), os.WriteFile(pack(), damaged, 0o600)); err != nil {
			t.Fatal(err)
		}
		again := open(t, gitsync.Options{URL: serve(t, sent), Dir: dir, Ref: "main", Limits: gitsync.Limits{File: 2000}})
		_, files, err := again.Fetch(deadline(t), head(t, again))
		if err == nil {
			err = walk(files.FS)
		}
		if err != nil {
			if kargo.FaultOf(err) != kargo.Unavailable {
				t.Fatalf("object %d is taken for %v", objects, err)
			}
			_, files.FS = sync(t, again)
		}
		wantFiles(t, o, files.FS)
	}
	if objects < 12 {
		t.Errorf("%d objects were damaged, want more", objects)
	}
}

// Whichever way a branch goes, and whatever its files become, a repository that has seen
// earlier commits reads what one reads that has seen none: modes, sizes, contents, errors.
func TestAnyWayABranchGoes(t *testing.T) {
	t.Parallel()
	const steps = 25
	seed := uint64(time.Now().UnixNano())
	t.Log("seed ", seed) // names and contents depend on it alone
	random := rand.New(rand.NewPCG(seed, 0))
	o := newOrigin(t)
	o.withFiles(20)
	opts := gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: t.TempDir(), Ref: "main", Keep: 2, Limits: gitsync.Limits{File: 5000}}
	paths := []string{"deploy", "deploy/a", "deploy/a/b", "deploy/a/b/c", "configs/d1", "configs/d2", "configs/d2/f0002", ".env", "README.md", "scripts/run"}
	texts := []string{"", "one\n", "two\n", strings.Repeat("a line of a long file\n", 100), strings.Repeat("a line of a long file\n", 100) + "end\n", strings.Repeat("too long\n", 1000)}
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	commits := []string{o.head()}
	change := func() {
		path := pick(paths)
		o.git(o.work, "rm", "-r", "-f", "--cached", "--quiet", "--ignore-unmatch", "--", path) // a folder, or a file
		for at := filepath.Dir(path); at != "."; at = filepath.Dir(at) {
			o.git(o.work, "update-index", "--force-remove", "--", at) // in the place of its folders
		}
		kind := pick([]string{"100644", "100644", "100755", "120000", "160000", "gone", "tree", "tree"})
		switch kind {
		case "gone":
		case "tree":
			if from := strings.Fields(o.git(o.work, "ls-tree", "-rd", "--format=%(objectname)", pick(commits))); len(from) > 0 {
				o.git(o.work, "read-tree", "--prefix="+path+"/", pick(from))
			}
		case "160000":
			o.git(o.work, "update-index", "--add", "--cacheinfo", kind+","+pick(commits)+","+path)
		default:
			blob := filepath.Join(t.TempDir(), "blob")
			if err := os.WriteFile(blob, []byte(pick(texts)), 0o600); err != nil {
				t.Fatal(err)
			}
			o.git(o.work, "update-index", "--add", "--cacheinfo", kind+","+o.git(o.work, "hash-object", "-w", blob)+","+path)
		}
	}
	follower := open(t, opts)
	for step := range steps {
		switch random.IntN(8) {
		case 0: // back, or to another branch
			o.git(o.work, "update-ref", "refs/heads/main", pick(commits))
			o.git(o.work, "read-tree", "main")
		case 1: // no history
			o.git(o.work, "update-ref", "refs/heads/main", o.git(o.work, "commit-tree", "-m", fmt.Sprint(step), o.git(o.work, "write-tree")))
		case 2:
			o.git(o.work, "commit", "--quiet", "--allow-empty", "--message", fmt.Sprint("empty ", step))
		default:
			for range 1 + random.IntN(3) {
				change()
			}
			o.git(o.work, "commit", "--quiet", "--allow-empty", "--message", fmt.Sprint("step ", step))
		}
		commits = append(commits, o.head())
		if random.IntN(6) == 0 {
			o.git(o.bare, "update-ref", "-d", "refs/heads/main")
			o.git(o.bare, "gc", "--quiet", "--prune=now")
		}
		o.push("main")
		if random.IntN(5) == 0 {
			follower = open(t, opts)
		}
		alone := opts
		alone.Dir = t.TempDir()
		if got, want := described(t, follower), described(t, open(t, alone)); got != want {
			t.Fatalf("step %d, commit %s:\n%s\nwant\n%s", step, o.head(), got, want)
		}
	}
}

// described is all that can be read of the head of a repository.
func described(t *testing.T, repository *gitsync.Repository) string {
	t.Helper()
	revision, files, err := repository.Fetch(deadline(t), head(t, repository))
	text := fmt.Sprintln(revision.Commit, kargo.FaultOf(err), err)
	if err != nil {
		return text
	}
	err = fs.WalkDir(files.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			text += fmt.Sprintln(path, err)
			return nil
		}
		info, err := entry.Info()
		text += fmt.Sprintln(path, info.Mode(), info.Size(), err)
		if !entry.IsDir() {
			data, err := fs.ReadFile(files.FS, path)
			text += fmt.Sprintf("%.80q… %d %v\n", data, len(data), err)
		}
		return nil
	})
	return text + fmt.Sprintln(err)
}
