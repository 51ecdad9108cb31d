package kargo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// Keys are the keys of the digests that show: in names and labels, in texts and in the
// history. Without a key, everybody who knows the rest of a content could try out
// passwords on its digest. Each key has one purpose, and all are derived from the key
// of the instance. They belong neither to a workspace nor to the data directory.
type Keys struct {
	// Objects is for names and labels of Swarm objects.
	Objects []byte
	// Texts is for what stands in a text in the place of a secret value.
	Texts []byte
	// Specs is for what identifies the spec of a service, a stack or a credential.
	Specs []byte
	// Directories is for what identifies the content of a directory.
	Directories []byte
}

// KeyedDigest returns a digest of a text under a key (HMAC-SHA256), as 64 hexadecimal
// digits.
func KeyedDigest(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, text) // a hash never fails
	return hex.EncodeToString(mac.Sum(nil))
}
