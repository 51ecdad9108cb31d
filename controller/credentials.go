package controller

import "kargo"

// credentials are those that services go with now, by service name.
func (c *Controller) credentials() map[string]kargo.Credential {
	known := map[string]kargo.Credential{}
	if c.Credential == nil {
		return known
	}
	for _, service := range c.cluster.Services {
		if container := service.Spec.TaskTemplate.ContainerSpec; container != nil && service.Spec.Labels[kargo.LabelInstance] == c.Instance {
			credential, err := c.Credential(container.Image)
			if err != nil {
				c.Log.Debug("cannot tell the credential of a service", "service", service.Name, "error", err)
				continue
			}
			known[service.Name] = credential
		}
	}
	return known
}

// rememberCredential notes what a service was sent with.
func (c *Controller) rememberCredential(change kargo.Change) {
	if c.Credential == nil || change.Service == nil || change.Service.TaskTemplate.ContainerSpec == nil {
		return
	}
	sent := c.memory.Sent[change.Name]
	credential, err := c.Credential(change.Service.TaskTemplate.ContainerSpec.Image)
	if err != nil {
		return // it was not sent either
	}
	sent.Credential = credential.Digest
	c.memory.Sent[change.Name] = sent
}

// noteCredentials takes what services go with now for what they were sent with,
// where that is not known, as after the data directory was lost.
func (c *Controller) noteCredentials() {
	for name, credential := range c.credentials() {
		if sent := c.memory.Sent[name]; sent.Credential == "" {
			sent.Credential = credential.Digest
			c.memory.Sent[name] = sent
		}
	}
}
