package dockerauth_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"kargo"
	"kargo/dockerauth"
)

func TestFor(t *testing.T) {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	config := `{"auths": {
		"registry.example:5000": {"auth": "` + encode("ann:pass:word") + `"},
		"https://quay.example/v2/": {"auth": "` + encode("quay:q") + `"},
		"https://index.docker.io/v1/": {"auth": "` + encode("hub:h") + `"},
		"token.example": {"identitytoken": "t0ken"},
		"damaged.example": {"auth": "hunter22"},
		"helper.example": {}
	}, "credsStore": "desktop"}`
	for domain, want := range map[string]string{
		"registry.example:5000": "ann pass:word ",
		"registry.example":      "none",
		"quay.example":          "quay q ",
		"docker.io":             "hub h ",
		"token.example":         "  t0ken",
		"other.example":         "none",
	} {
		auth, err := dockerauth.For([]byte(config), domain)
		if err != nil {
			t.Errorf("%s: %v", domain, err)
			continue
		}
		got := "none"
		if auth != nil {
			got = auth.Username + " " + auth.Password + " " + auth.IdentityToken
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", domain, got, want)
		}
	}
	for name, bad := range map[string]string{"damaged.example": config, "x": "hunter22"} {
		_, err := dockerauth.For([]byte(bad), name)
		if kargo.FaultOf(err) != kargo.Invalid || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if auth, err := dockerauth.For(nil, "docker.io"); auth != nil || err != nil {
		t.Errorf("no file: %v, %v", auth, err)
	}
}
