package compose_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/types"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"kargo"
	"kargo/render/compose"
	"kargo/render/view"
)

// pool holds values of a service that Docker merges without a loss. Of each key a
// file has none or one.
var pool = map[string][]any{
	"image":             {"a:1", "b:2"},
	"command":           {"run", []any{"run", "--fast"}},
	"entrypoint":        {"/start", []any{"/start", "now"}},
	"user":              {"alice", "bob"},
	"hostname":          {"h", "{{.Node.Hostname}}"},
	"read_only":         {true},
	"init":              {true},
	"stop_grace_period": {"10s", "1m"},
	"cap_add":           {[]any{"NET_ADMIN"}, []any{"SYS_TIME", "CHOWN"}},
	"dns":               {"1.1.1.1", []any{"8.8.8.8"}},
	"extra_hosts":       {[]any{"a:1.1.1.1"}, map[string]any{"b": "2.2.2.2"}},
	"environment":       {[]any{"A=1", "B=2"}, map[string]any{"A": "3", "C": nil, "OUTSIDE": nil}},
	"labels":            {[]any{"a=1"}, map[string]any{"a": "2", "b": "3"}},
	"sysctls":           {[]any{"x=1"}, map[string]any{"x": 2}},
	"ulimits":           {map[string]any{"nproc": 10}, map[string]any{"nproc": map[string]any{"soft": 1, "hard": 2}, "nofile": 5}},
	"ports":             {[]any{"80:80", "9000:9000/udp"}, []any{map[string]any{"target": 81, "published": 80, "protocol": "tcp"}, "70:70"}},
	"volumes":           {[]any{"data:/data", "/srv:/srv:ro"}, []any{map[string]any{"type": "volume", "source": "other", "target": "/data"}}},
	"configs":           {[]any{"c"}, []any{map[string]any{"source": "c", "target": "c", "mode": 288}, "d"}},
	"secrets":           {[]any{"c"}, []any{map[string]any{"source": "c", "target": "c", "uid": "1"}, "d"}},
	"logging":           {map[string]any{"driver": "json-file", "options": map[string]any{"a": "1"}}, map[string]any{"options": map[string]any{"b": "2"}}, map[string]any{"driver": "none", "options": map[string]any{"c": "3"}}},
	"networks":          {[]any{"n"}, map[string]any{"n": map[string]any{"aliases": []any{"x"}}, "m": nil}, map[string]any{"n": map[string]any{"aliases": []any{"y", "z"}}}},
	"healthcheck":       {map[string]any{"interval": "5s", "retries": 2}, map[string]any{"start_period": "3s", "timeout": "1s"}},
	"deploy": {
		map[string]any{"replicas": 2, "labels": []any{"x=1"}, "update_config": map[string]any{"delay": "5s", "parallelism": 3}},
		map[string]any{"replicas": 0, "labels": map[string]any{"x": "2"}, "update_config": map[string]any{"order": "start-first"}},
		map[string]any{"placement": map[string]any{"constraints": []any{"node.role==worker"}, "preferences": []any{map[string]any{"spread": "node.labels.zone"}}}},
		map[string]any{"resources": map[string]any{"limits": map[string]any{"memory": "1g", "cpus": "0.5"}}, "restart_policy": map[string]any{"condition": "any", "delay": "1s"}},
		map[string]any{"resources": map[string]any{"limits": map[string]any{"memory": "2g"}, "reservations": map[string]any{"memory": "1g"}}},
	},
}

// Files without anything that Docker would lose merge as Docker merges them.
func TestFilesMergeAsDockerMergesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ws := kargo.Workspace{Root: "/srv/.kargo", Env: kargo.Environment{"OUTSIDE": "x"}, Files: map[string]kargo.File{}}
		var files []kargo.ComposeFile
		var sources []types.ConfigFile
		for i := range rapid.IntRange(1, 3).Draw(t, "files") {
			service := map[string]any{}
			for _, key := range slices.Sorted(maps.Keys(pool)) {
				values := pool[key]
				if n := rapid.IntRange(0, 2*len(values)-1).Draw(t, fmt.Sprint(key, i)); n < len(values) {
					service[key] = values[n]
				}
			}
			data, err := yaml.Marshal(map[string]any{"services": map[string]any{"app": service}})
			if err != nil {
				t.Fatal(err)
			}
			entry := fmt.Sprintf("f%d", i)
			files = append(files, kargo.ComposeFile{Entry: entry, Path: "deploy/" + entry + ".yml"})
			ws.Files["deploy/"+entry+".yml"] = kargo.File{Data: data}
			dict, err := loader.ParseYAML(data)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, types.ConfigFile{Filename: entry, Config: dict})
		}
		docker, err := loader.Load(types.ConfigDetails{WorkingDir: "/srv/.kargo/deploy", ConfigFiles: sources, Environment: ws.Env})
		if err != nil {
			t.Fatal(err)
		}
		report := &compose.Report{}
		ours := new(compose.Reader).Read(view.New(ws).For("web"), report, "web", files)
		if ours == nil {
			t.Fatal(report.Problems())
		}
		if got, want := text(t, ours.Config.Services), text(t, docker.Services); got != want {
			a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
			i := 0
			for i < len(a) && i < len(b) && a[i] == b[i] {
				i++
			}
			t.Fatalf("line %d: %s; Docker: %s", i, a[i:min(i+8, len(a))], b[i:min(i+8, len(b))])
		}
	})
}

func text(t *rapid.T, services types.Services) string {
	data, err := json.MarshalIndent(services, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
