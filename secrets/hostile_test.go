package secrets_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"kargo"
	"kargo/secrets"
	"kargo/secrets/opener"
	"kargo/secrets/secretstest"
)

// YAML can refer to a part of itself, and SOPS writes the part out each time. A few
// lines must not become gigabytes.
func TestS05_AliasesThatGrow(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	var text strings.Builder
	text.Write(secretstest.For(secretstest.ForAge(t, key.Recipient().String())).Seal(t, "a.yaml", "", "password: hunter22\n"))
	text.WriteString("---\na0: &a0 [x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&text, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 8), ", "))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := read(t, secrets.Options{AgeKeys: given(key.String()), Start: opener.Start}, "a.yaml", []byte(text.String()))
	runtime.ReadMemStats(&after)
	const want = "a.yaml: is encrypted with SOPS and cannot be read as yaml (restore it as `sops encrypt` wrote it)"
	if err == nil || kargo.FaultOf(err) != kargo.Invalid || kargo.Explain(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
		t.Errorf("refusing it took %d bytes", grown)
	}
}
