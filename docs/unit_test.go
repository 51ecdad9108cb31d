package docs_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The unit for systemd takes from the controller what it does not need.
func TestS48_TheUnitIsHardened(t *testing.T) {
	data, err := os.ReadFile("kargo.service")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	for _, want := range []string{
		"User=kargo", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectProc=invisible",
		"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "RestrictNamespaces=yes", "MemoryDenyWriteExecute=yes",
		"SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources", "UMask=0077", "StateDirectoryMode=0700",
	} {
		found := false
		for _, line := range lines {
			found = found || line == want
		}
		if !found {
			t.Errorf("kargo.service has no line %s", want)
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if testing.Short() {
			t.Skip("no systemd-analyze: only the lines of the unit were checked")
		}
		t.Fatal("this test needs systemd-analyze, of the package systemd")
	}
	const worst = "20" // of 100
	out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+worst, "kargo.service").CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}
