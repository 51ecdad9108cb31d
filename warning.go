package kargo

// Warning says of a service what people should know before a plan is carried out, and
// what no change and no hold says.
type Warning struct {
	Stack   string `json:"stack"`
	Service string `json:"service"` // its name in Swarm
	Text    string `json:"text"`
}

// String returns the warning as one line of a plan.
func (w Warning) String() string { return "warning service " + w.Service + ": " + w.Text }
