package kargo

import (
	"strconv"
	"strings"
)

// Place is a line of a file: where a message points to. In JSON it is the text
// "deploy/redis.yml:12".
type Place struct {
	// File is the name as messages give it: a path in a layer or in the merged
	// configuration. An error that is about no file names what it is about:
	// "signature".
	File string
	// Line counts from 1; 0 is the file as a whole.
	Line int
}

// IsZero reports whether there is no place.
func (p Place) IsZero() bool { return p == Place{} }

// String returns "deploy/redis.yml:12", or the file alone where there is no
// line.
func (p Place) String() string {
	if p.Line > 0 {
		return p.File + ":" + strconv.Itoa(p.Line)
	}
	return p.File
}

// MarshalText returns the place as String does.
func (p Place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Place) UnmarshalText(text []byte) error {
	*p = Place{File: string(text)}
	if i := strings.LastIndexByte(p.File, ':'); i >= 0 {
		if line, err := strconv.Atoi(p.File[i+1:]); err == nil && line > 0 {
			*p = Place{File: p.File[:i], Line: line}
		}
	}
	return nil
}

// EnvLayer returns the name of the layer that an environment file belongs to:
// "default" for .env.default, "company" for .env.company and company:more.env,
// and "user" for all others.
func (p Place) EnvLayer() string {
	if layer, ok := strings.CutPrefix(p.File, FileEnv+"."); ok {
		return layer
	}
	if layer, _, ok := strings.Cut(p.File, ":"); ok {
		return layer
	}
	return OriginUser
}
