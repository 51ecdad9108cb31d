package server_test

import (
	"strconv"
	"time"

	"kargo"
)

// now is the moment of every fixed status.
var now = time.Date(2025, 3, 14, 15, 9, 26, 0, time.UTC)

func at(ago time.Duration) time.Time { return now.Add(-ago) }

var (
	newest = kargo.Revision{
		Commit: "9c1185a5c5e9fc54612808977ee8f548b2258d31", Ref: "main",
		Author: "Grace Hopper", Subject: "Raise redis to 7.4 and add the tile server", Time: at(4 * time.Minute), Catalogue: "2.1.0",
	}
	older = kargo.Revision{
		Commit: "e242ed3bffccdf271b7fbaf34ed72d089537b42f", Ref: "main",
		Author: "Ada Lovelace", Subject: "Keep a week of metrics", Time: at(26 * time.Hour), Catalogue: "2.1.0",
	}
)

const digest = "@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

func healthyStacks() []kargo.StackStatus {
	return []kargo.StackStatus{
		{Name: "dbs", Verdict: kargo.VerdictChanged, InSync: true, Health: kargo.HealthHealthy, LastVerified: at(20 * time.Second), Revision: newest.ID(), Services: []kargo.ServiceStatus{
			{Name: "dbs_redis", Image: "redis:7.4-alpine" + digest, Running: 1, Desired: 1, Health: kargo.HealthHealthy, InSync: true},
			{Name: "dbs_postgis", Image: "registry.example.org/geo/postgis:15-3.3" + digest, Running: 1, Desired: 1, Health: kargo.HealthHealthy, InSync: true},
		}},
		{Name: "maps", Verdict: kargo.VerdictAdded, InSync: true, Health: kargo.HealthHealthy, LastVerified: at(20 * time.Second), Revision: newest.ID(), Services: []kargo.ServiceStatus{
			{Name: "maps_tileserver", Image: "maptiler/tileserver-gl:5.6.0", Running: 3, Desired: 3, Health: kargo.HealthHealthy, InSync: true},
			{Name: "maps_mapserver", Image: "registry.example.org/geo/mapserver:8.0", Running: 2, Desired: 2, Health: kargo.HealthHealthy, InSync: true},
		}},
		{Name: "monitoring", Verdict: kargo.VerdictUnchanged, InSync: true, Health: kargo.HealthHealthy, LastVerified: at(3 * time.Minute), Revision: older.ID(), Services: []kargo.ServiceStatus{
			{Name: "monitoring_prometheus", Image: "prom/prometheus:v2.53.0", Running: 1, Desired: 1, Health: kargo.HealthHealthy, InSync: true},
			{Name: "monitoring_node-exporter", Image: "prom/node-exporter:v1.8.1", Running: 5, Desired: 5, Health: kargo.HealthHealthy, InSync: true},
		}},
	}
}

var rolledOut = []kargo.Change{
	{Action: kargo.Create, Kind: kargo.KindConfig, Stack: "maps", Name: "maps_styles-1f3870be", Reason: "new"},
	{Action: kargo.Update, Kind: kargo.KindService, Stack: "dbs", Name: "dbs_redis",
		Reason: `TaskTemplate.ContainerSpec.Image: "redis:7.2-alpine" -> "redis:7.4-alpine"`,
		Fields: []kargo.FieldChange{{Path: "TaskTemplate.ContainerSpec.Image", Before: `"redis:7.2-alpine"`, After: `"redis:7.4-alpine"`}}},
	{Action: kargo.Create, Kind: kargo.KindService, Stack: "maps", Name: "maps_tileserver", Reason: "new"},
	{Action: kargo.Remove, Kind: kargo.KindConfig, Stack: "maps", Name: "maps_styles-77aa01be", Reason: "no longer used"},
}

func deployments() []kargo.Deployment {
	return []kargo.Deployment{
		{
			Number: 42, Revision: newest, Trigger: "webhook github", Started: at(3 * time.Minute), Finished: at(2*time.Minute + 22*time.Second),
			Outcome: kargo.OutcomeSucceeded, PlanID: "0f343b0931a1", Changes: rolledOut,
			Stacks: []kargo.StackResult{{Name: "dbs", Verdict: kargo.VerdictChanged}, {Name: "maps", Verdict: kargo.VerdictAdded}, {Name: "monitoring", Verdict: kargo.VerdictUnchanged}},
		},
		{
			Number: 41, Revision: older, Trigger: "swarm event", Started: at(5 * time.Hour), Finished: at(5*time.Hour - 4*time.Second),
			Outcome: kargo.OutcomeFailed, PlanID: "62cdb7020ff9",
			Changes: []kargo.Change{{Action: kargo.Update, Kind: kargo.KindService, Stack: "dbs", Name: "dbs_redis", Reason: "Mode.Replicated.Replicas: 3 -> 1"}},
			Stacks: []kargo.StackResult{{Name: "dbs", Verdict: kargo.VerdictChanged, Failure: &kargo.Failure{Revision: older.ID(), Time: at(5 * time.Hour),
				Reason: "dbs_redis: 3 tasks failed", Words: []string{"dbs_redis on worker-0: failed: task: non-zero exit (1)"}}}},
			Hooks: []kargo.HookRun{
				{Script: "deploy/redis_before.sh", Stack: "dbs", Took: 120 * time.Millisecond},
				{Script: "deploy/redis_after.sh", Stack: "dbs", Took: 2 * time.Second, Output: "tells the others\nno <answer>\n", Err: "hook ended with exit code 4"},
			},
			Err: "update service dbs_redis: rpc error: code = Unavailable desc = the swarm does not have a leader",
		},
		{
			Number: 40, Revision: older, Trigger: "interval", Started: at(26 * time.Hour), Outcome: kargo.OutcomeSuperseded, PlanID: "12f54a96f643",
			Changes: []kargo.Change{{Action: kargo.Update, Kind: kargo.KindService, Stack: "monitoring", Name: "monitoring_prometheus",
				Reason: `TaskTemplate.ContainerSpec.Args[1]: "--storage.tsdb.retention.time=2d" -> "--storage.tsdb.retention.time=7d"`}},
			Stacks: []kargo.StackResult{{Name: "monitoring", Verdict: kargo.VerdictChanged}},
		},
		{
			Number: 39, Revision: older, Trigger: "hold", Started: at(27 * time.Hour), Finished: at(27 * time.Hour), Outcome: kargo.OutcomeSucceeded,
			Entry: kargo.Entry{Kind: kargo.EntryHold, By: kargo.Person{Name: "ada", From: "192.0.2.1"}, Note: "maps held by ada (192.0.2.1): a sale"},
		},
		{
			Number: 38, Revision: older, Trigger: "webhook github", Started: at(28 * time.Hour), Finished: at(28 * time.Hour), Outcome: kargo.OutcomeRefused,
			Entry: kargo.Entry{Kind: kargo.EntryRefusal}, Err: "deploy/redis.yml:7: services.redis.imgae is not a property of compose files for Swarm (did you mean image?)",
		},
	}
}

// healthy is a quiet day.
func healthy() kargo.Status {
	return kargo.Status{
		Version: "1.0.0", Instance: "production", Repository: "https://git.example.org/ops/workspace.git",
		Head: newest, Applied: newest, Stacks: healthyStacks(),
		Plan:      kargo.PlanText{ID: "0f343b0931a1", Revision: newest.ID(), Changes: rolledOut, Time: at(3 * time.Minute)},
		LastRound: at(20 * time.Second), NextRound: at(-40 * time.Second), LastVerified: at(20 * time.Second), LastFetched: at(20 * time.Second), Rounds: 4711,
	}
}

// unseen is a process that has begun again while Docker is away.
func unseen() kargo.Status {
	status := healthy()
	status.LastVerified = time.Time{}
	return status
}

// troubled has something of everything that can be wrong.
func troubled() kargo.Status {
	status := healthy()
	status.Applied = older
	status.HistoryTrouble = "the history cannot be written and is kept in memory: write /data/.kargo-state/history.journal: no space left on device"
	status.Fault, status.Message = "invalid", "the newest revision cannot be applied"
	status.Problems = kargo.Problems{
		{Where: kargo.Place{File: "deploy/redis.yml", Line: 12}, Message: `services.redis.deploy.replicas must be an integer, not "three"`, Hint: "write a number without quotes"},
		{Where: kargo.Place{File: ".env", Line: 3}, Message: "STACKS names maps, and there is no deploy/maps.yml"},
		{Where: kargo.Place{File: "deploy/monitoring.yml", Line: 40}, Message: "services.prometheus.restart is not used by Swarm", Hint: "use deploy.restart_policy", Warning: true},
	}
	status.Stacks[0].Health, status.Stacks[0].InSync = kargo.HealthDegraded, false
	status.Stacks[0].Message = "dbs_postgis was rolled back"
	status.Stacks[0].Operation, status.Stacks[1].Operation = kargo.OperationHeld, kargo.OperationRollingOut
	status.Stacks[1].Services[0].Operation = kargo.OperationRollingOut
	status.Stacks[1].Services[1].InSync, status.Stacks[1].Services[1].Operation = false, kargo.OperationWaiting
	status.Stacks[0].Failure = &kargo.Failure{Revision: newest.ID(), Reason: "dbs_postgis: 3 tasks failed", Time: at(time.Minute),
		Words: []string{"dbs_postgis on worker-0: failed: task: non-zero exit (1)", "log: FATAL: <wrong> ownership"}}
	status.Stacks[0].Services[1].Health, status.Stacks[0].Services[1].Running = kargo.HealthDegraded, 0
	status.Stacks[0].Services[1].Message = `task: non-zero exit (1): FATAL: data directory "/var/lib/postgresql/data" has wrong ownership`
	status.Stacks[1].Health, status.Stacks[1].Services[0].Health, status.Stacks[1].Services[0].Running = kargo.HealthProgressing, kargo.HealthProgressing, 1
	status.Images = []kargo.ImageStatus{
		{ImageRule: kargo.ImageRule{Variable: "POSTGIS_TAG", Image: "registry.example.org/geo/postgis", Pattern: `^(\d+)-3\.3$`}, Current: "15-3.3",
			Error: "list tags of registry.example.org/geo/postgis: no answer within 30s"},
		{ImageRule: kargo.ImageRule{Variable: "REDIS_TAG", Image: "redis", Semver: ">=7 <8", Write: true}, Current: "7.2", Newest: "7.4", Behind: true,
			Since: at(3 * time.Hour), Commit: newest.Commit, Branch: "main"},
		{ImageRule: kargo.ImageRule{Variable: "PROMETHEUS_TAG", Image: "prom/prometheus", Semver: "2.x"}, Current: "v2.53.0", Newest: "v2.53.0"},
	}
	status.Pending = kargo.PlanText{
		ID: "5ebe2294ecd0", Revision: older.ID(), Time: at(20 * time.Second), Changes: []kargo.Change{},
		Held: []kargo.Hold{
			{Name: "archive", Reason: "owns the volume archive_data; its removal waits for approval", Until: kargo.UntilApproved},
			{Kind: kargo.KindService, Stack: "maps", Name: "maps_mapserver", Reason: "waits for stack dbs", Until: kargo.UntilSettled},
		},
	}
	return status
}

// starting is a controller that has done nothing yet.
func starting() kargo.Status {
	return kargo.Status{Version: "1.0.0", Repository: "https://git.example.org/ops/workspace.git", Fault: "unavailable",
		Message: "list the refs of https://git.example.org/ops/workspace.git: no answer within 20s (is the host up, and does a firewall let it through?)"}
}

// many is a failed stack, one that rolls out, and n that are well.
func many(n int) kargo.Status {
	status := troubled()
	status.Problems, status.Fault, status.Message, status.HistoryTrouble = nil, "", "", ""
	for i := range n {
		stack := healthyStacks()[i%3]
		stack.Name += "-" + strconv.Itoa(i)
		status.Stacks = append(status.Stacks, stack)
	}
	return status
}

// rewinding is a controller whose repository went back to an older signed commit.
func rewinding() kargo.Status {
	status := healthy()
	status.Head, status.Applied, status.Rewinds = older, newest, true
	status.Fault = "invalid"
	status.Problems = kargo.Problems{{Where: kargo.Place{File: "signature"}, Hint: "if it is meant, approve it: kargo approve " + older.Short(),
		Message: "commit " + older.Short() + " does not come after " + newest.Short() + ", which is in force: it is older, or of another branch"}}
	status.Message = status.Problems[0].String()
	return status
}

// frozen is a controller in a freeze window, with a commit that waits for its end.
func frozen() kargo.Status {
	status := healthy()
	weekend := kargo.FreezeWindow{Cron: "0 15 * * FRI", Zone: "Europe/Berlin", Duration: "60h", Reason: "no changes over the weekend", Where: kargo.Place{File: "kargo.yml", Line: 3}}
	backup := kargo.FreezeWindow{Cron: "0 3 * * *", Duration: "2h"}
	status.Frozen = &kargo.Freeze{Window: weekend, Since: at(69 * time.Minute), Until: at(-59 * time.Hour)}
	status.Freezes = []kargo.FreezeStatus{{FreezeWindow: backup, Of: kargo.FreezeOfOperator, Next: at(-12 * time.Hour)},
		{FreezeWindow: weekend, Of: kargo.FreezeOfWorkspace, Next: at(-7 * 24 * time.Hour)}}
	status.Applied = older
	status.Stacks[0].InSync, status.Stacks[0].Operation = false, kargo.OperationHeld
	reason := status.Frozen.String() + `; it would be updated: image "redis:7.2-alpine" → "redis:7.4-alpine"`
	status.Pending = kargo.PlanText{ID: "77aa4be0c1d2", Revision: newest.ID(), Time: at(20 * time.Second), Changes: []kargo.Change{},
		Held: []kargo.Hold{{Kind: kargo.KindService, Stack: "dbs", Name: "dbs_redis", Reason: reason, Until: kargo.UntilReleased}}}
	return status
}

// empty is a controller of a workspace without stacks.
func empty() kargo.Status {
	status := healthy()
	status.Stacks, status.Plan = nil, kargo.PlanText{}
	return status
}

// first is a controller in its first deployment: nothing runs yet.
func first() kargo.Status {
	status := healthy()
	status.Applied = kargo.Revision{}
	for i := range status.Stacks {
		stack := &status.Stacks[i]
		stack.InSync, stack.Health, stack.Operation, stack.LastVerified, stack.Revision = false, kargo.HealthProgressing, kargo.OperationRollingOut, time.Time{}, ""
		for j := range stack.Services {
			service := &stack.Services[j]
			service.InSync, service.Health, service.Operation, service.Running = false, kargo.HealthProgressing, kargo.OperationRollingOut, 0
		}
	}
	return status
}

// held is a controller with a stack that a person holds, and one that went back.
func held() kargo.Status {
	status := healthy()
	status.Stacks[1].Stop = &kargo.Stop{By: kargo.Person{Name: "ada", From: "192.0.2.1"}, Why: "a sale", Since: at(time.Hour), Until: at(-time.Hour)}
	status.Stacks[0].Stop = &kargo.Stop{By: kargo.Person{Name: "ada", From: "192.0.2.1"}, Why: "orders fail", Since: at(time.Minute), Digest: "bbbb", Revision: older.ID()}
	status.Stacks[0].Revision, status.Stacks[0].Wanted = older.ID(), newest.ID()
	for i := range 2 {
		stack := &status.Stacks[i]
		stack.InSync, stack.Operation = false, kargo.OperationHeld
		status.Pending.Held = append(status.Pending.Held, kargo.Hold{Stack: stack.Name, Name: stack.Name, Until: kargo.UntilReleased,
			Reason: stack.Stop.String() + "; `kargo release " + stack.Name + "` ends it"})
	}
	return status
}

// suspended is a controller that a person keeps from changing anything.
func suspended() kargo.Status {
	status := healthy()
	status.Suspended = &kargo.Stop{By: kargo.Person{Name: "ada", From: "192.0.2.1"}, Why: "work on the network", Since: at(time.Hour)}
	status.Pending.Held = []kargo.Hold{{Kind: kargo.KindService, Stack: "dbs", Name: "dbs_redis", Until: kargo.UntilReleased,
		Reason: status.Suspended.Suspended() + `; it would be updated: image "redis:7.2-alpine" → "redis:7.4-alpine"`}}
	status.Stacks[0].InSync, status.Stacks[0].Operation = false, kargo.OperationHeld
	return status
}

// standby is a controller that stands by for another one.
func standby() kargo.Status {
	return kargo.Status{Version: "1.0.0", Instance: "production", Repository: "https://git.example.org/ops/workspace.git", Leader: "manager-2", Rounds: 3}
}

// gitAway is a controller that cannot reach git.
func gitAway() kargo.Status {
	status := away()
	status.SwarmTrouble, status.Message = "", status.GitTrouble
	return status
}

// manyDeployments are n of them, the newest first, of several kinds and outcomes.
func manyDeployments(n int) (all []kargo.Deployment) {
	some := deployments()
	for number := n; number > 0; number-- {
		d := some[number%len(some)]
		d.Number, d.Started = uint64(number), at(time.Duration(n-number)*47*time.Minute)
		if !d.Finished.IsZero() {
			d.Finished = d.Started.Add(9 * time.Second)
		}
		d.Revision.Subject += " of the shop"
		all = append(all, d)
	}
	return all
}

// away is a controller that can reach neither git nor Docker any more.
func away() kargo.Status {
	status := many(2)
	status.GitTrouble = "list the refs of https://git.example.org/ops/workspace.git: no answer within 20s (is the host up, and does a firewall let it through?)"
	status.SwarmTrouble = "list services: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
	status.Fault, status.Message = "unavailable", status.SwarmTrouble+"\n"+status.GitTrouble
	status.LastFetched, status.LastVerified = at(10*time.Minute), at(12*time.Minute)
	return status
}
