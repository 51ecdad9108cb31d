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

// BenchmarkWrite writes the tree when nothing differs, and when one file does.
func BenchmarkWrite(b *testing.B) {
	for _, stacks := range []int{10, 100, 300, 1000} {
		b.Run(fmt.Sprintf("nothing differs/%d stacks", stacks), func(b *testing.B) { benchmarkWrite(b, stacks, false) })
		b.Run(fmt.Sprintf("one file differs/%d stacks", stacks), func(b *testing.B) { benchmarkWrite(b, stacks, true) })
	}
}

func benchmarkWrite(b *testing.B, stacks int, differing bool) {
	ws, dir := big(stacks), filepath.Join(b.TempDir(), ".kargo")
	write := func() {
		if err := dotkargo.Write(dir, ws); err != nil {
			b.Fatal(err)
		}
	}
	write()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if differing {
			ws.Files["deploy/s0001-0.yml"] = kargo.File{Data: fmt.Appendf(nil, "services: {} # %d\n", i)}
		}
		write()
	}
}

func TestCostGrowsWithTheFiles(t *testing.T) {
	for name, differing := range map[string]bool{"nothing differs": false, "one file differs": true} {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 50, func(stacks int) func() {
				ws, dir := big(stacks), filepath.Join(t.TempDir(), ".kargo")
				write(t, dir, ws)
				if differing {
					ws.Files["deploy/s0001-0.yml"] = kargo.File{Data: []byte("services: {} # other\n")}
				}
				return func() { write(t, dir, ws) }
			})
		})
	}
}
