package wire

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// listing encodes lines as git sends them; "" is a flush.
func listing(lines ...string) string {
	var text strings.Builder
	encoder := pktline.NewEncoder(&text)
	for _, line := range lines {
		if line == "" {
			_ = encoder.Flush()
		} else {
			_ = encoder.EncodeString(line)
		}
	}
	return text.String()
}

func hashOf(digit string) string { return strings.Repeat(digit, 40) }

func TestReadRefs(t *testing.T) {
	caps := "\x00symref=HEAD:refs/heads/main object-format=sha1 agent=git/2.39.5\n"
	first := hashOf("1") + " HEAD" + caps
	for _, c := range []struct {
		name, text, want string
	}{
		{"over SSH", listing(first, hashOf("1")+" refs/heads/main\n", ""), "HEAD 1, refs/heads/main 1"},
		{"over HTTP", listing("# service=git-upload-pack\n", "", first, hashOf("2")+" refs/heads/main\n", ""), "HEAD 1, refs/heads/main 2"},
		{"an annotated tag", listing(first, hashOf("3")+" refs/tags/v1\n", hashOf("1")+" refs/tags/v1^{}\n", hashOf("1")+" refs/tags/v2\n", ""),
			"HEAD 1, refs/tags/v1 3 for 1, refs/tags/v2 1"},
		{"a shallow repository", listing(first, "shallow "+hashOf("9"), "shallow "+hashOf("8"), ""), "HEAD 1"},
		{"what a tag is for without the tag", listing(first, hashOf("1")+" refs/tags/v1^{}\n", ""), "HEAD 1"},
		{"no refs", listing(hashOf("0")+" capabilities^{}"+caps, ""), "remote repository is empty"},
		{"no refs, by an old server", listing(""), "remote repository is empty"},
		{"another object format", listing(strings.Repeat("1", 64)+" HEAD\x00object-format=sha256\n", ""),
			"the repository has the object format sha256, and Kargo reads sha1 only"},
		{"another hash", listing(strings.Repeat("1", 64)+" HEAD\x00agent=git/2\n", ""), `read the refs: a line is not "HASH NAME"`},
		{"no hash", listing(strings.Repeat("z", 40)+" HEAD\x00\n", ""), "read the refs: encoding/hex: invalid byte: U+007A 'z'"},
		{"a name with a blank", listing(hashOf("1")+" refs/heads/a b\x00\n", ""), `read the refs: a line is not "HASH NAME"`},
		{"a line that is cut off", first[:3], "invalid pkt-len found"},
		{"a list that is cut off", listing(first), "read the refs: unexpected EOF"},
		{"nothing", "", "empty input"},
		{"a refusal", listing("ERR access denied\n"), "access denied"},
	} {
		var seen []string
		_, err := readRefs(strings.NewReader(c.text), func(ref Ref) {
			line := ref.Name + " " + ref.Hash.String()[:1]
			if !ref.Peeled.IsZero() {
				line += " for " + ref.Peeled.String()[:1]
			}
			seen = append(seen, line)
		})
		got := strings.Join(seen, ", ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// endless is a list of refs without an end.
type endless struct {
	line string
	rest string
}

func (e *endless) Read(into []byte) (int, error) {
	if e.rest == "" {
		e.rest = e.line
	}
	n := copy(into, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// A list may be as long as the limit of a download allows: none of it is kept.
func TestS44ALongListOfRefsIsNotKept(t *testing.T) {
	list := &endless{line: listing(hashOf("1") + " refs/heads/" + strings.Repeat("x", 1000))}
	inUse := func() uint64 {
		var memory runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc
	}
	before, count := inUse(), 0
	_, err := readRefs(limited(list, 64<<20), func(Ref) {
		if count++; count == 60_000 {
			if more := int64(inUse() - before); more > 1<<20 {
				t.Errorf("%d refs occupy %d bytes", count, more)
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "more to download than 67108864 bytes") || count < 60_000 {
		t.Errorf("%d refs, %v", count, err)
	}
}

// FuzzReadRefs holds the reader to go-git's, which keeps all that it reads.
func FuzzReadRefs(f *testing.F) {
	f.Add(listing("# service=git-upload-pack\n", "", hashOf("1")+" HEAD\x00ofs-delta\n", hashOf("3")+" refs/tags/v1\n", hashOf("1")+" refs/tags/v1^{}\n", ""))
	f.Add(listing(hashOf("1")+" refs/heads/main\x00\n", "shallow "+hashOf("2"), ""))
	f.Fuzz(func(t *testing.T, text string) {
		seen := map[string]plumbing.Hash{}
		capabilities, err := readRefs(strings.NewReader(text), func(ref Ref) {
			seen[ref.Name] = ref.Hash
			if !ref.Peeled.IsZero() {
				seen[ref.Name+peeledEnd] = ref.Peeled
			}
		})
		theirs := packp.NewAdvRefs()
		if err != nil || theirs.Decode(strings.NewReader(text)) != nil {
			return // go-git takes some lists that are none
		}
		want := map[string]plumbing.Hash{}
		for name, hash := range theirs.References {
			want[name] = hash
		}
		if theirs.Head != nil {
			want["HEAD"] = *theirs.Head
		}
		for name, hash := range seen {
			plain, peeled := strings.CutSuffix(name, peeledEnd)
			if peeled && theirs.Peeled[plain] != hash && !hash.IsZero() || !peeled && want[name] != hash && name != "HEAD" {
				t.Errorf("%s is at %s, go-git reads %s", name, hash, fmt.Sprint(want[name], theirs.Peeled[plain]))
			}
		}
		if capabilities.String() != theirs.Capabilities.String() {
			t.Errorf("capabilities %q, go-git reads %q", capabilities, theirs.Capabilities)
		}
	})
}
