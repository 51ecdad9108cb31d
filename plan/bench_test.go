package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
	kargoswarm "kargo/swarm"
	"kargo/swarm/swarmtest"
	"kargo/test/growth"
)

// sizes are the numbers of stacks, of three services each.
var sizes = []int{10, 100, 300, 1000}

// bigSwarm is a workspace of so many stacks, and the Swarm that runs them, as a
// daemon shows it.
func bigSwarm(stacks int) (desired []kargo.Stack, there kargo.Cluster) {
	for i := range stacks {
		s := stack(fmt.Sprintf("s%04d", i))
		for j := range 3 {
			s.Services = append(s.Services, typicalService(s, j))
		}
		s.Networks = []kargo.Network{{Name: s.Namespace() + "_default", Driver: "overlay"}}
		s.Configs = []kargo.Config{{Name: s.Namespace() + "_conf-1", Data: []byte("content")}}
		if i > 0 {
			s.Needs = []string{desired[i/2].Name}
		}
		desired = append(desired, s)
	}
	alone := slices.Clone(desired)
	for i := range alone {
		alone[i].Needs = nil
	}
	there.TasksKnown = true
	for _, change := range plan.Make(alone, kargo.Cluster{TasksKnown: true}, options()).Changes {
		there = withChange(there, change)
	}
	return desired, there
}

func typicalService(s kargo.Stack, number int) kargo.Service {
	name := fmt.Sprintf("%s_app%d", s.Namespace(), number)
	return service(name, "registry.example/team/app:1.2.3", uses(s.Namespace()+"_conf-1"), on(s.Namespace()+"_default"),
		func(spec *swarm.ServiceSpec) {
			for i := range 10 {
				spec.TaskTemplate.ContainerSpec.Env = append(spec.TaskTemplate.ContainerSpec.Env, fmt.Sprintf("VARIABLE_%d=value %d", i, i))
				spec.Labels[fmt.Sprintf("traefik.http.routers.app%d.rule", i)] = "Host(`app.example`)"
			}
			spec.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: name, Target: "/data"}}
			spec.TaskTemplate.ContainerSpec.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "true"}, Interval: time.Second}
			spec.TaskTemplate.Resources = &swarm.ResourceRequirements{Limits: &swarm.Limit{MemoryBytes: 64 << 20}}
			spec.UpdateConfig = &swarm.UpdateConfig{Parallelism: 1, Order: "start-first"}
		})
}

// withChange is a cluster once a creation was carried out.
func withChange(there kargo.Cluster, change kargo.Change) kargo.Cluster {
	switch change.Kind {
	case kargo.KindService:
		spec := *change.Service
		spec.EndpointSpec = &swarm.EndpointSpec{Mode: swarm.ResolutionModeVIP} // as the daemon fills it in
		there.Services = append(there.Services, kargo.LiveService{
			ID: "id of " + change.Name, Name: change.Name, Version: 7, Spec: spec,
			Image: spec.TaskTemplate.ContainerSpec.Image + "@sha256:pinned", Running: 1, Desired: 1,
		})
	case kargo.KindNetwork:
		there.Networks = append(there.Networks, kargo.LiveNetwork{Name: change.Name, Driver: "overlay", Labels: change.Network.Labels})
	case kargo.KindConfig, kargo.KindSecret:
		there.Configs = append(there.Configs, kargo.LiveConfig{Name: change.Name, Labels: change.Config.Labels})
	case kargo.KindNode:
	}
	return there
}

// withAnotherInstance adds the same again, as stacks of other names of another instance.
func withAnotherInstance(there kargo.Cluster) kargo.Cluster {
	theirs := func(labels map[string]string) map[string]string {
		labels = maps.Clone(labels)
		labels[kargo.LabelInstance] = "other"
		return labels
	}
	for _, service := range there.Services {
		service.Name, service.Spec.Labels = "other-"+service.Name, theirs(service.Spec.Labels)
		service.Spec.TaskTemplate.ContainerSpec = nil
		there.Services = append(there.Services, service)
	}
	for _, network := range there.Networks {
		there.Networks = append(there.Networks, kargo.LiveNetwork{Name: "other-" + network.Name, Driver: "overlay", Labels: theirs(network.Labels)})
	}
	for _, config := range there.Configs {
		there.Configs = append(there.Configs, kargo.LiveConfig{Name: "other-" + config.Name, Labels: theirs(config.Labels)})
	}
	return there
}

func BenchmarkMake(b *testing.B) {
	for _, stacks := range sizes {
		b.Run(fmt.Sprintf("nothing changed/%d stacks", stacks), func(b *testing.B) {
			desired, there := bigSwarm(stacks)
			b.ReportAllocs()
			for b.Loop() {
				if next := plan.Make(desired, there, options()); !next.Empty() || len(next.Held) > 0 {
					b.Fatal(next)
				}
			}
		})
		b.Run(fmt.Sprintf("nothing changed since the last plan/%d stacks", stacks), func(b *testing.B) {
			desired, there := bigSwarm(stacks)
			for i := range there.Services {
				there.Services[i].Digest[0], there.Services[i].Digest[1] = byte(i), byte(i>>8)
			}
			for i := range desired {
				desired[i] = desired[i].KeepDigest()
			}
			opts := options()
			opts.Comparisons = &plan.Comparisons{}
			plan.Make(desired, there, opts)
			b.ReportAllocs()
			for b.Loop() {
				if next := plan.Make(desired, there, opts); !next.Empty() || len(next.Held) > 0 {
					b.Fatal(next)
				}
			}
		})
		b.Run(fmt.Sprintf("beside as many of another instance/%d stacks", stacks), func(b *testing.B) {
			desired, there := bigSwarm(stacks)
			there = withAnotherInstance(there)
			b.ReportAllocs()
			for b.Loop() {
				if next := plan.Make(desired, there, options()); !next.Empty() || len(next.Held) > 0 {
					b.Fatal(next)
				}
			}
		})
		b.Run(fmt.Sprintf("one service changed/%d stacks", stacks), func(b *testing.B) {
			desired, there := bigSwarm(stacks)
			changed := append([]kargo.Stack{}, desired...)
			changed[stacks/2].Services = append([]kargo.Service{service(desired[stacks/2].Services[0].Name, "app:2")}, desired[stacks/2].Services[1:]...)
			b.ReportAllocs()
			for b.Loop() {
				if next := plan.Make(changed, there, options()); len(next.Changes) != 1 {
					b.Fatal(next)
				}
			}
		})
		b.Run(fmt.Sprintf("all wait/%d stacks", stacks), func(b *testing.B) {
			desired, _ := bigSwarm(stacks)
			b.ReportAllocs()
			for b.Loop() {
				if next := plan.Make(desired, kargo.Cluster{TasksKnown: true}, options()); len(next.Held) < stacks-1 {
					b.Fatal(next)
				}
			}
		})
	}
}

// bigStack is one stack with so many services, each of which needs the one before it to be
// healthy.
func bigStack(services int) kargo.Stack {
	s := stack("big")
	for i := range services {
		one := typicalService(s, i)
		if i > 0 {
			one.Needs = []kargo.Need{{Service: s.Services[i-1].Name, Condition: kargo.NeedHealthy}}
		}
		s.Services = append(s.Services, one)
	}
	s.Networks = []kargo.Network{{Name: s.Namespace() + "_default", Driver: "overlay"}}
	s.Configs = []kargo.Config{{Name: s.Namespace() + "_conf-1", Data: []byte("content")}}
	return s
}

func BenchmarkMakeOneStack(b *testing.B) {
	for _, services := range []int{100, 1000} {
		desired := []kargo.Stack{bigStack(services)}
		b.Run(fmt.Sprintf("nothing runs/%d services", services), func(b *testing.B) {
			for b.Loop() {
				if next := plan.Make(desired, kargo.Cluster{TasksKnown: true}, options()); len(next.Changes) == 0 {
					b.Fatal(next)
				}
			}
		})
		alone := desired[0]
		alone.Services = slices.Clone(alone.Services)
		for i := range alone.Services {
			alone.Services[i].Needs = nil
		}
		there := kargo.Cluster{TasksKnown: true}
		for _, change := range plan.Make([]kargo.Stack{alone}, there, options()).Changes {
			there = withChange(there, change)
		}
		b.Run(fmt.Sprintf("nothing changed/%d services", services), func(b *testing.B) {
			for b.Loop() {
				if next := plan.Make(desired, there, options()); !next.Empty() || len(next.Held) > 0 {
					b.Fatal(next)
				}
			}
		})
		b.Run(fmt.Sprintf("all change/%d services", services), func(b *testing.B) {
			changed := alone
			changed.Services = slices.Clone(alone.Services)
			for i, one := range changed.Services {
				changed.Services[i] = service(one.Name, "app:2", uses(alone.Configs[0].Name))
			}
			for b.Loop() {
				if next := plan.Make([]kargo.Stack{changed}, there, options()); len(next.Changes) != services {
					b.Fatal(next)
				}
			}
		})
	}
}

func BenchmarkDiff(b *testing.B) {
	desired, there := bigSwarm(1)
	b.ReportAllocs()
	for b.Loop() {
		plan.Diff(there.Services[0].Spec, desired[0].Services[0].Spec, kargo.Mask{})
	}
}

// BenchmarkStackHealth looks at every stack, as is done after each look.
func BenchmarkStackHealth(b *testing.B) {
	for _, stacks := range sizes {
		b.Run(fmt.Sprintf("%d stacks", stacks), func(b *testing.B) {
			desired, there := bigSwarm(stacks)
			b.ReportAllocs()
			for b.Loop() {
				healthOfAll(desired, there)
			}
		})
	}
}

func healthOfAll(desired []kargo.Stack, there kargo.Cluster) {
	index := plan.NewIndex(there)
	for _, s := range desired {
		plan.StackHealth(s, index)
	}
}

// BenchmarkJudge judges every stack, as during a rollout of all.
func BenchmarkJudge(b *testing.B) {
	for _, stacks := range sizes {
		b.Run(fmt.Sprintf("%d stacks", stacks), func(b *testing.B) {
			desired, there := bigSwarm(stacks)
			b.ReportAllocs()
			for b.Loop() {
				judgeAll(desired, there)
			}
		})
	}
}

func judgeAll(desired []kargo.Stack, there kargo.Cluster) {
	index := plan.NewIndex(there)
	for _, s := range desired {
		plan.Judge(s, index, kargo.Rollout{}, time.Time{})
	}
}

// What a plan and its judgements cost must grow with the number of stacks and no
// faster.
func TestCostGrowsWithTheStacks(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(desired []kargo.Stack, there kargo.Cluster)
	}{
		{"plan", func(desired []kargo.Stack, there kargo.Cluster) { plan.Make(desired, there, options()) }},
		{"first plan", func(desired []kargo.Stack, _ kargo.Cluster) {
			plan.Make(desired, kargo.Cluster{TasksKnown: true}, options())
		}},
		{"health", healthOfAll},
		{"judge", judgeAll},
	} {
		t.Run(test.name, func(t *testing.T) {
			growth.Check(t, 50, func(stacks int) func() {
				desired, there := bigSwarm(stacks)
				return func() { test.do(desired, there) }
			})
		})
	}
}

// BenchmarkLook is a full look at a Swarm in memory, through Docker's API, and the
// plan that is made of it. The time includes the Swarm's. No stack may cost a call.
func BenchmarkLook(b *testing.B) {
	for _, stacks := range []int{10, 100} {
		desired, _ := bigSwarm(stacks)
		for i := range desired {
			desired[i].Needs = nil // else their creation takes many rounds
		}
		engine := swarmtest.New(swarmtest.AutoSettle)
		client := kargoswarm.New(engine.Client())
		look := func() kargo.Plan {
			there, err := client.Observe(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			return plan.Make(desired, there, options())
		}
		if err := client.Apply(b.Context(), look(), nil, func(kargo.Change, error) {}); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%d stacks", stacks), func(b *testing.B) {
			before := total(engine.Calls())
			b.ReportAllocs()
			for b.Loop() {
				if next := look(); !next.Empty() || len(next.Held) > 0 {
					b.Fatal(next)
				}
			}
			b.ReportMetric(float64(total(engine.Calls())-before)/float64(b.N), "calls/op")
		})
	}
}

func total(calls map[string]int) int {
	sum := 0
	for _, count := range calls {
		sum += count
	}
	return sum
}
