package hooks_test

import (
	"testing"

	"kargo"
	"kargo/hooks"
)

func TestRefuse(t *testing.T) {
	workspace := kargo.Workspace{
		Env: kargo.Environment{"STACKS": "dbs my-apps", "DBS_STACK": "postgis redis", "MY_APPS_STACK": "kano"},
		Files: map[string]kargo.File{
			"deploy/postgis.yml":       {},
			"deploy/postgis_before.sh": {},
			"deploy/kano_after.sh":     {},
			"deploy/unlisted_after.sh": {},
			"scripts/redis_before.sh":  {}, // not a hook: not in deploy
		},
	}
	_, problems := hooks.Refuse(workspace)
	const want = `deploy/kano_after.sh:1: hooks are not run by this version of Kargo, and service kano has one (put what it prepares into the workspace itself, then remove it)
deploy/postgis_before.sh:1: hooks are not run by this version of Kargo, and service postgis has one (put what it prepares into the workspace itself, then remove it)`
	if got := problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
