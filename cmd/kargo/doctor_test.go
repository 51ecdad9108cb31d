package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kargo"
	"kargo/swarm"
)

// Each finding says what to do, in words of its own.
func TestFindings(t *testing.T) {
	well := swarm.Examination{Nodes: 3, Managers: 3, ClockKnown: true, Engines: map[string][]string{"29.0.0": {"a", "b", "c"}}}
	of := func(change func(*swarm.Examination)) []kargo.Finding {
		found := well
		change(&found)
		return ofSwarm(found)
	}
	dir := t.TempDir()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ofFile, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		about    string
		findings []kargo.Finding
		want     string // "what: says → remedy" of the one that is not well; "" if all is
	}{
		{"all is well", ofSwarm(well), ""},
		{"a manager is away", of(func(e *swarm.Examination) { e.Unreachable = []string{"b"} }), "warn managers: not reachable: b → restart Docker there"},
		{"two managers", of(func(e *swarm.Examination) { e.Managers = 2 }), "warn managers: 2 managers survive no more failures than 1 → have an odd number of managers"},
		{"a node is down", of(func(e *swarm.Examination) { e.Down = []string{"c"} }), "warn nodes: down: c → start Docker there, or remove the node"},
		{"a node is drained", of(func(e *swarm.Examination) { e.Drained = []string{"c"} }), "warn nodes: take no tasks: c → to use them: docker node update"},
		{"a node is paused", of(func(e *swarm.Examination) { e.Paused = []string{"a"} }), "warn nodes: take no tasks: a → "},
		{"an old engine", of(func(e *swarm.Examination) { e.Engines = map[string][]string{"19.03.1": {"a"}} }), "FAIL engines: engine 19.03.1 runs on a → upgrade it to 20.10 or later"},
		{"engines differ", of(func(e *swarm.Examination) { e.Engines = map[string][]string{"28.1.0": {"a"}, "29.0.0": {"b", "c"}} }), "warn engines: versions differ: 28.1.0 on a; 29.0.0 on b c → upgrade all nodes"},
		{"the clock is wrong", of(func(e *swarm.Examination) { e.Behind = -time.Minute }), "warn clock: the manager's clock differs by -1m0s → synchronise the clocks"},
		{"a proxy hides the nodes", ofSwarm(swarm.Examination{NodesHidden: true}), "warn nodes: a proxy in front of Docker does not show them: tasks of a node that is down count as running"},
		{"the clock is not known", of(func(e *swarm.Examination) { e.ClockKnown = false }), ""},
		{"the disk is nearly full", []kargo.Finding{ofDisk(100<<20, 1<<40, "/d")}, "warn disk: 100 MiB of 1048576 MiB are free at /d → make room"},
		{"little of the disk is free", []kargo.Finding{ofDisk(1<<30, 1<<40, "/d")}, "warn disk: "},
		{"a small part of a large disk is enough", []kargo.Finding{ofDisk(4<<30, 1<<40, "/d")}, ""},
		{"the disk has room", []kargo.Finding{ofDisk(1<<39, 1<<40, "/d")}, ""},
		{"no program opens encrypted files", ofSecretsProgram(func() (string, error) { return "/nosuch/kargo-secrets", nil }), "warn secrets: encrypted files cannot be opened: stat /nosuch/kargo-secrets: no such file or directory → install kargo and kargo-secrets"},
		{"another version", []kargo.Finding{sameVersion("2.0")}, "warn version: this program is dev, the controller is 2.0 → use the same version for both"},
		{"the same version", []kargo.Finding{sameVersion(version)}, ""},
		{"a directory of one's own", ofOwner(dir, info, os.Geteuid(), nil), ""},
		{"a directory of another user", ofOwner(dir, info, 4711, nil), "warn owner: " + dir + " belongs to user "},
		{"it cannot be written", ofOwner(dir, info, 4711, unix.EACCES), "FAIL owner: user 4711 cannot write " + dir + " → chown -R 4711 " + dir},
		{"its disk is read-only", ofOwner(dir, info, 0, unix.EROFS), "FAIL owner: " + dir + " cannot be written: read-only file system → mount the file system so that"},
		{"it is a file", ofOwner(file, ofFile, 0, nil), "FAIL owner: " + file + " is no directory → move it away"},
	} {
		var got []string
		for _, finding := range test.findings {
			word := "warn"
			if !finding.OK {
				word = "FAIL"
			}
			if finding.OK && !finding.Warning {
				continue
			}
			got = append(got, word+" "+finding.What+": "+finding.Says+" → "+finding.Remedy)
			if finding.Remedy == "" {
				t.Errorf("%s: %q has no remedy", test.about, finding.Says)
			}
		}
		if said := strings.Join(got, "\n"); !strings.HasPrefix(said, test.want) || (said == "") != (test.want == "") || len(got) > 1 {
			t.Errorf("%s: got %q, want %q", test.about, said, test.want)
		}
	}
}

// Files that others may read are found by their mode and their group.
func TestOthersMayRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: false, 0o604: true, 0o644: true, 0o601: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if othersMayRead(info) != want {
			t.Errorf("mode %04o: %t, want %t", mode, !want, want)
		}
	}
}

// On a disk that is read-only nothing can be written, by root neither: not what is there, and
// not what the first start makes. The merged configuration may be on a disk of its own.
func TestDoctorSeesThatADiskIsReadOnly(t *testing.T) {
	for name, of := range map[string]func(disk, data string) error{
		"the data directory":                        func(_, data string) error { return os.MkdirAll(filepath.Join(data, ".kargo-state"), 0o700) },
		"a data directory that is still to be made": func(string, string) error { return nil },
		"the merged configuration": func(disk, data string) error {
			real := t.TempDir()
			return errors.Join(os.Mkdir(filepath.Join(disk, "tree"), 0o700), os.Symlink(real, data), os.Symlink(filepath.Join(disk, "tree"), filepath.Join(real, ".kargo")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := t.TempDir()
			if err := unix.Mount("none", disk, "tmpfs", 0, "size=1m"); err != nil {
				if errors.Is(err, unix.EPERM) {
					t.Skip("only root may mount a disk")
				}
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
			data := filepath.Join(disk, "data")
			if err := of(disk, data); err != nil {
				t.Fatal(err)
			}
			e := examiner{dataDir: dataDir{data: data}}
			if got := e.owner(t.Context()); len(got) != 1 || !got[0].OK {
				t.Errorf("while it can be written: %+v", got)
			}
			if err := unix.Mount("none", disk, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			got := e.owner(t.Context())
			if len(got) == 0 || got[0].OK || !strings.Contains(got[0].Says, disk) || !strings.HasSuffix(got[0].Says, "cannot be written: read-only file system") {
				t.Errorf("while it is read-only: %+v", got)
			}
		})
	}
}
