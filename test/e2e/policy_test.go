package e2e_test

import (
	"strings"
	"testing"

	"kargo"
)

// What the operator's policy does not permit makes a revision invalid, when it
// is made and when it is changed, until the operator permits it.
func TestPolicyStandsBeforeTheSwarm(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		s.args = append(s.args, "--policy", "baseline",
			"--policy-rule", "shared-networks=front:"+s.prefix+"-front,back:"+s.prefix+"-back,socket:"+s.prefix+"-socket")
		plain := func() *workspace { return s.workspace().stack("web", "site").service("site") }
		const admin = "services:\n  site:\n    image: kargo/testserver:1\n    cap_add: [SYS_ADMIN]\n    deploy: {replicas: 0}\n"

		s.repo.commit(plain().file("deploy/site.yml", admin))
		s.start()
		refused := func(k kargo.Status) bool {
			return len(k.Problems) == 1 && strings.HasPrefix(k.Problems[0].String(), "deploy/site.yml:4: service "+s.service("web", "site")+
				" adds the capability SYS_ADMIN, which rule capabilities of policy baseline does not permit")
		}
		s.awaitStatus("the first revision is refused", refused)
		if got := s.services(); len(got) > 0 {
			t.Errorf("there are %d services", len(got))
		}

		if d := s.deploy(plain()); d.Outcome != kargo.OutcomeSucceeded {
			t.Errorf("deployment %s: %s", d.Outcome, d.Err)
		}
		mark := s.docker.mark()
		s.repo.commit(plain().file("deploy/site.yml", admin))
		s.sync()
		s.awaitStatus("the change is refused", refused)
		if writes := s.docker.writesSince(mark); len(writes) > 0 {
			t.Errorf("Kargo wrote %q", writes)
		}

		s.stop()
		s.args = append(s.args, "--policy-rule", "capabilities=SYS_ADMIN")
		s.start()
		until(t, "what is permitted runs", func() bool {
			got := s.services()[s.service("web", "site")].Spec.TaskTemplate.ContainerSpec.CapabilityAdd
			return len(got) == 1 && got[0] == "CAP_SYS_ADMIN"
		})
	})
}
