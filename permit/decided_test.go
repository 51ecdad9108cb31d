package permit

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Every field that Docker's API types give a service is decided: allowed by name,
// or judged by a rule. A field that an upgrade of the library brings fails here
// until somebody writes its line into the table.
func TestS41_EveryFieldOfAServiceIsDecided(t *testing.T) {
	paths := map[string]bool{}
	leaves("", reflect.TypeFor[swarm.ServiceSpec](), func(path string) { paths[path] = true })
	for path := range paths {
		rule, known := fields[path]
		if !known {
			t.Errorf("nobody has decided on %s: may a service of a restricted workspace set it?", path)
		}
		if _, exists := findRule(rule); rule != free && !exists {
			t.Errorf("%s is judged by %q, which is no rule", path, rule)
		}
	}
	for path := range fields {
		if !paths[path] {
			t.Errorf("%s is decided and does not exist", path)
		}
	}
}

// What Kargo sends of networks, configs, secrets and nodes is its own types, and
// these are decided here. The rest of what Docker's types have is never sent.
func TestS41_EveryFieldOfOtherObjectsIsDecided(t *testing.T) {
	for _, object := range []struct {
		docker reflect.Type
		sent   []string // judged, or made by Kargo
		unsent []string
	}{
		{reflect.TypeFor[network.CreateOptions](), []string{
			"Driver", "Scope", "Attachable", "Internal", "Options", "Labels",
			"IPAM.Driver", "IPAM.Options", "IPAM.Config.Subnet", "IPAM.Config.IPRange", "IPAM.Config.Gateway", "IPAM.Config.AuxAddress",
		}, []string{"EnableIPv4", "EnableIPv6", "Ingress", "ConfigOnly", "ConfigFrom.Network"}},
		{reflect.TypeFor[swarm.ConfigSpec](), []string{"Name", "Labels", "Data", "Templating.Name"}, []string{"Templating.Options"}},
		{reflect.TypeFor[swarm.SecretSpec](), []string{"Name", "Labels", "Data", "Templating.Name"},
			[]string{"Templating.Options", "Driver.Name", "Driver.Options"}},
		{reflect.TypeFor[swarm.NodeSpec](), []string{"Name", "Labels", "Role", "Availability"}, nil},
		{reflect.TypeFor[kargo.Network](), []string{
			"Name", "Shared", "Driver", "Attachable", "Internal", "Options", "Labels", "External",
			"IPAM.Driver", "IPAM.Options", "IPAM.Config.Subnet", "IPAM.Config.IPRange", "IPAM.Config.Gateway", "IPAM.Config.AuxAddress",
		}, nil},
		{reflect.TypeFor[kargo.Config](), []string{"Name", "Data", "Secret", "External", "Labels", "Driver"}, []string{"Whole"}},
	} {
		var paths []string
		leaves("", object.docker, func(path string) { paths = append(paths, path) })
		decided := slices.Concat(object.sent, object.unsent)
		slices.Sort(paths)
		slices.Sort(decided)
		if !slices.Equal(slices.Compact(paths), decided) {
			t.Errorf("%s has the fields\n%s\nand decided are\n%s", object.docker, paths, decided)
		}
	}
}

// leaves calls found with the path of each field of a type that has a value.
func leaves(path string, t reflect.Type, found func(path string)) {
	switch {
	case t.Kind() == reflect.Pointer:
		leaves(path, t.Elem(), found)
	case t.Kind() == reflect.Slice && isStruct(t.Elem()):
		leaves(path, t.Elem(), found)
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			leaves(fieldPath(path, t.Field(i)), t.Field(i).Type, found)
		}
	default:
		found(path)
	}
}

// Each rule that the table names really judges: with a bad value in each field
// that is not free, restricted has something to say, and under that rule.
func TestS41_JudgedFieldsAreJudged(t *testing.T) {
	restricted, err := New(Restricted)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range fields {
		if want == free || want == "registries" { // every policy permits all registries, until told otherwise
			continue
		}
		var spec swarm.ServiceSpec
		if !set(reflect.ValueOf(&spec).Elem(), strings.Split(path, "."), path) {
			t.Errorf("%s cannot be set", path)
			continue
		}
		stack := kargo.Stack{Name: "web", Services: []kargo.Service{{Name: "kargo-web_app", Spec: spec}}}
		refused := map[string]bool{}
		for _, found := range append(examinerOf(&stack).stackFindings(), wholeFindings([]*examined{{amounts: amountsOf(&stack)}})...) {
			if !restricted.permits(found) {
				refused[found.rule] = true
			}
		}
		if !refused[want] {
			t.Errorf("%s is not judged by %s; refused are %v", path, want, refused)
		}
	}
}

// bad are values that restricted refuses, for the fields where any will not do.
var bad = map[string]any{
	"Labels":                                                 map[string]string{"traefik.http.routers.x.rule": "PathPrefix(`/`)"},
	"TaskTemplate.ContainerSpec.Labels":                      map[string]string{"traefik.http.routers.x.rule": "PathPrefix(`/`)"},
	"TaskTemplate.ContainerSpec.Hostname":                    `{{ index .Service.Labels "x" }}`,
	"TaskTemplate.ContainerSpec.Env":                         []string{`X={{ index .Service.Labels "x" }}`},
	"TaskTemplate.ContainerSpec.Mounts.Target":               `/{{ "x" }}`,
	"TaskTemplate.ContainerSpec.OomScoreAdj":                 int64(-1),
	"TaskTemplate.Placement.Constraints":                     []string{"node.role == manager"},
	"Mode.Replicated.Replicas":                               uint64(1000),
	"Mode.ReplicatedJob.MaxConcurrent":                       uint64(1000),
	"Mode.ReplicatedJob.TotalCompletions":                    uint64(1_000_000_000),
	"TaskTemplate.RestartPolicy.Delay":                       time.Duration(0),
	"TaskTemplate.ContainerSpec.Healthcheck.Interval":        time.Millisecond,
	"TaskTemplate.ContainerSpec.Healthcheck.StartInterval":   time.Millisecond,
	"TaskTemplate.ContainerSpec.StopGracePeriod":             1000 * time.Hour,
	"EndpointSpec.Ports.PublishMode":                         swarm.PortConfigPublishModeHost,
	"TaskTemplate.ContainerSpec.Mounts.VolumeOptions.Labels": map[string]string{"x": `{{ "y" }}`},
}

// set puts a bad value at a path, and makes what is on the way.
func set(value reflect.Value, path []string, whole string) bool {
	for value.Kind() == reflect.Pointer || value.Kind() == reflect.Slice && isStruct(value.Type().Elem()) {
		if value.Kind() == reflect.Pointer {
			value.Set(reflect.New(value.Type().Elem()))
			value = value.Elem()
			if len(path) == 0 {
				break
			}
			continue
		}
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		value = value.Index(0)
	}
	if len(path) > 0 {
		field := value.FieldByName(path[0])
		if strings.Contains(whole, "BindOptions") && path[0] == "BindOptions" {
			value.FieldByName("Type").Set(reflect.ValueOf(mount.TypeBind))
		}
		if path[0] == "TmpfsOptions" {
			value.FieldByName("Type").Set(reflect.ValueOf(mount.TypeTmpfs))
		}
		return field.IsValid() && set(field, path[1:], whole)
	}
	if wanted, ok := bad[whole]; ok {
		value.Set(reflect.ValueOf(wanted))
		return true
	}
	switch value.Kind() {
	case reflect.String:
		value.SetString("unknown")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int64:
		value.SetInt(1 << 40)
	case reflect.Uint32, reflect.Uint64:
		value.SetUint(1)
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		element := value.Index(0)
		if element.Kind() == reflect.Slice {
			element.Set(reflect.ValueOf([]string{"unknown"}))
		} else {
			element.SetString("unknown")
		}
	case reflect.Map:
		value.Set(reflect.ValueOf(map[string]string{"unknown": "unknown"}))
	default:
		return false
	}
	return true
}

// examinerOf examines a stack that stands alone.
func examinerOf(stack *kargo.Stack) *examiner {
	in := Input{Stacks: []kargo.Stack{*stack}}
	return &examiner{in: in, stack: stack, around: surroundingsOf(in, func(int) []string { return routesOf(stack) })}
}
