package plan

import "kargo"

// damaged reports whether a service is this instance's although the mark of ownership is
// gone: this controller sent it, and it is still in the stack's namespace. `docker stack
// deploy` of the stack's name writes every service without the mark.
func (m maker) damaged(stack kargo.Stack, live kargo.LiveService) bool {
	labels := live.Spec.Labels
	return labels[kargo.LabelInstance] == "" && labels[kargo.LabelNamespace] == stack.Namespace() && m.Memory.Sent[live.Name].Seen
}
