package compose

import (
	"sync"
	"weak"

	"gopkg.in/yaml.v3"
)

// nodes are the values of a compose file as they were written, with their lines. They
// take many times the memory of the file. So they are held only while the stack is
// rendered, and parsed again where somebody asks later. Several goroutines may ask.
type nodes struct {
	data []byte // parsed before without an error

	mutex sync.Mutex
	held  *yaml.Node // until release
	weak  weak.Pointer[yaml.Node]
}

// root returns the mapping at the top of the file. The two tags are taken away.
func (n *nodes) root() *yaml.Node {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.held != nil {
		return n.held
	}
	if root := n.weak.Value(); root != nil {
		return root
	}
	var document yaml.Node
	if err := yaml.Unmarshal(n.data, &document); err != nil {
		panic("parse a compose file again: " + err.Error()) // equal bytes have equal nodes
	}
	root := document.Content[0]
	takeTags(root)
	n.weak = weak.Make(root)
	return root
}

// release lets the garbage collector take the nodes, unless somebody uses them.
func (n *nodes) release() {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.held != nil {
		n.weak, n.held = weak.Make(n.held), nil
	}
}
