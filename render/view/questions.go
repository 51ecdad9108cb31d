package view

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Questions are what a stack read of its view, without the answers. With the digest of
// the answers they tell another process what does not differ there, and tell it no
// value.
type Questions struct {
	Variables []string `json:"variables,omitempty"`
	Files     []string `json:"files,omitempty"`
	Folders   []string `json:"folders,omitempty"`
	Places    []string `json:"places,omitempty"` // only if there were problems
	Hidden    []string `json:"hidden,omitempty"` // only if there were problems
}

// Questions returns what was read. It returns false if that is too much to compare.
func (r *Reads) Questions() (Questions, bool) {
	return Questions{
		Variables: names(r.variables), Files: names(r.files), Folders: names(r.folders), Places: names(r.places), Hidden: names(r.hidden),
	}, !r.unbounded
}

func names[Answer any](reads []read[Answer]) []string {
	all := make([]string, len(reads))
	for i, r := range reads {
		all[i] = r.name
	}
	return all
}

// Digests makes digests of the answers in one workspace.
type Digests struct {
	// files has the digest of each file so far: many stacks read the same ones.
	files map[string][sha256.Size]byte
}

// Of returns a digest of the answers of a view.
func (d *Digests) Of(v View, asked Questions) []byte {
	w := digest{sha256.New()}
	directory, isOne := v.Directory()
	w.flags(isOne)
	w.texts(directory.Path)
	w.texts(directory.Files...)
	for _, name := range asked.Variables {
		answer := v.peek(name)
		w.flags(answer.set, answer.assigned, answer.fromCatalogue)
		w.texts(answer.value)
	}
	for _, name := range asked.Files {
		sum := d.file(v, name)
		w.Write(sum[:])
	}
	for _, name := range asked.Folders {
		w.texts(v.under(name)...)
	}
	for _, name := range asked.Places {
		w.texts(v.placeOf(name).String())
	}
	for _, name := range asked.Hidden {
		w.flags(v.hides(name))
	}
	return w.Sum(nil)
}

func (d *Digests) file(v View, name string) [sha256.Size]byte {
	if sum, known := d.files[name]; known {
		return sum
	}
	answer, w := v.peekFile(name), digest{sha256.New()}
	w.flags(answer.exists, answer.Executable, answer.Secret)
	w.texts(answer.layer, answer.Origin, answer.Source)
	w.Write(answer.Data)
	if d.files == nil {
		d.files = map[string][sha256.Size]byte{}
	}
	d.files[name] = [sha256.Size]byte(w.Sum(nil))
	return d.files[name]
}

// digest hashes values so that different ones never look the same.
type digest struct{ hash.Hash }

func (d digest) flags(flags ...bool) {
	for _, flag := range flags {
		if flag {
			d.Write([]byte{1})
		} else {
			d.Write([]byte{0})
		}
	}
}

func (d digest) texts(texts ...string) {
	d.length(len(texts))
	for _, text := range texts {
		d.length(len(text))
		d.Write([]byte(text))
	}
}

func (d digest) length(length int) {
	d.Write(binary.LittleEndian.AppendUint64(nil, uint64(length)))
}
