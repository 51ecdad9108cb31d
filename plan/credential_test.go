package plan_test

import (
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

func TestAChangedCredentialIsSentAlone(t *testing.T) {
	const renewed = "update service kargo-web_a: credentials of registry.example changed; no task is restarted, and from now on `docker service rollback` returns to this same spec\n"
	updating := live("web", "kargo-web_a", "app:1")
	updating.Update = &swarm.UpdateStatus{State: swarm.UpdateStateUpdating}
	for _, test := range []struct {
		name        string
		sent, given string
		live        kargo.LiveService
		want        string
	}{
		{"another one", "one", "two", live("web", "kargo-web_a", "app:1"), renewed},
		{"the first one", kargo.NoCredential, "two", live("web", "kargo-web_a", "app:1"), renewed},
		{"the same", "one", "one", live("web", "kargo-web_a", "app:1"), "nothing to do\n"},
		{"it is not known what was sent", "", "two", live("web", "kargo-web_a", "app:1"), "nothing to do\n"},
		{"none any more: Swarm keeps the one it has", "one", kargo.NoCredential, live("web", "kargo-web_a", "app:1"), "nothing to do\n"},
		{"while an update is on its way", "one", "two", updating, "nothing to do\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := options()
			opts.Memory.Sent = kargo.Sent{"kargo-web_a": {Credential: test.sent}}
			opts.Credentials = map[string]kargo.Credential{"kargo-web_a": {Registry: "registry.example", Digest: test.given}}
			got := plan.Make([]kargo.Stack{stack("web", service("kargo-web_a", "app:1"))}, cluster(test.live), opts)
			check(t, got, test.want)
			if len(got.Changes) == 1 && got.Changes[0].Service.TaskTemplate.ContainerSpec.Image != "app:1@sha256:pinned" {
				t.Errorf("the image becomes %s", got.Changes[0].Service.TaskTemplate.ContainerSpec.Image)
			}
		})
	}
}
