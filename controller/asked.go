package controller

import (
	"strings"
	"time"
)

// Retry lifts the quarantine of a stack, or of all if the name is empty.
func (c *Controller) Retry(stack string) {
	c.ask(func() {
		for name, rollout := range c.memory.Rollouts {
			if stack == "" || name == stack {
				rollout.Failed, rollout.Since = nil, time.Time{}
				c.memory.Rollouts[name] = rollout
			}
		}
		if c.desired != nil {
			c.forgetSent(stack)
		}
	})
	c.Nudge(strings.TrimSpace("retry " + stack))
}

// forgetSent makes what Swarm rolled back be sent again.
func (c *Controller) forgetSent(stack string) {
	for _, wanted := range c.desired.Stacks {
		if stack == "" || wanted.Name == stack {
			for _, service := range wanted.Services {
				delete(c.memory.Sent, service.Name)
			}
		}
	}
}

// Adopt takes over objects of a stack's names that carry no owner, until the
// process ends; a workspace says it for good (<STACK>_ADOPT).
func (c *Controller) Adopt(stack string) {
	c.ask(func() { c.memory.Adopted[stack] = true })
	c.Nudge("adopt " + stack)
}

// ask leaves something for the next round to do: what it works on belongs to
// the goroutine of the loop.
func (c *Controller) ask(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, do)
}

func (c *Controller) doAsked() {
	c.mu.Lock()
	asked := c.asked
	c.asked = nil
	c.mu.Unlock()
	for _, do := range asked {
		do()
	}
}
