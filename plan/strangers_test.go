package plan_test

import (
	"reflect"
	"testing"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// A stack is held as a whole while anything in its namespace is somebody else's.
func TestS42_ANamespaceIsNotShared(t *testing.T) {
	theirs := func(name string, labels map[string]string, change ...func(*swarm.ServiceSpec)) kargo.LiveService {
		s := live("x", name, "app:1", change...)
		s.Spec.Labels = labels
		return s
	}
	mounting := func(volume string) func(*swarm.ServiceSpec) {
		return func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: volume, Target: "/x"}}
		}
	}
	other := map[string]string{kargo.LabelInstance: "other"}
	otherWeb := map[string]string{kargo.LabelInstance: "other", kargo.LabelNamespace: "kargo-web"}
	otherStack := map[string]string{kargo.LabelInstance: "other", kargo.LabelNamespace: "kargo-web_b"}
	for _, test := range []struct {
		name  string
		live  kargo.Cluster
		adopt bool
		want  string
	}{
		{"a service of another instance", cluster(theirs("kargo-web_x", otherWeb)), true,
			"hold service kargo-web_x: lies in the namespace of the stack, belongs to the Kargo instance other\n"},
		{"a service of nobody", cluster(theirs("kargo-web_x", nil)), false,
			"hold service kargo-web_x: lies in the namespace of the stack, exists and is not Kargo's; set WEB_ADOPT=true to take it over\n"},
		{"a service of nobody, where the stack takes over", cluster(theirs("kargo-web_x", map[string]string{kargo.LabelNamespace: "kargo-web"})), true, "create service kargo-web_a: new\n"},
		{"a service of a stack with a longer name", cluster(theirs("kargo-web_b_x", otherStack)), false, "create service kargo-web_a: new\n"},
		{"a volume that somebody mounts", cluster(theirs("ops", nil, mounting("kargo-web_data"))), false,
			"hold service ops: mounts the volume kargo-web_data, which has the form of the stack's own, and is not Kargo's\n"},
		{"a network of another instance", kargo.Cluster{Networks: []kargo.LiveNetwork{{ID: "n", Name: "kargo-web_x", Labels: other}}, TasksKnown: true}, false,
			"hold network kargo-web_x: lies in the namespace of the stack, belongs to the Kargo instance other\n"},
		{"a secret of another instance", kargo.Cluster{Configs: []kargo.LiveConfig{{ID: "c", Name: "kargo-web_x", Secret: true, Labels: other}}, TasksKnown: true}, false,
			"hold secret kargo-web_x: lies in the namespace of the stack, belongs to the Kargo instance other\n"},
		{"a secret of nobody", kargo.Cluster{Configs: []kargo.LiveConfig{{ID: "c", Name: "kargo-web_x", Secret: true}}, TasksKnown: true}, false,
			"create service kargo-web_a: new\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := withOptions(stack("web", service("kargo-web_a", "app:1")), kargo.StackOptions{Adopt: test.adopt, Resolve: kargo.ResolveNever})
			check(t, plan.Make([]kargo.Stack{s}, test.live, options()), test.want)
		})
	}
}

// The volumes that a service makes carry the mark of the instance, and the mark
// alone restarts nothing.
func TestS42_VolumesAreMarked(t *testing.T) {
	data := func(s *swarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "kargo-web_data", Target: "/data", VolumeOptions: &mount.VolumeOptions{}}}
	}
	s := withOptions(stack("web", service("kargo-web_a", "app:1", data)), kargo.StackOptions{Resolve: kargo.ResolveNever})
	p := plan.Make([]kargo.Stack{s}, cluster(), options())
	if got := p.Changes[0].Service.TaskTemplate.ContainerSpec.Mounts[0].VolumeOptions.Labels[kargo.LabelInstance]; got != "test" {
		t.Errorf("the volume is marked %q", got)
	}
	running := live("web", "kargo-web_a", "app:1", data)
	check(t, plan.Make([]kargo.Stack{s}, cluster(running), options()), "nothing to do\n")

	// Swarm restarts a service whose mounts differ in anything. So another
	// difference does not bring the mark along.
	s.Services[0].Spec.Labels = map[string]string{"team": "maps"}
	p = plan.Make([]kargo.Stack{s}, cluster(running), options())
	check(t, p, "update service kargo-web_a: Labels.team: (none) -> \"maps\"\n")
	if got, was := p.Changes[0].Service.TaskTemplate, running.Spec.TaskTemplate; !reflect.DeepEqual(got, was) {
		t.Errorf("another label sends the tasks as\n%+v\nwhich were\n%+v", got, was)
	}
}
