package dotkargo_test

import (
	"os"
	"path/filepath"
	"testing"

	"kargo/dotkargo"
)

// The list of what Kargo wrote is lost, or a crash has damaged it. What a container wrote is
// kept all the same, and is not taken for Kargo's later. Where others may write nothing, all
// else is removed as ever.
func TestALostListCostsNothing(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"removed": os.Remove,
		"emptied": func(list string) error { return os.Truncate(list, 0) },
		"cut":     func(list string) error { return os.Truncate(list, 9) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), ".kargo")
			write(t, dir, workspace("a=1", "b=1", "configs/x/conf=1", "configs/x/gone=1"))
			put(t, dir, "configs/x/db/1")
			put(t, dir, "configs/x/plugin")
			put(t, dir, "scripts/stray")
			if err := spoil(filepath.Join(dir, ".written")); err != nil {
				t.Fatal(err)
			}
			writer := dotkargo.NewWriter(dir)
			for _, next := range []string{"2", "3"} {
				if err := writer.Write(workspace("a="+next, "b="+next, "configs/x/conf="+next)); err != nil {
					t.Fatal(err)
				}
				for _, file := range []string{"configs/x/db/1", "configs/x/plugin"} {
					if data, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(data) != "theirs" {
						t.Errorf("%s has %q, %v", file, data, err)
					}
				}
				if data, err := os.ReadFile(filepath.Join(dir, "configs/x/conf")); err != nil || string(data) != next {
					t.Errorf("the file of the workspace has %q, %v", data, err)
				}
				if _, err := os.Lstat(filepath.Join(dir, "scripts/stray")); !os.IsNotExist(err) {
					t.Errorf("a script that nobody wants is there: %v", err)
				}
			}
		})
	}
}
