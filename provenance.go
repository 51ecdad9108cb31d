package kargo

// Trail says where one value of a stack's configuration comes from.
type Trail struct {
	Stack string
	// Path is the value's path in compose files: "services.redis.image". Key is
	// its last part.
	Path, Key string
	// Mentions are all places that set the value or a part of it, lowest layer
	// first.
	Mentions []Mention
	// Parts are the trails one level down, where the value is a mapping.
	Parts []Trail
}

// Mention is one place that sets a value.
type Mention struct {
	Layer string // see File.Origin
	Where Place
	// Text is the value as the file has it. Value is the same with its
	// variables replaced. Both are empty where the value is a mapping or a list.
	Text, Value string
	// Variables are those that the text reads.
	Variables []string
	// Counts reports whether the value is made of this mention. A later text
	// replaces earlier ones; a later list adds to them.
	Counts bool
}
