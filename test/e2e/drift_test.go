package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// driftIsCorrected scales a service by hand and waits until it is as the
// revision in force says.
func (s *scene) driftIsCorrected(inForce kargo.Deployment) {
	s.t.Helper()
	before := s.history()[0].Number
	name := s.service("web", "site")
	s.change(name, scale(3))
	corrected := s.awaitCorrection(before)
	if len(corrected.Changes) != 1 || corrected.Changes[0].Reason != "Mode.Replicated.Replicas: 3 -> 0" ||
		corrected.Revision.Commit != inForce.Revision.Commit {
		s.t.Errorf("the drift was answered by %v of %s", corrected.Changes, corrected.Revision)
	}
}

func scale(replicas uint64) func(*dockerswarm.ServiceSpec) {
	return func(spec *dockerswarm.ServiceSpec) { spec.Mode.Replicated.Replicas = &replicas }
}

// sinceWhen is the time of a drift, which differs from run to run.
var sinceWhen = regexp.MustCompile(`drift since \S+: `)

// awaitCorrection waits for the end of the deployment after a number.
func (s *scene) awaitCorrection(before uint64) kargo.Deployment {
	s.t.Helper()
	var newest kargo.Deployment
	until(s.t, "what was changed by hand is corrected", func() bool {
		newest = s.history()[0]
		return newest.Number > before && !newest.Finished.IsZero()
	})
	return newest
}

func TestWhatIsChangedByHandIsCorrected(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		w := s.workspace().stack("web", "site", "other").file("configs/page.txt", "page\n").
			service("site", config("/page.txt", "configs/page.txt")).service("other")
		s.begin(w)
		bystander := s.bystander()
		site := s.service("web", "site")
		state := s.live()

		for _, hand := range []struct {
			name string
			do   func()
			want string // the only change, without the prefix
		}{
			{"docker service scale", func() { s.change(site, scale(2)) },
				"update service kargo-t-web_site: drift: Mode.Replicated.Replicas: 2 -> 0"},
			{"docker service update --env-add", func() {
				s.change(site, func(spec *dockerswarm.ServiceSpec) {
					spec.TaskTemplate.ContainerSpec.Env = append(spec.TaskTemplate.ContainerSpec.Env, "DEBUG=1")
				})
			}, `update service kargo-t-web_site: drift: TaskTemplate.ContainerSpec.Env[DEBUG]: "1" -> (none)`},
			{"docker service rm", func() {
				if err := s.api.ServiceRemove(t.Context(), site); err != nil {
					t.Fatal(err)
				}
			}, "create service kargo-t-web_site: somebody else removed it"},
		} {
			before := s.history()[0].Number
			hand.do()
			corrected := s.awaitCorrection(before)
			got := strings.ReplaceAll(fmt.Sprint(kargo.Plan{Changes: corrected.Changes}), s.prefix, "t")
			got = sinceWhen.ReplaceAllString(got, "drift: ")
			if got != hand.want+"\n" {
				t.Errorf("%s is answered by\n%swant\n%s", hand.name, got, hand.want)
			}
			if corrected.Trigger != "swarm event" {
				t.Errorf("%s is corrected by %q, want by the event", hand.name, corrected.Trigger)
			}
		}

		s.configRemovedByHand(site, state)
		s.unchanged(bystander)
	})
}

// configRemovedByHand removes a config that a service uses, which Swarm allows
// once the service is gone.
func (s *scene) configRemovedByHand(site string, state kargo.Cluster) {
	s.t.Helper()
	before := s.history()[0].Number
	if err := s.api.ServiceRemove(s.t.Context(), site); err != nil {
		s.t.Fatal(err)
	}
	until(s.t, "the config can be removed", func() bool {
		return s.api.ConfigRemove(s.t.Context(), state.Configs[0].Name) == nil
	})
	s.awaitCorrection(before)
	until(s.t, "service and config are back", func() bool {
		live := s.live()
		return len(live.Configs) == len(state.Configs) && len(live.Services) == len(state.Services)
	})
}

// bystander is a service that is not Kargo's, although its name might be.
func (s *scene) bystander() dockerswarm.Service {
	s.t.Helper()
	none := uint64(0)
	name := s.service("web-2", "bystander")
	created, err := s.api.ServiceCreate(s.t.Context(), dockerswarm.ServiceSpec{
		Annotations: dockerswarm.Annotations{Name: name, Labels: map[string]string{
			kargo.LabelNamespace: "kargo-" + s.prefix + "-web-2",
		}},
		TaskTemplate: dockerswarm.TaskSpec{ContainerSpec: &dockerswarm.ContainerSpec{Image: "kargo/testserver:1"}},
		Mode:         dockerswarm.ServiceMode{Replicated: &dockerswarm.ReplicatedService{Replicas: &none}},
		EndpointSpec: &dockerswarm.EndpointSpec{Mode: dockerswarm.ResolutionModeDNSRR},
	}, dockerswarm.ServiceCreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.api.ServiceRemove(context.Background(), created.ID); err != nil {
			s.t.Errorf("clean up: %v", err)
		}
	})
	return s.inspect(name)
}

func (s *scene) inspect(name string) dockerswarm.Service {
	s.t.Helper()
	service, _, err := s.api.ServiceInspectWithRaw(s.t.Context(), name, dockerswarm.ServiceInspectOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return service
}

// unchanged checks that nobody touched a service.
func (s *scene) unchanged(was dockerswarm.Service) {
	s.t.Helper()
	if is := s.inspect(was.Spec.Name); is.ID != was.ID || is.Version != was.Version {
		s.t.Errorf("%s, which is somebody else's, moved from %d to %d", was.Spec.Name, was.Version.Index, is.Version.Index)
	}
}
