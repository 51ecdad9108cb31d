package render_test

import (
	"fmt"
	"testing"

	"kargo"
	"kargo/render"
)

func TestNodeLabels(t *testing.T) {
	labels, problems := render.NodeLabels(kargo.Workspace{
		Env: kargo.Environment{
			"WORKER_0_LABELS": "redis=true  zone=a zone=b\nssd", "MANAGER_LABELS": "", "_LABELS": "x=1",
			"WORKER_1_LABELS": "=x kargo.labels.default=zone",
		},
		Lines: map[string]kargo.Place{"WORKER_0_LABELS": {File: ".env", Line: 3}, "MANAGER_LABELS": {File: ".env", Line: 2}, "WORKER_1_LABELS": {File: ".env", Line: 5}},
	})
	const want = `[{MANAGER_LABELS .env:2 map[]} {WORKER_0_LABELS .env:3 map[redis:true ssd: zone:b]} {WORKER_1_LABELS .env:5 map[]}]`
	if got := fmt.Sprint(labels); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	const wrong = `[.env:3: warning: WORKER_0_LABELS sets zone twice; "b" counts ` +
		`.env:5: WORKER_1_LABELS has a label without a key: "=x" (write labels as key=value, separated by blanks) ` +
		`.env:5: WORKER_1_LABELS sets kargo.labels.default, which Kargo itself writes]`
	if got := fmt.Sprint([]kargo.Problem(problems)); got != wrong {
		t.Errorf("got  %s\nwant %s", got, wrong)
	}
}
