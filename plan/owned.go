package plan

import "kargo"

// ownedService is a service of this instance that runs, with what its labels say. Many
// rules ask for that, and labels are maps: to look into thousands of them takes long.
type ownedService struct {
	*kargo.LiveService
	stack     string // the workspace's own name of the stack; "" if the service is of none
	namespace string // the stack's name in Swarm
	protected bool
}

// byOwner sorts what lives into what this instance owns, and what others have that may
// concern a stack.
func (m *maker) byOwner() {
	m.owned, m.taken, m.others = make([]ownedService, 0, len(m.live.Services)), map[string]kargo.LiveService{}, newStrangers(m.desired)
	for i := range m.live.Services {
		service := &m.live.Services[i]
		switch labels := service.Spec.Labels; {
		case m.owns(labels):
			m.owned = append(m.owned, ownedService{
				LiveService: service, stack: labels[kargo.LabelStack], namespace: kargo.NamespaceOf(labels),
				protected: labels[kargo.LabelProtect] == "true",
			})
		case m.wanted[service.Name]:
			m.taken[service.Name] = *service
		default:
			m.others.addService(*service)
		}
	}
	for _, network := range m.live.Networks {
		if !m.owns(network.Labels) {
			m.others.addNetwork(network)
		}
	}
	for _, config := range m.live.Configs {
		if !m.owns(config.Labels) {
			m.others.addConfig(config)
		}
	}
}

// unwanted returns the services of this instance that the workspace does not have.
func (m maker) unwanted() (unwanted []ownedService) {
	for _, service := range m.owned {
		if !m.wanted[service.Name] {
			unwanted = append(unwanted, service)
		}
	}
	return unwanted
}
