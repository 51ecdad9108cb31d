// Package defaults carries the catalogue: the services Kargo brings along, as
// the lower layer that a workspace is laid over.
//
// The catalogue is data. A workspace replaces any file of it by one of the same
// path, and any variable of .env.default by an assignment of its own.
package defaults

import (
	"embed"
	"io/fs"
)

// Version names this state of the catalogue. It is part of every revision: a
// new program with another catalogue may mean other services from the same
// commit, and that must be seen. Raise it with every change of a file below;
// a test compares.
const Version = "8"

// all: because .env.default, and what else begins with a dot, counts too.
//
//go:embed all:.env.default all:build all:configs all:deploy all:scripts
var catalogue embed.FS

// FS returns the catalogue, with .env.default, build/, configs/, deploy/ and scripts/
// at its top.
func FS() fs.FS { return catalogue }
