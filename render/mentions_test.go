package render

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kargo"
)

// An index that follows a file through its versions counts what a new one counts.
func TestMentionsFollowAFile(t *testing.T) {
	lines := []string{"AB=1", "export CD=$AB", "export", "", " AB=${CD}x", "AB", "$ABc ${AB", "Ab CD"}
	text := rapid.Custom(func(t *rapid.T) []byte {
		all := strings.Join(rapid.SliceOfN(rapid.SampledFrom(lines), 0, 6).Draw(t, "lines"), "\n")
		if rapid.Bool().Draw(t, "ended") {
			all += "\n"
		}
		return []byte(all)
	})
	rapid.Check(t, func(t *rapid.T) {
		var kept mentions
		name := rapid.SampledFrom([]string{kargo.FileEnv, "scripts/run"}).Draw(t, "name")
		for range rapid.IntRange(1, 4).Draw(t, "versions") {
			files := map[string]kargo.File{"other": {Data: []byte("CD")}}
			if rapid.IntRange(0, 3).Draw(t, "exists") > 0 {
				files[name] = kargo.File{Data: text.Draw(t, "text")}
			}
			var fresh mentions
			fresh.update(files)
			kept.update(files)
			if !reflect.DeepEqual(kept.counts, fresh.counts) {
				t.Fatalf("counts differ after %q", files[name].Data)
			}
		}
	})
}
