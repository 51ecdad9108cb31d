package charttest

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

const chartDir = "../kargo"

// manifest holds the objects of a release.
type manifest struct {
	objects     []runtime.Object
	statefulSet *appsv1.StatefulSet
	notes       string
}

// container returns the only container of the StatefulSet.
func (m manifest) container() corev1.Container {
	return m.statefulSet.Spec.Template.Spec.Containers[0]
}

// find returns the only object of type T, or nil.
func find[T runtime.Object](m manifest) (found T) {
	for _, object := range m.objects {
		if typed, ok := object.(T); ok {
			found = typed
		}
	}
	return found
}

func readValues(t *testing.T, name string) map[string]any {
	t.Helper()
	values, err := chartutil.ReadValuesFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// renderFile renders the chart with a values file, which must be good.
func renderFile(t *testing.T, name string) manifest {
	t.Helper()
	result, err := render(t, readValues(t, name))
	if err != nil {
		t.Fatalf("render with %s: %v", name, err)
	}
	return result
}

// render does what `helm template` does: it checks the values against the schema,
// executes the templates and splits the documents. Then it decodes each document
// into its type.
func render(t *testing.T, values map[string]any) (manifest, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	release := chartutil.ReleaseOptions{Name: "kargo", Namespace: "ops", Revision: 1, IsInstall: true}
	rendered, err := chartutil.ToRenderValues(chart, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return manifest{}, err
	}
	files, err := engine.Engine{Strict: true}.Render(chart, rendered)
	if err != nil {
		return manifest{}, err
	}

	var result manifest
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if path.Base(file) == "NOTES.txt" {
			result.notes = files[file]
			continue
		}
		documents := releaseutil.SplitManifests(files[file])
		for _, name := range slices.Sorted(maps.Keys(documents)) {
			object, err := decode([]byte(documents[name]))
			if err != nil {
				t.Fatalf("%s: %v\n%s", file, err, documents[name])
			}
			result.objects = append(result.objects, object)
		}
	}
	result.statefulSet = find[*appsv1.StatefulSet](result)
	if result.statefulSet == nil || len(result.statefulSet.Spec.Template.Spec.Containers) != 1 {
		t.Fatal("want one StatefulSet of one container")
	}
	return result, nil
}

// decode decodes a document into the type that it names. A field that the type does
// not have, or that occurs twice, is an error: Kubernetes would drop it.
func decode(document []byte) (runtime.Object, error) {
	var kind struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return nil, err
	}
	types := map[string]runtime.Object{
		"apps/v1 StatefulSet":                new(appsv1.StatefulSet),
		"networking.k8s.io/v1 Ingress":       new(networkingv1.Ingress),
		"networking.k8s.io/v1 NetworkPolicy": new(networkingv1.NetworkPolicy),
		"v1 ConfigMap":                       new(corev1.ConfigMap),
		"policy/v1 PodDisruptionBudget":      new(policyv1.PodDisruptionBudget),
		"v1 Service":                         new(corev1.Service),
		"v1 ServiceAccount":                  new(corev1.ServiceAccount),
	}
	object := types[kind.APIVersion+" "+kind.Kind]
	if object == nil {
		return nil, fmt.Errorf("no such type: %q %q", kind.APIVersion, kind.Kind)
	}
	return object, yaml.UnmarshalStrict(document, object)
}

// summary describes what a release does, in lines that a person can check.
func (m manifest) summary() string {
	var out strings.Builder
	for _, object := range m.objects {
		fmt.Fprintln(&out, describe(object))
	}
	pod, container := m.statefulSet.Spec.Template.Spec, m.container()
	fmt.Fprintf(&out, "image %s %s as %s\n", container.Image, strings.Join(container.Args, " "), pod.ServiceAccountName)
	for _, env := range container.Env {
		fmt.Fprintf(&out, "env %s=%s\n", env.Name, env.Value)
	}
	for _, mount := range container.VolumeMounts {
		fmt.Fprintf(&out, "mount %s %s\n", mount.MountPath, m.volumeSource(mount.Name))
	}
	return out.String()
}

func describe(object runtime.Object) string {
	switch object := object.(type) {
	case *corev1.Service:
		port := object.Spec.Ports[0]
		return fmt.Sprintf("Service %s %s %d -> %s", object.Name, object.Spec.Type, port.Port, port.TargetPort.String())
	case *corev1.ConfigMap:
		return fmt.Sprintf("ConfigMap %s %q", object.Name, object.Data)
	case *corev1.ServiceAccount:
		return "ServiceAccount " + object.Name
	case *appsv1.StatefulSet:
		return describeStatefulSet(object)
	case *policyv1.PodDisruptionBudget:
		return fmt.Sprintf("PodDisruptionBudget %s at most %s unavailable", object.Name, object.Spec.MaxUnavailable.String())
	case *networkingv1.NetworkPolicy:
		return describePolicy(object)
	case *networkingv1.Ingress:
		var paths []string
		for _, path := range object.Spec.Rules[0].HTTP.Paths {
			paths = append(paths, fmt.Sprintf("%s -> %s:%s", path.Path, path.Backend.Service.Name, path.Backend.Service.Port.Name))
		}
		return fmt.Sprintf("Ingress %s %s %s", object.Name, object.Spec.Rules[0].Host, strings.Join(paths, ", "))
	}
	return fmt.Sprintf("unexpected %T", object)
}

func describeStatefulSet(set *appsv1.StatefulSet) string {
	var out strings.Builder
	fmt.Fprintf(&out, "StatefulSet %s replicas %d", set.Name, *set.Spec.Replicas)
	for _, claim := range set.Spec.VolumeClaimTemplates {
		fmt.Fprintf(&out, "\n  claim %s of each: %s", claim.Name, claim.Spec.Resources.Requests.Storage())
	}
	if affinity := set.Spec.Template.Spec.Affinity; affinity != nil && affinity.PodAntiAffinity != nil {
		for _, term := range affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			fmt.Fprintf(&out, "\n  prefers another %s than %v", term.PodAffinityTerm.TopologyKey, term.PodAffinityTerm.LabelSelector.MatchLabels)
		}
	}
	return out.String()
}

func describePolicy(policy *networkingv1.NetworkPolicy) string {
	var out strings.Builder
	fmt.Fprintf(&out, "NetworkPolicy %s", policy.Name)
	for _, kind := range policy.Spec.PolicyTypes {
		fmt.Fprintf(&out, "\n  restricts %s", kind)
	}
	for _, rule := range policy.Spec.Ingress {
		fmt.Fprintf(&out, "\n  from %s: %s", describePeers(rule.From), describePorts(rule.Ports))
	}
	for _, rule := range policy.Spec.Egress {
		fmt.Fprintf(&out, "\n  to %s: %s", describePeers(rule.To), describePorts(rule.Ports))
	}
	return out.String()
}

// describePeers says that no peers are everybody, as Kubernetes reads it.
func describePeers(peers []networkingv1.NetworkPolicyPeer) string {
	if len(peers) == 0 {
		return "everybody"
	}
	var out []string
	for _, peer := range peers {
		var parts []string
		if peer.IPBlock != nil {
			parts = append(parts, peer.IPBlock.CIDR)
		}
		if peer.PodSelector != nil {
			parts = append(parts, fmt.Sprintf("pods %v", peer.PodSelector.MatchLabels))
		}
		if peer.NamespaceSelector != nil {
			parts = append(parts, fmt.Sprintf("namespaces %v", peer.NamespaceSelector.MatchLabels))
		}
		out = append(out, strings.Join(parts, " in "))
	}
	return strings.Join(out, ", ")
}

func describePorts(ports []networkingv1.NetworkPolicyPort) string {
	if len(ports) == 0 {
		return "all ports"
	}
	var out []string
	for _, port := range ports {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		out = append(out, fmt.Sprintf("%s/%s", port.Port.String(), protocol))
	}
	return strings.Join(out, ", ")
}

func (m manifest) volumeSource(name string) string {
	for _, claim := range m.statefulSet.Spec.VolumeClaimTemplates {
		if claim.Name == name {
			return "claim of each replica"
		}
	}
	for _, volume := range m.statefulSet.Spec.Template.Spec.Volumes {
		switch {
		case volume.Name != name:
		case volume.Secret != nil:
			var files []string
			for _, item := range volume.Secret.Items {
				files = append(files, item.Key+" as "+item.Path)
			}
			return fmt.Sprintf("secret %s mode %#o: %s", volume.Secret.SecretName, *volume.Secret.DefaultMode, strings.Join(files, ", "))
		case volume.PersistentVolumeClaim != nil:
			return "claim " + volume.PersistentVolumeClaim.ClaimName
		case volume.ConfigMap != nil:
			return "config map " + volume.ConfigMap.Name
		case volume.EmptyDir != nil:
			return "empty directory"
		}
	}
	return "has no volume"
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s; if that is meant, run: go test -count=1 ./... -update\ngot:\n%s", file, got)
	}
}
