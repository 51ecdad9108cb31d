package main

import (
	"strings"
	"testing"
)

// whyWorkspace has a value of each kind set in several layers.
func whyWorkspace(t *testing.T) (dir string, flags []string) {
	t.Helper()
	defaults := workspaceIn(t, ".env.default=APP_TAG=1\nAPP_IMAGE=app\n",
		"deploy/app.yml=services:\n  app:\n    image: ${APP_IMAGE}:${APP_TAG}\n    environment: {DEBUG: '1'}\n",
		"configs/x=default", "configs/y.tpl=$APP_TAG")
	company := workspaceIn(t, ".env=APP_TAG=2\n", "configs/x=company")
	dir = workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\nAPP_TAG=3\nAPP_EXTENSION=more\nAPP_CONSTRAINTS=node.role==manager\nDB_PASSWORD=hunter22\n",
		"deploy/more.yml=services:\n  app:\n    image: own/${APP_IMAGE}:${APP_TAG}\n    environment:\n      - API_TOKEN=swordfish\n      - DB=postgres://u:${DB_PASSWORD}@db\n    deploy:\n      placement:\n        constraints: [node.labels.a==b]\n",
		"configs/x=user")
	return dir, []string{"--defaults", defaults, "--layer", "company=dir:" + company}
}

func TestWhy(t *testing.T) {
	dir, flags := whyWorkspace(t)
	for _, test := range []struct{ what, want string }{
		{"APP_TAG", `
APP_TAG="3"
  .env.default:1  default
  .env.company:1  company
* .env:3          user
`},
		{"WORKSPACE", `
WORKSPACE="` + dir + `"
* Kargo sets it
`},
		{"configs/x", `
configs/x
  default
  company
* user
`},
		{".kargo/configs/y", `
configs/y
* default, rendered from configs/y.tpl
`},
		{"web.app.image", `
services.app.image of stack web
  deploy/app.yml:3   default  "${APP_IMAGE}:${APP_TAG}" = "app:3"
* deploy/more.yml:3  user     "own/${APP_IMAGE}:${APP_TAG}" = "own/app:3"

APP_IMAGE="app"
* .env.default:2  default

APP_TAG="3"
  .env.default:1  default
  .env.company:1  company
* .env:3          user
`},
		{"kargo-web_app", `
services.app of stack web
* deploy/app.yml:2   default
* deploy/more.yml:2  user
* deploy/more.yml:3  user     .image "own/${APP_IMAGE}:${APP_TAG}" = "own/app:3"
* deploy/app.yml:4   default  .environment
* deploy/more.yml:4  user     .environment
* deploy/more.yml:7  user     .deploy
`},
		{"services.app.deploy.placement.constraints", `
services.app.deploy.placement.constraints of stack web
* deploy/more.yml:9  user  "node.labels.a==b"
* .env:5             user  "${APP_CONSTRAINTS}" = "node.role==manager"

APP_CONSTRAINTS="node.role==manager"
* .env:5  user
`},
	} {
		code, stdout, stderr := kargoIn(t, dir, append([]string{"why", test.what}, flags...)...)
		if code != 0 || stdout != strings.TrimPrefix(test.want, "\n") {
			t.Errorf("%s: exit %d, %s\n%s", test.what, code, stderr, stdout)
		}
	}
}

// A secret shows as a digest, in a variable, in a value of that name, and
// inside of others.
func TestWhyHidesSecrets(t *testing.T) {
	dir, flags := whyWorkspace(t)
	for _, what := range []string{"DB_PASSWORD", "app.environment.API_TOKEN", "app.environment.DB", "app", "web"} {
		code, stdout, stderr := kargoIn(t, dir, append([]string{"why", what}, flags...)...)
		if code != 0 || strings.Contains(stdout, "hunter22") || strings.Contains(stdout, "swordfish") {
			t.Errorf("%s: exit %d, %s\n%s", what, code, stderr, stdout)
		}
		if strings.HasSuffix(what, "_TOKEN") && !strings.Contains(stdout, `"***`) {
			t.Errorf("%s shows nothing: %s", what, stdout)
		}
	}
	for _, args := range [][]string{{"why"}, {"why", "nosuch"}, {"why", "app.nosuch"}, {"why", "a", "b"}} {
		if code, _, stderr := kargoIn(t, dir, append(args, flags...)...); code != 2 {
			t.Errorf("%q: exit %d, %s", args, code, stderr)
		}
	}
}

// With --all each value has an explanation of its own: those that a merge key brings in,
// too, and the entries of lists.
func TestWhyOfEveryValue(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n", "deploy/app.yml=x-common: &common\n  image: app:1\n  labels: [a.b=c]\n"+
		"services:\n  app:\n    <<: *common\n    ports:\n      - 8080:80\n      - target: 90\n        published: 8090\n    command: [serve, --password, swordfish]\n")
	code, stdout, stderr := kargoIn(t, dir, "why", "app", "--all")
	want := `
services.app.image of stack web
* deploy/app.yml:2  user  "app:1"

services.app.labels.a.b of stack web
* deploy/app.yml:3  user  "c"

services.app.ports of stack web
* deploy/app.yml:7  user  "8080:80" "{target: 90, published: 8090}"

services.app.command of stack web
* deploy/app.yml:11  user  "serve" "--password" "***`
	if code != 0 || !strings.HasPrefix(stdout, strings.TrimPrefix(want, "\n")) || strings.Contains(stdout, "swordfish") {
		t.Errorf("exit %d, %s\n%s", code, stderr, stdout)
	}
}
