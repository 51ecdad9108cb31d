package swarm_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// digest is what the registry returns in these tests.
const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func imageBed(image string) (*bed, kargo.Change) {
	engine := swarmtest.New(swarmtest.AutoSettle)
	engine.Image(image, swarmtest.Behaviour{Digest: digest})
	api := engine.Client()
	b := &bed{api: api, client: swarm.New(api), engine: engine, image: image}
	spec := b.spec("one")
	spec.Labels = map[string]string{kargo.LabelImage: image}
	return b, serviceChange(spec)
}

// pinned is the change with what the image's registry says of it, as a planner
// makes it.
func (b *bed) pinned(t *testing.T, change kargo.Change) kargo.Change {
	t.Helper()
	images, err := b.client.Images(t.Context(), b.image)
	if err != nil {
		t.Fatal(err)
	}
	if image := images[b.image]; image.Pinned != "" {
		change.Service.TaskTemplate.ContainerSpec.Image = image.Pinned
		change.Service.TaskTemplate.Placement = &dockerswarm.Placement{Platforms: image.Platforms}
	}
	return change
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
		same(t, "apply", b.apply(t, b.pinned(t, create)), "create service one: ok")
		live := b.service(t)
		same(t, "asked and running", live.Spec.TaskTemplate.ContainerSpec.Image+" "+live.Image, written+" "+pinned)
		if placement := live.Spec.TaskTemplate.Placement; written != pinned && (placement == nil || len(placement.Platforms) != 1) {
			t.Errorf("the platforms of the image are not in the spec: %v", placement)
		}
	}
}

func TestUpdateWithThePinnedImageReplacesNoTask(t *testing.T) {
	b, create := imageBed("redis:7")
	b.apply(t, b.pinned(t, create))
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
	b.apply(t, b.pinned(t, create))
	b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "redis:6" })
	same(t, "asked", b.service(t).Spec.TaskTemplate.ContainerSpec.Image, "redis:6")
}

func TestWhatRegistriesSay(t *testing.T) {
	b, _ := imageBed("redis:7")
	b.engine.Image("redis:8", swarmtest.Behaviour{Unknown: true})
	b.engine.Image("redis:9", swarmtest.Behaviour{Unlisted: true})
	images, err := b.client.Images(t.Context(), "redis:7", "redis:8", "redis:9", "redis:7@"+digest)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "known", fmt.Sprint(images["redis:7"]), "{redis:7@"+digest+" [{amd64 linux}] }")
	same(t, "unknown", images["redis:8"].Missing, "manifest unknown: manifest unknown")
	same(t, "away", fmt.Sprint(images["redis:9"]), "{ [] }")
	same(t, "pinned already", fmt.Sprint(images["redis:7@"+digest]), "{ [] }")
	same(t, "asked", fmt.Sprint(b.client.Calls()["DistributionInspect"]), "3")
}

func TestSilentRegistryIsAskedOnce(t *testing.T) {
	engine, client := overSocket(t, time.Second)
	engine.Fail(func(r *http.Request) (int, string) {
		if strings.HasPrefix(r.URL.Path, "/distribution/redis:") {
			return swarmtest.Silent, ""
		}
		return 0, ""
	})
	images, err := client.Images(t.Context(), "redis:7", "redis:8")
	same(t, "answer", fmt.Sprint(images, err), "map[redis:7:{ [] } redis:8:{ [] }] <nil>")
	same(t, "asked", fmt.Sprint(client.Calls()["DistributionInspect"]), "1")
}
