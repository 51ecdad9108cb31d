package kargo

import "strings"

// Place is a line of a file of one layer.
type Place struct {
	Layer string // see File.Origin
	File  string // as messages name it
	Line  int    // from 1; 0 is the file as a whole
}

// Trail is where one value of a stack's configuration comes from.
type Trail struct {
	Stack string
	// Path is the value's in compose files: "services.redis.image". Key is the
	// last part of it.
	Path, Key string
	// Mentions are all places that say something of the value, lowest first.
	Mentions []Mention
	// Parts are the trails one level down, where the value is a mapping.
	Parts []Trail
}

// Mention is one place that says something of a value.
type Mention struct {
	Place
	// Text is the value as the file has it, Value the same with its variables
	// replaced; both are empty where it is no single value.
	Text, Value string
	// Variables are those that the text reads.
	Variables []string
	// Counts tells whether the value is made of it: a later text takes the
	// place of earlier ones, a list adds to them.
	Counts bool
}

// EnvLayer is the name of the layer that an environment file belongs to, by the
// name that messages give it: ".env.default", ".env.company", "company:more.env";
// all others are the user's.
func EnvLayer(file string) string {
	if layer, ok := strings.CutPrefix(file, ".env."); ok {
		return layer
	}
	if layer, _, ok := strings.Cut(file, ":"); ok {
		return layer
	}
	return OriginUser
}
