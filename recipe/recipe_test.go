package recipe_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"kargo"
	"kargo/recipe"
)

func workspace(files ...string) kargo.Workspace {
	ws := kargo.Workspace{
		Env: kargo.Environment{"MAP_IMAGE": "localhost:5000/map", "MAP_TAG": "8.6", "EMPTY": ""}, Files: map[string]kargo.File{},
		Lines: map[string]kargo.Place{"MAP_IMAGE": {File: ".env", Line: 3}, "MAP_TAG": {File: ".env.default", Line: 7}},
	}
	for _, file := range files {
		name, content, _ := strings.Cut(file, "=")
		ws.Files[name] = kargo.File{Data: []byte(content)}
	}
	return ws
}

func read(t *testing.T, name string, ws kargo.Workspace) string {
	t.Helper()
	build, problems, err := recipe.Read(ws, name)
	switch {
	case err != nil:
		return kargo.Explain(err)
	case problems.Err() != nil:
		return problems.Error()
	}
	return fmt.Sprintf("%v %s %v %v %t %t %t", slices.Sorted(maps.Keys(build.Files)), build.Dockerfile, build.Args, build.Tags, build.Push, build.Pull, build.Cache)
}

func TestRead(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"the least", "image: ${MAP_IMAGE}:$MAP_TAG", "[Dockerfile page.txt] Dockerfile map[] [localhost:5000/map:8.6] true true true"},
		{"all there is", "image: [a:1, '${MAP_IMAGE}:2']\ndockerfile: ./other\nargs: {A: \"${MAP_TAG}-${EMPTY:-x}$$\"}\ninclude: {conf: configs/map, other: configs/map/one.txt}\npush: false\npull: false\ncache: false",
			"[Dockerfile conf/one.txt conf/sub/two.txt other page.txt] other map[A:8.6-x$] [a:1 localhost:5000/map:2] false false false"},
		{"a variable that is empty", "image: ${MAP_IMAGE}:${EMPTY}", "build/map/build.yml:1: EMPTY is required: set it in .env"},
		{"and says why it is needed", "image: a:1\nargs: {A: '${NOSUCH:?the pages hold it}'}", "build/map/build.yml:2: NOSUCH is required: the pages hold it"},
		{"a lone dollar", "image: a$:1", `build/map/build.yml:1: "$:1" is not a reference to a variable (write "$$" for a plain dollar)`},
		{"a key nobody knows", "image: a:1\nimages: b", `build/map/build.yml:2: a recipe has no key "images" (did you mean image?)`},
		{"no name", "push: true", "build/map/build.yml:1: the image has no name (name it as its service does: image: ${NAME_IMAGE}:${NAME_TAG})"},
		{"no Dockerfile", "image: a:1\ndockerfile: Containerfile", "build/map/build.yml:1: the context has no Containerfile"},
		{"a folder that is not there", "image: a:1\ninclude: {x: configs/nosuch}", "build/map/build.yml:2: the merged configuration has no configs/nosuch"},
		{"a secret in the context", "image: a:1\ninclude: {x: configs/key}",
			"build/map/build.yml:2: configs/key/key.pem was encrypted, and would be in the image's context (an image shows all of its files to whoever can pull it)"},
		{"no yes", "image: a:1\npush: perhaps", "build/map/build.yml:2: this must be true or false"},
		{"no mapping", "- a", "build/map/build.yml:1: a recipe is a mapping with the keys image, dockerfile, args, include, push, pull, cache"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ws := workspace("build/map/Dockerfile=FROM scratch", "build/map/page.txt=", "build/mapcache/Dockerfile=", "configs/map/one.txt=", "configs/map/sub/two.txt=",
				"configs/maps.txt=", "build/map/build.yml="+test.text)
			ws.Files["configs/key/key.pem"] = kargo.File{Secret: true}
			if strings.Contains(test.text, "other") {
				ws.Files["build/map/other"] = kargo.File{}
			}
			if got := read(t, "map", ws); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	if got := read(t, "mpa", workspace("build/map/build.yml=")); got != "there is no recipe build/mpa/build.yml (did you mean map?)" {
		t.Errorf("got %s", got)
	}
}

func TestForeign(t *testing.T) {
	ws := workspace("build/map/build.yml=image: ${MAP_IMAGE}:${MAP_TAG}")
	if got := recipe.Foreign(ws, "map"); got != "" {
		t.Errorf("an image of the workspace's own is taken for one of %s", got)
	}
	ws.Lines["MAP_IMAGE"] = kargo.Place{File: kargo.FileEnvDefault, Line: 6}
	if got := recipe.Foreign(ws, "map"); got != "MAP_IMAGE" {
		t.Errorf("got %q, want MAP_IMAGE", got)
	}
}
