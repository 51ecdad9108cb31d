package secrets

import (
	"bytes"
	"path"
	"strings"
)

// SOPSValue begins a value that SOPS encrypted.
var SOPSValue = []byte("ENC[AES256_GCM,data:")

// SOPSMarks are how SOPS's own part of a file begins, by format.
var SOPSMarks = map[string][]byte{
	"yaml": []byte("\nsops:"), "json": []byte(`"sops":`), "dotenv": []byte("\nsops_"), "ini": []byte("\n[sops]"),
}

// IsSOPS reports whether a file has encrypted values and SOPS's own part.
func IsSOPS(data []byte) bool {
	if !bytes.Contains(data, []byte("ENC[AES256_GCM,")) {
		return false
	}
	for _, mark := range SOPSMarks {
		if bytes.Contains(data, mark) || bytes.HasPrefix(data, bytes.TrimPrefix(mark, []byte("\n"))) {
			return true
		}
	}
	return false
}

// IsAge reports whether a whole file is encrypted with age, binary or armored.
func IsAge(data []byte) bool {
	return bytes.HasPrefix(data, []byte("age-encryption.org/v1\n")) || bytes.HasPrefix(data, []byte("-----BEGIN AGE ENCRYPTED FILE-----"))
}

// IsGitCrypt reports whether a file begins as git-crypt writes it.
func IsGitCrypt(data []byte) bool { return bytes.HasPrefix(data, []byte("\x00GITCRYPT\x00")) }

// IsEnvironment reports whether a file is the environment file of a workspace, or
// one beside it that may be sourced.
func IsEnvironment(name string) bool { return path.Ext(name) == ".env" && !strings.Contains(name, "/") }

// isPlain reports whether a file is plain text without references, so that nothing is to
// be opened. If it returns false, only the opener knows.
func isPlain(name string, data []byte) bool {
	return !IsGitCrypt(data) && !IsAge(data) && !bytes.Contains(data, []byte("ENC[AES256_GCM,")) &&
		!(IsEnvironment(name) && bytes.Contains(data, []byte("ref+")))
}
