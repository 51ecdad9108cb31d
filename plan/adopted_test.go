package plan_test

import (
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// byDocker are the labels that `docker stack deploy` puts on an object.
func byDocker(namespace string) map[string]string {
	return map[string]string{kargo.LabelNamespace: namespace}
}

func secretAt(name, target string) func(*swarm.ServiceSpec) {
	return func(s *swarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Secrets = []*swarm.SecretReference{{SecretName: name, File: &swarm.SecretReferenceFileTarget{Name: target}}}
	}
}

// Where adoption was asked and Swarm has nothing of the stack, no twin is made.
func TestNothingToAdopt(t *testing.T) {
	shop := adopting(inSwarm("shop", stack("shop", service("shop_web", "app:1"))))
	other := cluster(kargo.LiveService{Name: "shops_web", Spec: spec("shops_web", "app:1", func(s *swarm.ServiceSpec) { s.Labels[kargo.LabelNamespace] = "shops" })})
	check(t, plan.Make([]kargo.Stack{shop}, cluster(), options()),
		"hold stack shop: it is to be taken over, and Swarm has nothing of a stack shop; correct its name, or remove SHOP_ADOPT to create it\n")
	check(t, plan.Make([]kargo.Stack{shop}, other, options()),
		"hold stack shop: it is to be taken over, and Swarm has nothing of a stack shop, but of a stack shops: set SHOP_NAME=shops\n")

	// Under the usual name it would be kargo-shop.
	usual := adopting(stack("shop", service("kargo-shop_web", "app:1")))
	live := cluster(kargo.LiveService{Name: "shop_web", Spec: spec("shop_web", "app:1", func(s *swarm.ServiceSpec) { s.Labels[kargo.LabelNamespace] = "shop" })})
	check(t, plan.Make([]kargo.Stack{usual}, live, options()),
		"hold stack shop: it is to be taken over, and Swarm has nothing of a stack kargo-shop, but of a stack shop: set SHOP_NAME=shop\n")

	asked := options()
	asked.Memory.Adopted = map[string]bool{"shop": true}
	check(t, plan.Make([]kargo.Stack{inSwarm("shop", stack("shop", service("shop_web", "app:1")))}, cluster(), asked),
		"hold stack shop: it is to be taken over, and Swarm has nothing of a stack shop; correct its name, or create it: `kargo retry shop`\n")

	// What was taken over before, and somebody removed, is created again.
	sent := options()
	sent.Memory.Sent = kargo.Sent{"shop_web": {Digest: "earlier"}}
	check(t, plan.Make([]kargo.Stack{shop}, cluster(), sent), "create service shop_web: new\n")
}

// A stack that is taken over keeps its secrets, whose content Swarm does not
// show, until the workspace has another content for them. Its network, whose
// labels cannot change, is not taken for somebody else's afterwards.
func TestAdoptedStackKeepsItsSecretsAndNetworks(t *testing.T) {
	wanted := func(secret string) kargo.Stack {
		s := inSwarm("shop", stack("shop", service("shop_web", "app:1", secretAt(secret, "pw"), on("shop_default"))))
		s.Configs = []kargo.Config{{Name: secret, Secret: true, Data: []byte("content of " + secret)}}
		s.Networks = []kargo.Network{{Name: "shop_default", Driver: "overlay"}}
		return s
	}
	there := kargo.Cluster{
		Services: []kargo.LiveService{{Name: "shop_web", ID: "1", Image: "app:1", Running: 1, Desired: 1,
			Spec: spec("shop_web", "app:1", secretAt("shop_pw", "pw"), on("shop_default"), func(s *swarm.ServiceSpec) { s.Labels[kargo.LabelNamespace] = "shop" })}},
		Networks: []kargo.LiveNetwork{{Name: "shop_default", Driver: "overlay", Labels: byDocker("shop")}},
		Configs:  []kargo.LiveConfig{{Name: "shop_pw", Secret: true, Labels: byDocker("shop")}},
	}
	there.TasksKnown = true
	first := wanted("shop_pw-1")
	first.Services[0].Spec.Labels[kargo.LabelNamespace] = "shop"
	p := plan.Make([]kargo.Stack{adopting(first)}, there, options())
	check(t, p, `update service shop_web: Labels.kargo.instance: (none) -> "test"; Labels.kargo.kept: (none) -> "shop_pw=shop_pw-1"; Labels.kargo.stack: (none) -> "shop"`+"\n")

	there.Services = nil // the update replaces the one there was
	there = withChange(there, p.Changes[0])
	check(t, plan.Make([]kargo.Stack{first}, there, options()), "nothing to do\n")

	second := wanted("shop_pw-2")
	second.Services[0].Spec.Labels[kargo.LabelNamespace] = "shop"
	check(t, plan.Make([]kargo.Stack{second}, there, options()),
		"create secret shop_pw-2: new content\n"+
			`update service shop_web: Labels.kargo.kept: "shop_pw=shop_pw-1" -> (none); TaskTemplate.ContainerSpec.Secrets[pw].SecretName: "shop_pw" -> "shop_pw-2"`+"\n")
}
