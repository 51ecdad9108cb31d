package gitsync

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"os"
	"path/filepath"
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
		if err := checkPack(path, Limits{File: 1 << 20}.withDefaults(), false); err != nil {
			got = kargo.Explain(err)
		}
		if got != c.want {
			t.Errorf("delta that makes %d bytes:\n got %s\nwant %s", c.makes, got, c.want)
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
