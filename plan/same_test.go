package plan

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/docker/docker/api/types/swarm"
	"pgregory.net/rapid"

	"kargo"
)

// The quick comparison may miss that two specs are the same. It must never call
// two specs the same that the comparison of trees calls different.
func TestClearlySameSpecsAreTheSame(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		var a, b swarm.ServiceSpec
		pair := specPair{random: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), differing: rapid.IntRange(0, 2).Draw(t, "differing")}
		pair.fill(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem())
		a.Name, b.Name = "app", "app" // every service has a name
		if !clearlySame(a, b) {
			return
		}
		found++
		if was, is := normalise(a), normalise(b); !reflect.DeepEqual(was, is) {
			t.Fatalf("clearly the same, and yet different:\n%v\n%v", was, is)
		}
	})
	if found == 0 {
		t.Error("no two specs were clearly the same, so nothing was tested")
	}
}

// specPair fills two specs with the same few values. Every five-hundredth field,
// or every hundredth one, has a value of its own in each.
type specPair struct {
	random    *rand.Rand
	differing int
}

func (p specPair) fill(a, b reflect.Value) {
	if p.random.IntN(500) < p.differing*p.differing {
		p.fillOne(a)
		p.fillOne(b)
		return
	}
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			p.fill(a.Field(i), b.Field(i))
		}
	case reflect.Pointer:
		if p.random.IntN(2) == 0 {
			a.Set(reflect.New(a.Type().Elem()))
			b.Set(reflect.New(b.Type().Elem()))
			p.fill(a.Elem(), b.Elem())
		}
	case reflect.Slice:
		if length := p.random.IntN(3); length > 0 {
			a.Set(reflect.MakeSlice(a.Type(), length, length))
			b.Set(reflect.MakeSlice(b.Type(), length, length))
			for i := range length {
				p.fill(a.Index(i), b.Index(i))
			}
		}
	default:
		p.fillOne(a)
		b.Set(a)
	}
}

// fillOne gives one value a content: often none, or what a daemon would write.
func (p specPair) fillOne(value reflect.Value) {
	texts := []string{"", "a", "vip", "tcp", "ingress", "default", "container", "any", "pause", "stop-first"}
	switch value.Kind() {
	case reflect.String:
		value.SetString(texts[p.random.IntN(len(texts))])
	case reflect.Bool:
		value.SetBool(p.random.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		value.SetInt(p.random.Int64N(3))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		value.SetUint(p.random.Uint64N(3))
	case reflect.Map:
		labels := map[string]string{}
		for _, name := range []string{kargo.LabelImage, kargo.LabelRevision, "other"} {
			if p.random.IntN(2) == 0 {
				labels[name] = texts[p.random.IntN(2)]
			}
		}
		value.Set(reflect.ValueOf(labels))
	default:
		value.SetZero()
		if p.random.IntN(2) == 0 {
			p.fill(value, reflect.New(value.Type()).Elem())
		}
	}
}

// What a daemon fills in is seen to be no difference without a tree.
func TestDaemonDefaultsAreClearlyTheSame(t *testing.T) {
	one := uint64(1)
	sent := swarm.ServiceSpec{
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "app:1"}},
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{}},
		EndpointSpec: &swarm.EndpointSpec{Ports: []swarm.PortConfig{{TargetPort: 80}}},
		UpdateConfig: &swarm.UpdateConfig{Parallelism: 1},
	}
	read := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Labels: map[string]string{kargo.LabelImage: "app:1", kargo.LabelRevision: "4711"}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: "app:1", Isolation: "default", DNSConfig: &swarm.DNSConfig{}},
			RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionAny, MaxAttempts: new(uint64)},
			Placement:     &swarm.Placement{Platforms: []swarm.Platform{{OS: "linux"}}},
			Resources:     &swarm.ResourceRequirements{},
			Runtime:       swarm.RuntimeContainer,
			ForceUpdate:   3,
		},
		Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &one}},
		EndpointSpec: &swarm.EndpointSpec{
			Mode:  swarm.ResolutionModeVIP,
			Ports: []swarm.PortConfig{{TargetPort: 80, Protocol: swarm.PortConfigProtocolTCP, PublishMode: swarm.PortConfigPublishModeIngress}},
		},
		UpdateConfig:   &swarm.UpdateConfig{Parallelism: 1, FailureAction: "pause", Order: "stop-first"},
		RollbackConfig: &swarm.UpdateConfig{FailureAction: "pause", Order: "stop-first"},
	}
	if !clearlySame(sent, read) {
		t.Errorf("not clearly the same, but equal: %v", Diff(read, sent, kargo.Mask{}))
	}
	read.Mode.Replicated.Replicas = new(uint64)
	if clearlySame(sent, read) {
		t.Error("zero replicas are not the default")
	}
}
