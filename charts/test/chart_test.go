package charttest

import (
	"flag"
	"reflect"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
)

var update = flag.Bool("update", false, "rewrite the summaries in testdata")

var valuesFiles = []string{"https.yaml", "ssh.yaml", "ingress.yaml", "encrypted.yaml", "replicas.yaml"}

func TestRender(t *testing.T) {
	for _, name := range valuesFiles {
		t.Run(name, func(t *testing.T) {
			compareGolden(t, "testdata/"+strings.TrimSuffix(name, ".yaml")+".txt", renderFile(t, name).summary())
		})
	}
}

// TestHardening checks what must be true whatever the values are.
func TestHardening(t *testing.T) {
	for _, name := range valuesFiles {
		t.Run(name, func(t *testing.T) {
			release := renderFile(t, name)
			pod, container := release.statefulSet.Spec.Template.Spec, release.container()
			check := func(what string, holds bool) {
				t.Helper()
				if !holds {
					t.Errorf("want %s", what)
				}
			}
			check("a data directory of each replica's own", *release.statefulSet.Spec.Replicas == 1 ||
				release.volumeSource("data") == "claim of each replica" || release.volumeSource("data") == "empty directory")
			check("no service links", pod.EnableServiceLinks != nil && !*pod.EnableServiceLinks)
			check("no token in the pod", pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken)
			if account := find[*corev1.ServiceAccount](release); account != nil {
				check("no token for the account", account.AutomountServiceAccountToken != nil && !*account.AutomountServiceAccountToken)
			}
			check("a user that is not root", *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser == 65532)
			check("the runtime's seccomp profile", pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault)
			check("a read-only root", *container.SecurityContext.ReadOnlyRootFilesystem)
			check("no new privileges", !*container.SecurityContext.AllowPrivilegeEscalation)
			check("no capabilities", reflect.DeepEqual(container.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) &&
				container.SecurityContext.Capabilities.Add == nil)
			check("liveness by /healthz", container.LivenessProbe.HTTPGet.Path == "/healthz")
			check("readiness by /readyz", container.ReadinessProbe.HTTPGet.Path == "/readyz")
			for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe} {
				check("probes of the port that is there", probe.HTTPGet.Port.StrVal == container.Ports[0].Name)
			}
			for _, env := range container.Env {
				check("no secret in the environment: "+env.Name, env.ValueFrom == nil)
			}
			check("no secret in the environment", container.EnvFrom == nil)
		})
	}
}

// The parts of a release refer to each other by labels and names.
func TestPartsMatch(t *testing.T) {
	for _, name := range valuesFiles {
		t.Run(name, func(t *testing.T) {
			release := renderFile(t, name)
			podLabels := release.statefulSet.Spec.Template.Labels
			service := find[*corev1.Service](release)
			for _, selector := range []map[string]string{service.Spec.Selector, release.statefulSet.Spec.Selector.MatchLabels} {
				for key, value := range selector {
					if podLabels[key] != value {
						t.Errorf("selector %s=%s does not fit the pod, which has %q", key, value, podLabels[key])
					}
				}
			}
			if target := service.Spec.Ports[0].TargetPort.StrVal; target != release.container().Ports[0].Name {
				t.Errorf("the service's target port %q is not the container's", target)
			}
			policy := find[*networkingv1.NetworkPolicy](release)
			if !reflect.DeepEqual(policy.Spec.PodSelector.MatchLabels, service.Spec.Selector) {
				t.Errorf("the network policy is for pods with %v, the service for %v", policy.Spec.PodSelector.MatchLabels, service.Spec.Selector)
			}
			for _, rule := range policy.Spec.Ingress {
				if port := rule.Ports[0].Port.StrVal; port != release.container().Ports[0].Name {
					t.Errorf("the network policy opens port %q, which is not the container's", port)
				}
			}
			if ingress := find[*networkingv1.Ingress](release); ingress != nil {
				if tls := ingress.Spec.TLS; len(tls) != 1 || tls[0].Hosts[0] != ingress.Spec.Rules[0].Host {
					t.Errorf("the certificate is for %v, the rule for %s", tls, ingress.Spec.Rules[0].Host)
				}
			}
		})
	}
}

// Evictions of several replicas are limited; one replica must not keep a node from being
// drained.
func TestDisruptionBudget(t *testing.T) {
	for _, name := range valuesFiles {
		t.Run(name, func(t *testing.T) {
			release := renderFile(t, name)
			replicas, budget := *release.statefulSet.Spec.Replicas, find[*policyv1.PodDisruptionBudget](release)
			if several := replicas > 1; several != (budget != nil) {
				t.Fatalf("%d replicas have the budget %v", replicas, budget)
			}
			if budget == nil {
				return
			}
			if !reflect.DeepEqual(budget.Spec.Selector, release.statefulSet.Spec.Selector) {
				t.Errorf("the budget is for %v, the pods are %v", budget.Spec.Selector, release.statefulSet.Spec.Selector)
			}
			if policy := budget.Spec.UnhealthyPodEvictionPolicy; policy == nil || *policy != policyv1.AlwaysAllow {
				t.Error("pods that are not ready keep a node from being drained")
			}
		})
	}
}

// Replicas prefer different nodes, and what the values say about affinity stays.
func TestAffinity(t *testing.T) {
	node := map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{"nodeSelectorTerms": []any{
		map[string]any{"matchExpressions": []any{map[string]any{"key": "zone", "operator": "Exists"}}},
	}}}
	zones := map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"topologyKey": "zone"}}}
	affinityWith := func(affinity map[string]any) *corev1.Affinity {
		t.Helper()
		values := readValues(t, "replicas.yaml")
		set(values, "affinity", affinity)
		release, err := render(t, values)
		if err != nil {
			t.Fatal(err)
		}
		return release.statefulSet.Spec.Template.Spec.Affinity
	}

	both := affinityWith(map[string]any{"nodeAffinity": node})
	if both.NodeAffinity == nil || both.PodAntiAffinity == nil {
		t.Errorf("a node affinity gives %v, want it beside the preference for different nodes", both)
	}
	own := affinityWith(map[string]any{"podAntiAffinity": zones}).PodAntiAffinity
	if len(own.RequiredDuringSchedulingIgnoredDuringExecution) != 1 || own.PreferredDuringSchedulingIgnoredDuringExecution != nil {
		t.Errorf("podAntiAffinity of the values became %v", own)
	}
}

// Kubernetes refuses an upgrade that changes the claims, so they must not depend on the
// version of the chart.
func TestClaimsKeepTheirLabels(t *testing.T) {
	release := renderFile(t, "https.yaml")
	claim := release.statefulSet.Spec.VolumeClaimTemplates[0]
	if !reflect.DeepEqual(claim.Labels, release.statefulSet.Spec.Selector.MatchLabels) {
		t.Errorf("the claim has the labels %v, want those of the selector", claim.Labels)
	}
}

// Kubernetes appends a hash of 11 characters to the name for a label of the pods.
func TestLongNames(t *testing.T) {
	for _, key := range []string{"fullnameOverride", "nameOverride"} {
		values := readValues(t, "https.yaml")
		values[key] = strings.Repeat("long-", 12) + "name"
		release, err := render(t, values)
		if err != nil {
			t.Fatal(err)
		}
		if name := release.statefulSet.Name; len(name) > 52 {
			t.Errorf("%s gives the name %s of %d characters, want at most 52", key, name, len(name))
		}
	}
}

// A port is open to nobody whom the values do not name, and a pod without rules for what
// it may connect to is not restricted.
func TestNetworkPolicy(t *testing.T) {
	policy := find[*networkingv1.NetworkPolicy](renderFile(t, "https.yaml"))
	if want := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}; !reflect.DeepEqual(policy.Spec.PolicyTypes, want) {
		t.Errorf("the defaults restrict %v, want %v", policy.Spec.PolicyTypes, want)
	}
	if len(policy.Spec.Ingress) != 0 {
		t.Errorf("the defaults open the port by %v", policy.Spec.Ingress)
	}

	values := readValues(t, "ingress.yaml")
	set(values, "networkPolicy", map[string]any{"enabled": false})
	release, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	if policy := find[*networkingv1.NetworkPolicy](release); policy != nil {
		t.Errorf("networkPolicy.enabled is false, and there is %s", describePolicy(policy))
	}
}

// A changed setting must reach the program, which reads its settings at the start.
func TestSettingsRollThePod(t *testing.T) {
	values := readValues(t, "https.yaml")
	checksum := func(settings map[string]any) string {
		values["settings"] = settings
		release, err := render(t, values)
		if err != nil {
			t.Fatal(err)
		}
		return release.statefulSet.Spec.Template.Annotations["checksum/settings"]
	}
	before, after := checksum(map[string]any{"log-format": "text"}), checksum(map[string]any{"log-format": "json"})
	if before == "" || before == after {
		t.Errorf("the pod's checksum of the settings is %q before and %q after a change", before, after)
	}
}

func TestNotes(t *testing.T) {
	got := renderFile(t, "https.yaml").notes
	for _, want := range []string{
		"Kargo follows https://git.example.com/team/workspace.git at main",
		"kubectl --namespace ops logs --follow --prefix --selector app.kubernetes.io/name=kargo,app.kubernetes.io/instance=kargo",
		"Webhooks are refused",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("notes do not say %q:\n%s", want, got)
		}
	}
}

// TestRefusals starts each case from good values and changes one.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name  string
		file  string
		spoil string // keys parted by dots, as for `helm --set`
		value any
		want  string
	}{
		{"no repository", "https.yaml", "repo", "", "set repo to the workspace repository"},
		{"no manager", "https.yaml", "docker.host", "", "set docker.host"},
		{"no certificates", "https.yaml", "docker.tls.existingSecret", "", "set docker.tls.existingSecret"},
		{"ssh without a key", "ssh.yaml", "git.ssh.existingSecret", "", "set git.ssh.existingSecret"},
		{"token for ssh", "ssh.yaml", "git.https.existingSecret", "token", "git.https is for repositories over https"},
		{"key for https", "https.yaml", "git.ssh.existingSecret", "key", "git.ssh is for repositories over ssh"},
		{"ingress without a host", "ingress.yaml", "ingress.host", "", "set ingress.host"},
		{"several replicas of one claim", "replicas.yaml", "persistence.existingClaim", "history", "persistence.existingClaim is for one replica"},
		{"several replicas, each with its token", "replicas.yaml", "api.existingSecret", "", "set api.existingSecret"},
		{"half a digest", "https.yaml", "image.digest", "sha256:4f5c", "/image/digest"},
		{"half a replica", "https.yaml", "replicas", 1.5, "/replicas"},
		{"ingress that is cut off", "ingress.yaml", "networkPolicy.ingressFrom", []any{}, "set networkPolicy.ingressFrom to the namespace of the ingress controller"},
		{"service that is cut off", "https.yaml", "service.type", "LoadBalancer", "set networkPolicy.ingressFrom to who may use the service of type LoadBalancer"},
		{"peer that is nobody", "https.yaml", "networkPolicy.ingressFrom", []any{map[string]any{}}, "/networkPolicy/ingressFrom"},
		{"egress to nobody", "https.yaml", "networkPolicy.egress", []any{map[string]any{"to": []any{}}}, "/networkPolicy/egress"},
		{"repository in the clear", "https.yaml", "repo", "http://git.example.com/w.git", "/repo"},
		{"password in the address", "https.yaml", "repo", "https://robot:secret@git.example.com/w.git", "/repo"},
		{"Docker's socket", "https.yaml", "docker.host", "unix:///var/run/docker.sock", "/docker/host"},
		{"unknown value", "https.yaml", "repository", "x", "'repository' not allowed"},
		{"unknown value below", "https.yaml", "git.https.token", "x", "'token' not allowed"},
		{"interval without a unit", "https.yaml", "interval", "60", "/interval"},
		{"schedule of six fields", "https.yaml", "schedule", "0 * * * * *", "/schedule"},
		{"port of the privileged", "https.yaml", "port", 80, "/port"},
		{"setting that is a value", "https.yaml", "settings", map[string]any{"repo": "x"}, "invalid propertyName 'repo'"},
		{"secret that is a value", "https.yaml", "secretFiles", map[string]any{"KARGO_API_TOKEN": map[string]any{"existingSecret": "x", "key": "y"}}, "invalid propertyName 'KARGO_API_TOKEN'"},
		{"secret in the clear", "https.yaml", "secretFiles", map[string]any{"KARGO_SOPS_AGE_KEY": "AGE-SECRET-KEY-1"}, "/secretFiles"},
		{"Kargo's variables", "https.yaml", "extraEnv", []any{map[string]any{"name": "KARGO_REPO"}}, "/extraEnv"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			values := readValues(t, test.file)
			set(values, test.spoil, test.value)
			_, err := render(t, values)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	t.Run("defaults alone", func(t *testing.T) {
		_, err := render(t, map[string]any{})
		if err == nil || !strings.Contains(err.Error(), "set repo to the workspace repository") {
			t.Errorf("error %v, want one that asks for repo", err)
		}
	})
}

func TestLint(t *testing.T) {
	result := lint.All(chartDir, readValues(t, "https.yaml"), "ops", true)
	for _, message := range result.Messages {
		// The chart has no icon.
		if message.Severity > support.InfoSev {
			t.Error(message)
		}
	}
}

// set assigns a value at a path of keys separated by dots.
func set(values chartutil.Values, path string, value any) {
	keys := strings.Split(path, ".")
	at := map[string]any(values)
	for _, key := range keys[:len(keys)-1] {
		next, ok := at[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	at[keys[len(keys)-1]] = value
}
