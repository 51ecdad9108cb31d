package gitsync

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"kargo"
)

// A few bytes of a delta can repeat its base a million times. git does not make
// such a pack, so the test does.
func TestCheckPackSeesWhatADeltaMakes(t *testing.T) {
	for _, c := range []struct {
		makes uint64
		want  string
	}{
		{1000, ""},
		{1 << 40, "repository: the commit holds a file of 1099511627776 bytes, the limit is 1048576 " +
			"(keep data out of the workspace, or raise the limit)"},
		{1 << 63, "malformed PACK file"},
	} {
		base := packed(plumbing.BlobObject, nil, []byte("base"))
		sizes := binary.AppendUvarint(binary.AppendUvarint(nil, 4), c.makes)
		delta := packed(plumbing.OFSDeltaObject, []byte{byte(len(base))}, append(sizes, 0x90, 4))
		var pack bytes.Buffer
		pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x02")
		pack.Write(base)
		pack.Write(delta)
		sum := sha1.Sum(pack.Bytes())
		pack.Write(sum[:])
		path := filepath.Join(t.TempDir(), "pack")
		if err := os.WriteFile(path, pack.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := checkPack(path, Limits{File: 1 << 20}.withDefaults(), false); err != nil {
			got = kargo.Explain(err)
		}
		if got != c.want {
			t.Errorf("delta that makes %d bytes:\n got %s\nwant %s", c.makes, got, c.want)
		}
	}
}

// A pack that arrives damaged says nothing about the commit: it is asked for again.
func TestDamagedPackIsNotTooLarge(t *testing.T) {
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
	pack.Write(packed(plumbing.BlobObject, nil, []byte("a file")))
	sum := sha1.Sum(pack.Bytes())
	pack.Write(sum[:])
	path := filepath.Join(t.TempDir(), "pack")
	for bit := range 8 * pack.Len() {
		data := bytes.Clone(pack.Bytes())
		data[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := checkPack(path, Limits{Files: 1, File: 6}.withDefaults(), false); err != nil && kargo.FaultOf(err) == kargo.Invalid {
			t.Errorf("bit %d: %s", bit, kargo.Explain(err))
		}
	}
}

// packed returns one object of a pack, shorter than 16 bytes.
func packed(kind plumbing.ObjectType, reference, data []byte) []byte {
	var object bytes.Buffer
	object.WriteByte(byte(kind)<<4 | byte(len(data)))
	object.Write(reference)
	compressed := zlib.NewWriter(&object)
	compressed.Write(data)
	compressed.Close()
	return object.Bytes()
}

// git takes a thin pack with what it refers to for a pack, and without it not. One that is
// cut off is an error, wherever it ends.
func TestCompletePackIsAPack(t *testing.T) {
	dir := t.TempDir()
	git := func(input string, args ...string) ([]byte, error) {
		command := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...)
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		command.Stdin = strings.NewReader(input)
		return command.Output()
	}
	must := func(out []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must(git("", "init", "--quiet"))
	for _, last := range []string{"one", "two"} {
		text := strings.Repeat("a line that both have, so that a delta is small\n", 100) + last + "\n"
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		must(git("", "add", "file"))
		must(git("", "commit", "--quiet", "--message", last))
	}
	thin := must(git("HEAD\n^HEAD~1\n", "pack-objects", "--thin", "--stdout", "--revs", "--quiet"))
	empty, pack := filepath.Join(t.TempDir(), "empty.git"), filepath.Join(t.TempDir(), "thin.pack")
	must(git("", "init", "--quiet", "--bare", empty))
	accepted := func() bool {
		_, err := git("", "--git-dir", empty, "index-pack", pack)
		return err == nil
	}
	if err := os.WriteFile(pack, thin, 0o600); err != nil {
		t.Fatal(err)
	}
	if accepted() {
		t.Fatal("the pack is complete already")
	}
	objects := openStorage(filepath.Join(dir, ".git"))
	if err := completePack(pack, objects); err != nil || !accepted() {
		t.Errorf("git does not take the completed pack: %v", err)
	}
	for length := range len(thin) {
		cut := filepath.Join(t.TempDir(), "cut.pack")
		if err := os.WriteFile(cut, thin[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		err := completePack(cut, objects)
		if err == nil {
			err = storePack(openStorage(t.TempDir()), cut)
		}
		if err == nil {
			t.Fatalf("%d of %d bytes are taken for a pack", length, len(thin))
		}
	}
}
