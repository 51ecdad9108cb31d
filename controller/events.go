package controller

import "kargo"

// matters tells whether an event may mean that something is to be done. Those
// of what is on its way because of Kargo do not, nor those of other people's
// objects, unless they have taken a name that Kargo wants.
func (c *Controller) matters(event kargo.Event) bool {
	if _, ours := c.moving.Load(event.Key()); ours {
		return false
	}
	names := c.names.Load()
	return names == nil || event.Kind == kargo.KindNode || (*names)[event.Key()]
}

// noteNames keeps the names of all that is wanted, and of what was seen to be
// this instance's.
func (c *Controller) noteNames() {
	names := map[kargo.ObjectKey]bool{}
	note := func(kind kargo.Kind, name string) { names[kargo.ObjectKey{Kind: kind, Name: name}] = true }
	for _, stack := range c.desired.Stacks {
		for _, service := range stack.Services {
			note(kargo.KindService, service.Name)
		}
		for _, network := range stack.Networks {
			note(kargo.KindNetwork, network.Name)
		}
		for _, config := range stack.Configs {
			note(config.Kind(), config.Name)
		}
	}
	for _, service := range c.cluster.Services {
		if service.Spec.Labels[kargo.LabelInstance] == c.Instance {
			note(kargo.KindService, service.Name)
		}
	}
	for _, network := range c.cluster.Networks {
		if network.Labels[kargo.LabelInstance] == c.Instance {
			note(kargo.KindNetwork, network.Name)
		}
	}
	for _, config := range c.cluster.Configs {
		if config.Labels[kargo.LabelInstance] == c.Instance {
			note(config.Kind(), config.Name)
		}
	}
	c.names.Store(&names)
}
