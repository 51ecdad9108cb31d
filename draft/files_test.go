package draft_test

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kargo/draft"
)

func TestFromFiles(t *testing.T) {
	const web = "services:\n  web:\n    image: x\n"
	for _, test := range []struct {
		name  string
		files map[string]string
		only  string // of one compose file
		want  string // the files
		lost  string
	}{
		{"nothing", map[string]string{"README.md": "services"}, "", "", ""},
		{"a compose file of the folder is the stack of its name", map[string]string{"compose.yml": web}, "", "stacks/old/compose.yml", ""},
		{"one compose file", map[string]string{"compose.yml": web, "other.yml": web}, "other.yml", "stacks/other/compose.yml", ""},
		{"each file of a folder", map[string]string{"a.yml": web, "b.yaml": web, "values.yml": "a: 1\n"}, "", "stacks/a/compose.yml stacks/b/compose.yml", ""},
		{"each directory", map[string]string{"a/docker-compose.yml": web, "deep/er/b/stack.yml": web, ".git/compose.yml": web}, "", "stacks/a/docker-compose.yml stacks/b/stack.yml", ""},
		{"a file for Swarm comes first", map[string]string{"a/docker-compose.yml": web, "a/docker-stack.yml": web}, "", "stacks/a/docker-stack.yml",
			"a/docker-compose.yml: is not read; if it belongs to the stack, copy it to stacks/a and name it in kargo.yml: stacks: {a: {files: [docker-stack.yml, docker-compose.yml]}}"},
		{"two of one name", map[string]string{"x/a/compose.yml": web, "y/a/compose.yml": web}, "", "stacks/a/compose.yml", "y/a/compose.yml: another stack is called a already; copy it by hand under another name"},
		{"a name that no stack can have", map[string]string{"my shop!/compose.yml": web, "all/compose.yml": web}, "", "stacks/my-shop/compose.yml stacks/stack/compose.yml", ""},
		{"what it refers to",
			map[string]string{
				"a/compose.yml": web + "    env_file: [w.env, {path: ./more.env}]\n    volumes: [\"./conf:/c\", \"/etc/x:/x\", {type: bind, source: ./one, target: /o}]\nconfigs: {c: {file: ./c.txt}}\nsecrets: {s: {file: sub/s}}\n",
				"a/.env":        "A=1", "a/w.env": "", "a/more.env": "", "a/conf/x": "", "a/conf/y/z": "", "a/one": "", "a/c.txt": "", "a/sub/s": "", "a/unused": "",
			}, "", "stacks/a/.env stacks/a/c.txt stacks/a/compose.yml stacks/a/conf/x stacks/a/conf/y/z stacks/a/more.env stacks/a/one stacks/a/sub/s stacks/a/w.env", ""},
		{"what it cannot take",
			map[string]string{
				"a/compose.yml": web + "    env_file: [\"$X.env\", ../b.env, ../../out.env, none.env]\nconfigs: {c: {file: /etc/c}}\n", "b.env": "",
			}, "", "stacks/a/compose.yml stacks/b.env",
			"a/compose.yml: configs.c: /etc/c is a file of this machine; put it beside the compose file\n" +
				"a/compose.yml: services.web.env_file: $X.env depends on a variable and was not copied; put the file beside the compose file\n" +
				"a/compose.yml: services.web.env_file: ../../out.env lies outside of what is copied; put it beside the compose file\n" +
				"a/compose.yml: services.web.env_file: there is no file none.env"},
		{"data", map[string]string{"a/compose.yml": web + "    volumes: [\"./data:/d\"]\n", "a/data/large": strings.Repeat("x", 1<<20+1)}, "", "stacks/a/compose.yml",
			"a/data: seems to be data and was not copied (more than 200 files, or one of more than 1048576 bytes); use a volume, or a path that the nodes have"},
		{"no YAML", map[string]string{"a/compose.yml": "services: ["}, "", "stacks/a/compose.yml", "a/compose.yml: cannot be read as YAML, so files that it refers to were not copied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, content := range test.files {
				files[name] = &fstest.MapFile{Data: []byte(content)}
			}
			made, err := draft.FromFiles(files, "old", test.only)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(slices.Sorted(maps.Keys(made.Files)), " "); got != test.want {
				t.Errorf("files are\n%s\nwant\n%s", got, test.want)
			}
			if got := strings.Join(made.Lost, "\n"); got != test.lost {
				t.Errorf("lost is\n%s\nwant\n%s", got, test.lost)
			}
		})
	}
}

// Links are not followed, and a file that may be run stays one.
func TestFromFilesKeepsModes(t *testing.T) {
	made, err := draft.FromFiles(fstest.MapFS{
		"compose.yml": {Data: []byte("services:\n  web:\n    image: x\n    volumes: [\"./bin:/bin\"]\n")},
		"bin/run":     {Data: []byte("#!/bin/sh\n"), Mode: 0o755}, "bin/plain": {Mode: 0o644}, "bin/link": {Mode: fs.ModeSymlink, Data: []byte("/etc/passwd")},
	}, "shop", "")
	if err != nil {
		t.Fatal(err)
	}
	if !made.Files["stacks/shop/bin/run"].Executable || made.Files["stacks/shop/bin/plain"].Executable || len(made.Files) != 3 {
		t.Errorf("files are %v", made.Files)
	}
	if got, want := strings.Join(made.Lost, "\n"), "bin/link: is a link or a device, and was not copied"; got != want {
		t.Errorf("lost is %q, want %q", got, want)
	}
}
