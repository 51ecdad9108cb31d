package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOwnContainer(t *testing.T) {
	id := strings.Repeat("0a1b", 16)
	for name, test := range map[string]struct{ mounts, want string }{
		"in a container": {"712 700 0:52 / /proc rw - proc proc rw\n" +
			"733 700 8:1 /var/lib/docker/containers/" + id + "/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw\n", id},
		"in a pod":  {"733 700 8:1 /var/lib/kubelet/pods/9f1c/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n", ""},
		"on a host": {"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", ""},
	} {
		path := filepath.Join(t.TempDir(), "mountinfo")
		if err := os.WriteFile(path, []byte(test.mounts), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ownContainer(path); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := ownContainer(filepath.Join(t.TempDir(), "nothing")); got != "" {
		t.Errorf("without a list: %q", got)
	}
}
