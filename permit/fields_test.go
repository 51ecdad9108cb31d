package permit_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/permit"
)

// What no compose file can say today may come with another version of Docker's
// converter, and is judged all the same: each of these fields grants something
// in the Docker API 1.41 to 1.51.
func TestFieldsThatComposeFilesCannotSay(t *testing.T) {
	container := func(change func(*swarm.ContainerSpec)) swarm.TaskSpec {
		spec := &swarm.ContainerSpec{Image: "app:1"}
		change(spec)
		return swarm.TaskSpec{ContainerSpec: spec}
	}
	privileges := func(p swarm.Privileges) swarm.TaskSpec {
		return container(func(c *swarm.ContainerSpec) { c.Privileges = &p })
	}
	for _, test := range []struct {
		task swarm.TaskSpec
		want string
	}{
		{privileges(swarm.Privileges{Seccomp: &swarm.SeccompOpts{Mode: swarm.SeccompModeUnconfined}}),
			`service kargo-web_app has the seccomp profile unconfined, which rule privileges`},
		{privileges(swarm.Privileges{Seccomp: &swarm.SeccompOpts{Mode: swarm.SeccompModeCustom, Profile: []byte("{}")}}),
			`service kargo-web_app has the seccomp profile custom, which rule privileges`},
		{privileges(swarm.Privileges{Seccomp: &swarm.SeccompOpts{Mode: swarm.SeccompModeDefault}}), ""},
		{privileges(swarm.Privileges{AppArmor: &swarm.AppArmorOpts{Mode: swarm.AppArmorModeDisabled}}),
			`service kargo-web_app has the AppArmor mode disabled, which rule privileges`},
		{privileges(swarm.Privileges{SELinuxContext: &swarm.SELinuxContext{Disable: true}}),
			`service kargo-web_app has an SELinux context of its own, which rule privileges`},
		{privileges(swarm.Privileges{SELinuxContext: &swarm.SELinuxContext{Type: "spc_t"}}),
			`service kargo-web_app has an SELinux context of its own, which rule privileges`},
		{privileges(swarm.Privileges{CredentialSpec: &swarm.CredentialSpec{File: "spec.json"}}),
			`service kargo-web_app has a credential spec from a file, which rule privileges`},
		{privileges(swarm.Privileges{NoNewPrivileges: true}), ""},
		{container(func(c *swarm.ContainerSpec) { c.OomScoreAdj = -500 }),
			`service kargo-web_app has the OOM score -500, which rule oom-score`},
		{container(func(c *swarm.ContainerSpec) {
			c.Mounts = []mount.Mount{{Type: mount.TypeImage, Source: "evil.example/x"}}
		}), ""},
		{container(func(c *swarm.ContainerSpec) { c.Mounts = []mount.Mount{{Type: "new", Target: "/x"}} }),
			`service kargo-web_app has a mount of the unknown type "new", which rule volume-drivers`},
		{container(func(c *swarm.ContainerSpec) {
			c.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "kargo-web_x", VolumeOptions: &mount.VolumeOptions{
				DriverConfig: &mount.Driver{Options: map[string]string{"type": "none", "o": "bind", "device": `{{ printf "/etc" }}`}},
			}}}
		}), `service kargo-web_app mounts the node's {{…}}, which rule bind-mounts`},
		{swarm.TaskSpec{Runtime: swarm.RuntimePlugin, PluginSpec: &swarm.RuntimeSpec{Remote: "x"}},
			`service kargo-web_app is a plugin of the engine, or runs in no container, which rule plugins`},
		{swarm.TaskSpec{Resources: &swarm.ResourceRequirements{Reservations: &swarm.Resources{
			GenericResources: []swarm.GenericResource{{NamedResourceSpec: &swarm.NamedGenericResource{Kind: "fpga", Value: "1"}}},
		}}}, `service kargo-web_app reserves fpga, which rule devices`},
		{swarm.TaskSpec{Networks: []swarm.NetworkAttachmentConfig{{Target: "nobody-declared"}}},
			`service kargo-web_app is on the external network nobody-declared, which rule external-networks`},
		{container(func(c *swarm.ContainerSpec) {
			c.Configs = []*swarm.ConfigReference{{ConfigName: "kargo-dbs_password-0123456789ab"}}
		}), `service kargo-web_app uses the external config kargo-dbs_password-0123456789ab, which rule external-configs`},
	} {
		stack := kargo.Stack{Name: "web", Services: []kargo.Service{{Name: "kargo-web_app", Spec: swarm.ServiceSpec{TaskTemplate: test.task}}}}
		problems := permit.Check(policy(t, permit.Baseline, ""), permit.Input{Stacks: []kargo.Stack{stack}})
		got := ""
		if len(problems) > 0 {
			got = problems[0].Message
		}
		if want := test.want; want != "" && got != want+" of policy baseline does not permit" || want == "" && got != "" {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestPolicySettings(t *testing.T) {
	for _, test := range []struct{ rule, value, want string }{
		{"bind-mount", "/srv", `there is no rule "bind-mount" (did you mean bind-mounts?)`},
		{"bind-mounts", " , ", "rule bind-mounts has no value; it takes allow, warn, deny or what it permits"},
		{"bind-mounts", "/srv deny", `rule bind-mounts takes allow, warn or deny alone, not "/srv deny"`},
	} {
		if _, err := (permit.Policy{}).Set(test.rule, test.value); err == nil || kargo.Explain(err) != test.want || kargo.FaultOf(err) != kargo.Invalid {
			t.Errorf("%s=%s: %v", test.rule, test.value, err)
		}
	}
	if _, err := permit.New("strict"); err == nil || kargo.Explain(err) != `there is no policy "strict"; the policies are open, baseline, restricted` {
		t.Errorf("New: %v", err)
	}
	if _, err := (permit.Policy{}).Except("kargo-web_app", "everything"); kargo.FaultOf(err) != kargo.Invalid {
		t.Errorf("Except: %v", err)
	}
}

// A digest tells policies apart, and nothing else does.
func TestDigest(t *testing.T) {
	seen := map[string]string{}
	for _, rules := range []string{"", "bind-mounts=/srv", "bind-mounts=/srv/*", "bind-mounts=warn", "kargo-web_app: bind-mounts"} {
		for _, name := range policies {
			digest := policy(t, name, rules).Digest()
			if other, taken := seen[digest]; taken {
				t.Errorf("%s %s and %s have one digest", name, rules, other)
			}
			if again := policy(t, name, rules).Digest(); again != digest {
				t.Errorf("%s %s has two digests", name, rules)
			}
			seen[digest] = name + " " + rules
		}
	}
	if (permit.Policy{}).Digest() != policy(t, permit.Open, "").Digest() {
		t.Error("the zero policy is not open")
	}
}

// FuzzBind looks for a bind's source that the gate takes for harmless and that
// is not: what passes a list of paths must lie below them.
func FuzzBind(f *testing.F) {
	for _, seed := range []string{"/srv/a", "/srv/../etc", "/srv", "/srv/{{.Node.Hostname}}", `/srv/{{"../etc"}}`, `\srv\..\x`, "//srv/a", "/srv/a/./../../x", "/srv/\x00/..", "/srv/{{.Node.Hostname}}/../../..", "/srv/{{ .Service.Name }}{{", "srv"} {
		f.Add(seed)
	}
	p := policy(f, permit.Baseline, "bind-mounts=/srv/*")
	f.Fuzz(func(t *testing.T, source string) {
		stack := kargo.Stack{Name: "web", Services: []kargo.Service{{Name: "kargo-web_app", Spec: swarm.ServiceSpec{TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: "app:1", Mounts: []mount.Mount{{Type: mount.TypeBind, Source: source}}},
		}}}}}
		if problems := permit.Check(p, permit.Input{Stacks: []kargo.Stack{stack}, Root: "/srv/.kargo"}); problems.Err() != nil {
			return
		}
		if escapes(source) {
			t.Errorf("%q is permitted", source)
		}
	})
}

var plain = regexp.MustCompile(`\{\{\s*\.(?:Service|Node|Task)(?:\.Platform)?\.[A-Za-z]+\s*\}\}`)

// escapes walks a path as a kernel would, with a placeholder as one plain name,
// and reports whether it ends outside of /srv.
func escapes(source string) bool {
	source = plain.ReplaceAllString(source, "x")
	var at []string
	for _, part := range strings.FieldsFunc(source, func(r rune) bool { return r == '/' || r == '\\' }) {
		switch part {
		case ".":
		case "..":
			at = at[:max(len(at)-1, 0)]
		default:
			at = append(at, part)
		}
	}
	return strings.Contains(source, "{{") || len(at) < 2 || at[0] != "srv"
}
