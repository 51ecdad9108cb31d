package kargo_test

import (
	"strings"
	"testing"

	"kargo"
)

func TestChangesInWords(t *testing.T) {
	change := func(fields ...string) kargo.Change {
		c := kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Stack: "shop", Name: "kargo-shop_web", Reason: "paths"}
		for _, field := range fields {
			path, values, _ := strings.Cut(field, ": ")
			before, after, _ := strings.Cut(values, " -> ")
			c.Fields = append(c.Fields, kargo.FieldChange{Path: path, Before: before, After: after})
		}
		return c
	}
	back := change(`TaskTemplate.ContainerSpec.Image: "shop:2" -> "shop:1"`)
	back.Back = true
	lines := change(`TaskTemplate.ContainerSpec.Configs[/etc/x.conf].ConfigName: "x-1" -> "x-2"`)
	lines.Fields[0].Lines = kargo.DiffLines("a\nb\n", "a\nc\n")
	for _, c := range []struct {
		change kargo.Change
		want   string
	}{
		{change(`TaskTemplate.ContainerSpec.Image: "shop:1" -> "shop:2"`), `~ shop/web  image "shop:1" → "shop:2"`},
		{change(`TaskTemplate.ContainerSpec.Env[GREETING]: "hello" -> "ciao"`), `~ shop/web  environment GREETING: "hello" → "ciao"`},
		{change(`TaskTemplate.ContainerSpec.Env[NEW]: (none) -> "x"`), `~ shop/web  environment NEW: new, "x"`},
		{change(`TaskTemplate.ContainerSpec.Env[OLD]: "x" -> (none)`), `~ shop/web  environment OLD: removed, was "x"`},
		{change(`Mode.Replicated.Replicas: 2 -> 3`), `~ shop/web  replicas 2 → 3`},
		{change(
			"EndpointSpec.Ports[8107/80].PublishedPort: 8107 -> (none)", "EndpointSpec.Ports[8107/80].TargetPort: 80 -> (none)",
			"EndpointSpec.Ports[8207/80].PublishedPort: (none) -> 8207", "EndpointSpec.Ports[8207/80].TargetPort: (none) -> 80",
		), "~ shop/web  ports 8107:80 → 8207:80"},
		{change("EndpointSpec.Ports[53/53/udp].PublishedPort: (none) -> 53"), "~ shop/web  ports 53:53/udp: new"},
		{change(`TaskTemplate.ContainerSpec.Image: "a" -> "b"`, "Mode.Replicated.Replicas: 1 -> 2"),
			"~ shop/web\n    image \"a\" → \"b\"\n    replicas 1 → 2"},
		{change(`Labels.motd: "` + strings.Repeat("x", 100) + `" -> "y"`),
			`~ shop/web  label motd: "` + strings.Repeat("x", 59) + `… (102 characters) → "y"`},
		{change("UpdateConfig.Parallelism: 1 -> 2"), "~ shop/web  update_config parallelism: 1 → 2"},
		{change("UpdateConfig.FailureAction: \"pause\" -> \"rollback\""), `~ shop/web  update_config failure_action: "pause" → "rollback"`},
		{change("RollbackConfig.Monitor: 5000000000 -> 90000000000"), "~ shop/web  rollback_config monitor: 5s → 1m30s"},
		{change("TaskTemplate.Resources.Limits.MemoryBytes: (none) -> 536870912"), "~ shop/web  memory limit: new, 512M"},
		{change("TaskTemplate.Resources.Limits.MemoryBytes: 1000 -> 0"), "~ shop/web  memory limit: 1000 → 0"},
		{change("TaskTemplate.Resources.Reservations.NanoCPUs: 500000000 -> 2000000000"), "~ shop/web  cpus reservation: 0.5 → 2"},
		{change("TaskTemplate.ContainerSpec.Healthcheck.StartPeriod: 1000000000 -> (none)"), "~ shop/web  healthcheck start_period: removed, was 1s"},
		{change("TaskTemplate.ContainerSpec.ReadOnly: false -> true"), "~ shop/web  read_only false → true"},
		{change(`TaskTemplate.ContainerSpec.Configs[/etc/x.conf].ConfigName: "x-1" -> "x-2"`), "~ shop/web  config /etc/x.conf: other content"},
		{change(`TaskTemplate.ContainerSpec.Secrets[pw].File.UID: (none) -> "0"`, `TaskTemplate.ContainerSpec.Secrets[pw].SecretName: (none) -> "pw-1"`), "~ shop/web  secret pw: new"},
		{change(`TaskTemplate.ContainerSpec.Configs[/etc/x.conf].ConfigName: "x-1" -> (none)`, `TaskTemplate.ContainerSpec.Configs[/etc/x.conf].File.Mode: 292 -> (none)`,
			"Mode.Replicated.Replicas: 1 -> 2"), "~ shop/web\n    config /etc/x.conf: removed\n    replicas 1 → 2"},
		{change(`TaskTemplate.ContainerSpec.Configs[/etc/x.conf].File.Mode: 292 -> 256`), "~ shop/web  config /etc/x.conf File Mode: 292 → 256"},
		{lines, "~ shop/web  config /etc/x.conf:\n        a\n      - b\n      + c"},
		{back, "~ shop/web\n    goes back to what ran before\n    image \"shop:2\" → \"shop:1\""},
		{kargo.Change{Action: kargo.Create, Kind: kargo.KindNetwork, Stack: "shop", Name: "kargo-shop_back", Reason: "new"}, "+ network kargo-shop_back  new"},
		{kargo.Change{Action: kargo.Remove, Kind: kargo.KindService, Stack: "shop", Name: "kargo-shop_web", Reason: "no longer in the workspace"},
			"- shop/web  no longer in the workspace"},
	} {
		if got := c.change.InWords(); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

func TestNetworkWords(t *testing.T) {
	network := func(field, before, after string) kargo.FieldChange {
		return kargo.FieldChange{Path: "TaskTemplate.Networks[back]." + field, Before: before, After: after}
	}
	for want, fields := range map[string][]kargo.FieldChange{
		"network back: new":                             {network("Aliases", "(none)", `["web"]`), network("Target", "(none)", `"back"`)},
		"network back: removed":                         {network("Aliases", `["web"]`, "(none)"), network("Target", `"back"`, "(none)")},
		`network back Aliases: ["web"] → ["web","www"]`: {network("Aliases", `["web"]`, `["web","www"]`)},
	} {
		change := kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Fields: fields}
		if got := strings.Join(change.Words(), "; "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
