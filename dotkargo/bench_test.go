package dotkargo_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"kargo"
	"kargo/dotkargo"
	"kargo/test/growth"
)

// big is a workspace of so many stacks, with four files each.
func big(stacks int) kargo.Workspace {
	ws := workspace(".env=STACKS=s")
	for i := range stacks {
		for j := range 2 {
			ws.Files[fmt.Sprintf("deploy/s%04d-%d.yml", i, j)] = kargo.File{Data: []byte("services: {}\n")}
			ws.Files[fmt.Sprintf("configs/s%04d/%d", i, j)] = kargo.File{Data: fmt.Appendf(nil, "content of %d\n", i)}
		}
	}
	return ws
}

// BenchmarkWrite writes the tree again, as a controller does, when nothing differs, and when
// one file does, or two.
func BenchmarkWrite(b *testing.B) {
	for _, stacks := range []int{10, 100, 300, 1000} {
		for differing, name := range []string{"nothing differs", "one file differs", "two files differ"} {
			b.Run(fmt.Sprintf("%s/%d stacks", name, stacks), func(b *testing.B) { benchmarkWrite(b, stacks, differing) })
		}
	}
}

func benchmarkWrite(b *testing.B, stacks int, differing int) {
	ws, writer := big(stacks), dotkargo.NewWriter(filepath.Join(b.TempDir(), ".kargo"))
	write := func() {
		if err := writer.Write(ws); err != nil {
			b.Fatal(err)
		}
	}
	write()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for part := range differing {
			ws.Files[fmt.Sprintf("deploy/s0001-%d.yml", part)] = kargo.File{Data: fmt.Appendf(nil, "services: {} # %d\n", i)}
		}
		write()
	}
}

func TestCostGrowsWithTheFiles(t *testing.T) {
	for differing, name := range []string{"nothing differs", "one file differs", "two files differ"} {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 50, func(stacks int) func() {
				ws, writer := big(stacks), dotkargo.NewWriter(filepath.Join(t.TempDir(), ".kargo"))
				writes := 0
				return func() {
					for part := range differing {
						ws.Files[fmt.Sprintf("deploy/s0001-%d.yml", part)] = kargo.File{Data: fmt.Appendf(nil, "services: {} # %d\n", writes)}
					}
					writes++
					if err := writer.Write(ws); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}
