package swarm_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

const daemonInvalid = "Error response from daemon: rpc error: code = InvalidArgument desc = "

// objectContracts are about configs, secrets and networks.
var objectContracts = []contract{
	{"a lease is written by the one who has read it last", func(t *testing.T, b *bed) {
		instance := b.name("lease")
		t.Cleanup(func() {
			if err := b.api.ConfigRemove(context.Background(), "kargo-lease-"+instance); err != nil {
				t.Errorf("clean up: %v", err)
			}
		})
		none, err := b.client.Lease(t.Context(), instance)
		if none != (kargo.Lease{}) || err != nil {
			t.Fatalf("before it is made: %+v, %v", none, err)
		}
		first, err := b.client.WriteLease(t.Context(), instance, kargo.Lease{Holder: "a", Name: "one", Epoch: 1})
		if err != nil || first.Version == 0 || first.Holder != "a" || first.Name != "one" || first.Epoch != 1 {
			t.Fatalf("made: %+v, %v", first, err)
		}
		if _, err := b.client.WriteLease(t.Context(), instance, kargo.Lease{Holder: "b", Epoch: 1}); kargo.FaultOf(err) != kargo.Conflict {
			t.Errorf("made a second time: %v", err)
		}
		renewed := first
		renewed.Renewal, renewed.Trigger, renewed.Nudge, renewed.Aside = 1, "webhook", 3, "digest"
		renewed, err = b.client.WriteLease(t.Context(), instance, renewed)
		if err != nil || renewed.Version <= first.Version || renewed.Renewal != 1 || renewed.Nudge != 3 || renewed.Aside != "digest" || renewed.Trigger != "webhook" {
			t.Errorf("renewed: %+v, %v", renewed, err)
		}
		stale := first
		stale.Holder, stale.Epoch = "b", 2
		if _, err := b.client.WriteLease(t.Context(), instance, stale); kargo.FaultOf(err) != kargo.Conflict {
			t.Errorf("taken over by one who has not seen the renewal: %v", err)
		}
		if read, err := b.client.Lease(t.Context(), instance); read != renewed || err != nil {
			t.Errorf("read: %+v, %v", read, err)
		}
	}},
	{"what is too large for a lease lies beside it", func(t *testing.T, b *bed) {
		instance := b.name("aside")
		none, err := b.client.Aside(t.Context(), instance)
		if none != (kargo.Aside{}) || err != nil {
			t.Fatalf("before it is made: %+v, %v", none, err)
		}
		all := strings.Repeat("what the next leader must know ", 10_000)
		if err := b.client.WriteAside(t.Context(), instance, kargo.Aside{Shared: all}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.api.ConfigRemove(context.Background(), "kargo-lease-_aside-"+instance); err != nil {
				t.Errorf("clean up: %v", err)
			}
		})
		first, err := b.client.Aside(t.Context(), instance)
		if err != nil || first.Version == 0 || first.Shared != all {
			t.Fatalf("made: version %d, %d bytes, %v", first.Version, len(first.Shared), err)
		}
		if err := b.client.WriteAside(t.Context(), instance, kargo.Aside{Shared: "another"}); kargo.FaultOf(err) != kargo.Conflict {
			t.Errorf("made a second time: %v", err)
		}
		if err := b.client.WriteAside(t.Context(), instance, kargo.Aside{Version: first.Version, Shared: "changed"}); err != nil {
			t.Error(err)
		}
		if err := b.client.WriteAside(t.Context(), instance, kargo.Aside{Version: first.Version, Shared: "late"}); kargo.FaultOf(err) != kargo.Conflict {
			t.Errorf("changed by one who has not seen the change: %v", err)
		}
		if read, err := b.client.Aside(t.Context(), instance); read.Shared != "changed" || err != nil {
			t.Errorf("read: %+v, %v", read, err)
		}
		if lease, err := b.client.Lease(t.Context(), instance); lease != (kargo.Lease{}) || err != nil {
			t.Errorf("it is taken for the lease: %+v, %v", lease, err)
		}
	}},
	{"a stack that runs is read with what it uses", func(t *testing.T, b *bed) {
		stack := b.name("shop")
		own := map[string]string{kargo.LabelNamespace: stack}
		made, err := b.api.NetworkCreate(t.Context(), stack+"_own", network.CreateOptions{Driver: "overlay", Internal: true, Labels: own, Options: map[string]string{"x": "y"}})
		if err != nil {
			t.Fatal(err)
		}
		outside := b.createNetwork(t, "outside")
		page, err := b.api.ConfigCreate(t.Context(), dockerswarm.ConfigSpec{Annotations: dockerswarm.Annotations{Name: stack + "_page", Labels: own}, Data: []byte("content")})
		if err != nil {
			t.Fatal(err)
		}
		secret := b.createSecret(t, "given", "geheim")
		spec := b.spec("shop_web")
		spec.Labels = own
		file := dockerswarm.ConfigReferenceFileTarget{Name: "/page", UID: "0", GID: "0", Mode: 0o444}
		secretFile := dockerswarm.SecretReferenceFileTarget(file)
		spec.TaskTemplate.ContainerSpec.Configs = []*dockerswarm.ConfigReference{{File: &file, ConfigID: page.ID, ConfigName: stack + "_page"}}
		spec.TaskTemplate.ContainerSpec.Secrets = []*dockerswarm.SecretReference{{File: &secretFile, SecretID: secret, SecretName: b.name("given")}}
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: made.ID}, {Target: outside}}
		b.create(t, spec)
		b.create(t, b.spec("other"))

		read, err := b.client.RunningStack(t.Context(), stack)
		if err != nil || len(read.Services) != 1 || len(read.Networks) != 2 || len(read.Configs) != 2 {
			t.Fatalf("%+v, %v", read, err)
		}
		same(t, "service", read.Services[0].Name+" "+read.Services[0].Spec.TaskTemplate.Networks[0].Target, stack+"_web "+stack+"_own")
		for _, found := range read.Networks {
			same(t, "network "+found.Name, fmt.Sprint(found.External, found.Internal, found.Options), map[bool]string{true: "false true map[x:y]", false: "true false map[]"}[found.Name == stack+"_own"])
		}
		for _, found := range read.Configs {
			same(t, found.Name, fmt.Sprintf("%t %t %q", found.External, found.Secret, found.Data), map[bool]string{true: `true true ""`, false: `false false "content"`}[found.Secret])
		}
		if _, err := b.client.RunningStack(t.Context(), b.name("shp")); kargo.FaultOf(err) != kargo.Invalid || kargo.HintOf(err) == "" {
			t.Errorf("a stack that does not run: %v", err)
		}
	}},
	{"configs and secrets have limits", func(t *testing.T, b *bed) {
		const badName = daemonInvalid + "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]"
		const badConfig = daemonInvalid + "config data must be larger than 0 and less than 1024000 bytes"
		const badSecret = daemonInvalid + "secret data must be larger than 0 and less than 512000 bytes"
		long := b.name(strings.Repeat("a", 65-len(b.prefix)))
		for _, try := range []struct {
			name           string
			size           int
			config, secret string
		}{
			{b.name("empty"), 0, badConfig, badSecret},
			{b.name("fits"), 511999, "no error", "no error"},
			{b.name("large"), 512000, "no error", badSecret},
			{b.name("larger"), 1023999, "no error", badSecret},
			{b.name("largest"), 1024000, badConfig, badSecret},
			{long, 1, badName, badName},
			{long[:64], 1, "no error", "no error"},
			{b.name("end-"), 1, badName, badName},
		} {
			annotations := dockerswarm.Annotations{Name: try.name}
			data := bytes.Repeat([]byte("a"), try.size)
			_, err := b.api.ConfigCreate(t.Context(), dockerswarm.ConfigSpec{Annotations: annotations, Data: data})
			same(t, "config "+try.name, message(err), try.config)
			_, err = b.api.SecretCreate(t.Context(), dockerswarm.SecretSpec{Annotations: annotations, Data: data})
			same(t, "secret "+try.name, message(err), try.secret)
		}
	}},
	{"configs and secrets cannot change but for labels", func(t *testing.T, b *bed) {
		id := b.createConfig(t, "one", "a")
		config, _, err := b.api.ConfigInspectWithRaw(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		other := config.Spec
		other.Data = []byte("b")
		same(t, "data", message(b.api.ConfigUpdate(t.Context(), id, config.Version, other)), daemonInvalid+"only updates to Labels are allowed")
		labelled := dockerswarm.ConfigSpec{Annotations: dockerswarm.Annotations{Name: config.Spec.Name, Labels: map[string]string{"a": "1"}}}
		same(t, "label", message(b.api.ConfigUpdate(t.Context(), id, config.Version, labelled)), "no error")
		same(t, "old version", message(b.api.ConfigUpdate(t.Context(), id, config.Version, labelled)),
			"Error response from daemon: rpc error: code = Unknown desc = update out of sequence")
		config, _, err = b.api.ConfigInspectWithRaw(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "after", string(config.Spec.Data)+" "+config.Spec.Labels["a"], "a 1")
	}},
	{"secrets are not read back", func(t *testing.T, b *bed) {
		secret, _, err := b.api.SecretInspectWithRaw(t.Context(), b.createSecret(t, "one", "hush"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "data", string(secret.Spec.Data), "")
	}},
	{"a network of the node alone is seen as one", func(t *testing.T, b *bed) {
		b.createNetwork(t, "overlay")
		if _, err := b.api.NetworkCreate(t.Context(), b.name("bridge"), network.CreateOptions{Driver: "bridge"}); err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, found := range b.observe(t).Networks {
			seen = append(seen, fmt.Sprint(strings.TrimPrefix(found.Name, b.prefix), " ", found.Driver, " local: ", found.Local))
		}
		same(t, "networks", strings.Join(seen, ", "), "bridge bridge local: true, overlay overlay local: false")
	}},
	{"names are taken once", func(t *testing.T, b *bed) {
		b.createNetwork(t, "net")
		b.createConfig(t, "config", "a")
		b.createSecret(t, "secret", "a")
		b.create(t, b.spec("service"))
		_, err := b.api.NetworkCreate(t.Context(), b.name("net"), network.CreateOptions{Driver: "overlay"})
		same(t, "network", message(err), "Error response from daemon: network with name "+b.name("net")+" already exists")
		_, configErr := b.api.ConfigCreate(t.Context(), dockerswarm.ConfigSpec{
			Annotations: dockerswarm.Annotations{Name: b.name("config")}, Data: []byte("a"),
		})
		same(t, "config", message(configErr), "Error response from daemon: rpc error: code = AlreadyExists desc = config "+b.name("config")+" already exists")
		_, secretErr := b.api.SecretCreate(t.Context(), dockerswarm.SecretSpec{
			Annotations: dockerswarm.Annotations{Name: b.name("secret")}, Data: []byte("a"),
		})
		same(t, "secret", message(secretErr), "Error response from daemon: rpc error: code = AlreadyExists desc = secret "+b.name("secret")+" already exists")
		again := b.spec("SERVICE")
		_, serviceErr := b.api.ServiceCreate(t.Context(), again, dockerswarm.ServiceCreateOptions{})
		same(t, "service", message(serviceErr), "Error response from daemon: rpc error: code = AlreadyExists desc = "+
			"name conflicts with an existing object: service "+b.name("SERVICE")+" already exists")
		for _, err := range []error{err, configErr, secretErr, serviceErr} {
			if !errdefs.IsConflict(err) {
				t.Errorf("not a 409: %v", err)
			}
		}
	}},
	{"a filter by name finds the objects of that name, and maybe others", func(t *testing.T, b *bed) {
		b.createNetwork(t, "net")
		b.createConfig(t, "config", "a")
		by := func(name string) filters.Args { return filters.NewArgs(filters.Arg("name", b.name(name))) }
		// Engines before 29 find the whole name only, later ones any part of it.
		networks, err := b.api.NetworkList(t.Context(), network.ListOptions{Filters: by("net")})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(networks, func(found network.Summary) bool { return found.Name == b.name("net") }) {
			t.Errorf("the network is not found by its name: %+v", networks)
		}
		configs, err := b.api.ConfigList(t.Context(), dockerswarm.ConfigListOptions{Filters: by("conf")})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "start of the config", fmt.Sprint(len(configs)), "1")
	}},
	{"what does not exist is a 404", func(t *testing.T, b *bed) {
		nope := b.name("nope")
		for kind, err := range map[string]error{
			"service": b.api.ServiceRemove(t.Context(), nope),
			"network": b.api.NetworkRemove(t.Context(), nope),
			"config":  b.api.ConfigRemove(t.Context(), nope),
			"secret":  b.api.SecretRemove(t.Context(), nope),
		} {
			same(t, kind, message(err), "Error response from daemon: "+kind+" "+nope+" not found")
			if !errdefs.IsNotFound(err) {
				t.Errorf("not a 404: %v", err)
			}
		}
	}},
	{"what a spec names cannot be removed", func(t *testing.T, b *bed) {
		netID := b.createNetwork(t, "net")
		configID := b.createConfig(t, "config", "a")
		secretID := b.createSecret(t, "secret", "a")
		spec := b.spec("one")
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: netID}}
		spec.TaskTemplate.ContainerSpec.Configs = []*dockerswarm.ConfigReference{configFile(configID, b.name("config"), "/config")}
		spec.TaskTemplate.ContainerSpec.Secrets = []*dockerswarm.SecretReference{secretFile(secretID, b.name("secret"), "secret")}
		id := b.create(t, spec)
		same(t, "config", message(b.api.ConfigRemove(t.Context(), configID)),
			daemonInvalid+"config '"+b.name("config")+"' is in use by the following service: "+b.name("one"))
		same(t, "secret", message(b.api.SecretRemove(t.Context(), secretID)),
			daemonInvalid+"secret '"+b.name("secret")+"' is in use by the following service: "+b.name("one"))
		same(t, "network", message(b.api.NetworkRemove(t.Context(), netID)),
			"Error response from daemon: rpc error: code = FailedPrecondition desc = network "+netID+" is in use by service "+id)
	}},
	{"what only PreviousSpec names can be removed", func(t *testing.T, b *bed) {
		configID := b.createConfig(t, "config", "a")
		spec := b.spec("one")
		spec.TaskTemplate.ContainerSpec.Configs = []*dockerswarm.ConfigReference{configFile(configID, b.name("config"), "/config")}
		b.create(t, spec)
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Configs = nil })
		same(t, "error", message(b.api.ConfigRemove(t.Context(), configID)), "no error")
	}},
	{"tasks of a removed service run on, and do not keep its network", func(t *testing.T, b *bed) {
		netID := b.createNetwork(t, "net")
		spec := b.spec("one")
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: netID}}
		id := b.create(t, spec)
		b.running(t, "one", 1)
		if err := b.api.ServiceRemove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		// A busy engine may have failed to attach the first tasks, which are history.
		left := slices.DeleteFunc(b.tasks(t, id), func(task dockerswarm.Task) bool { return task.Status.State != dockerswarm.TaskStateRunning })
		if len(left) != 1 {
			t.Fatalf("%d running tasks are left, not one", len(left))
		}
		b.until(t, "they are meant to go", func() bool {
			return !slices.ContainsFunc(b.tasks(t, id), func(task dockerswarm.Task) bool { return task.DesiredState != dockerswarm.TaskStateRemove })
		})
		same(t, "network", message(b.api.NetworkRemove(t.Context(), netID)), "no error")
		b.until(t, "the tasks are gone", func() bool { return len(b.tasks(t, id)) == 0 })
	}},
}
