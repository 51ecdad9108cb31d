package swarm_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// digest is what the registry answers in these tests.
const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func imageBed(image string) (*bed, kargo.Change) {
	engine := swarmtest.New(swarmtest.AutoSettle)
	engine.Image(image, swarmtest.Behaviour{Digest: digest})
	api := engine.Client()
	b := &bed{api: api, client: swarm.New(api), engine: engine, image: image}
	spec := b.spec("one")
	spec.Labels = map[string]string{kargo.LabelImage: image}
	change := serviceChange(spec)
	change.ResolveImage = true
	return b, change
}

func TestImageIsPinnedAndReadBackAsWritten(t *testing.T) {
	for written, pinned := range map[string]string{
		"redis":                     "redis:latest@" + digest,
		"redis:7":                   "redis:7@" + digest,
		"docker.io/library/redis:7": "redis:7@" + digest,
		"example.org:5000/a/b:1":    "example.org:5000/a/b:1@" + digest,
		"redis:7@" + digest:         "redis:7@" + digest,
	} {
		b, create := imageBed(written)
		same(t, "apply", b.apply(t, create), "create service one: ok")
		live := b.service(t)
		same(t, "asked and running", live.Spec.TaskTemplate.ContainerSpec.Image+" "+live.Image, written+" "+pinned)
		if placement := live.Spec.TaskTemplate.Placement; placement != nil && placement.Platforms != nil {
			t.Errorf("the platforms of the image are in the spec: %v", placement.Platforms)
		}
	}
}

func TestUpdateWithThePinnedImageReplacesNoTask(t *testing.T) {
	b, create := imageBed("redis:7")
	b.apply(t, create)
	live := b.service(t)
	same(t, "apply", b.apply(t, updateOf(live, func(s *dockerswarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Image = live.Image
		s.Labels["a"] = "1"
	})), "update service one: ok")
	live = b.service(t)
	same(t, "asked and running", live.Spec.TaskTemplate.ContainerSpec.Image+" "+live.Image, "redis:7 redis:7@"+digest)
	if live.Update != nil {
		t.Errorf("tasks were replaced: %+v", live.Update)
	}
}

func TestImageThatSomebodyElseChangedIsNotTheOneAskedFor(t *testing.T) {
	b, create := imageBed("redis:7")
	b.apply(t, create)
	b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "redis:6" })
	same(t, "asked", b.service(t).Spec.TaskTemplate.ContainerSpec.Image, "redis:6")
}

func TestRegistryThatCannotBeAskedIsNoError(t *testing.T) {
	b, create := imageBed("redis:7")
	b.engine.Image("redis:7", swarmtest.Behaviour{Unlisted: true})
	same(t, "apply", b.apply(t, create), "create service one: ok")
	same(t, "running", b.service(t).Image, "redis:7")
}

func TestSilentRegistryIsAskedOnce(t *testing.T) {
	engine, client := overSocket(t, time.Second)
	engine.Fail(func(r *http.Request) (int, string) {
		if r.URL.Path == "/distribution/redis:7/json" || r.URL.Path == "/distribution/redis:8/json" {
			return swarmtest.Silent, ""
		}
		return 0, ""
	})
	b := &bed{api: engine.Client(), client: client, engine: engine, image: "redis:7"}
	one, two := serviceChange(b.spec("one")), serviceChange(b.spec("two"))
	two.Service.TaskTemplate.ContainerSpec.Image = "redis:8"
	one.ResolveImage, two.ResolveImage = true, true
	same(t, "apply", b.apply(t, one, two), "create service one: ok\ncreate service two: ok")
	same(t, "asked", fmt.Sprint(client.Calls()["DistributionInspect"]), "1")
}
