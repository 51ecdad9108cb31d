package view

import (
	"cmp"
	"slices"

	"kargo"
)

// recording collects what is read of a view.
type recording struct {
	variables map[string]variable
	files     map[string]file
	folders   map[string][]string
	lists     map[string][]kargo.ComposeFile // those that hooks have changed, else nil
	places    map[string]kargo.Place
	hidden    map[string]bool
	// unbounded is set if something was read that is too much to compare.
	unbounded bool
}

// Reads are what a stack read of its view, with the answers.
type Reads struct {
	directory Directory
	isOne     bool // it is a stack directory
	variables []read[variable]
	files     []read[file]
	folders   []read[[]string]
	lists     []read[[]kargo.ComposeFile]
	// places and hidden are empty if there were no problems: only these depend on them.
	places    []read[kargo.Place]
	hidden    []read[bool]
	unbounded bool
}

// read is one question and its answer.
type read[Answer any] struct {
	name   string
	answer Answer
}

func sorted[Answer any](answers map[string]Answer) []read[Answer] {
	all := make([]read[Answer], 0, len(answers))
	for name, answer := range answers {
		all = append(all, read[Answer]{name, answer})
	}
	slices.SortFunc(all, func(a, b read[Answer]) int { return cmp.Compare(a.name, b.name) })
	return all
}

// Reads returns what was read of a view that records. Places count only if they went
// into problems.
func (v View) Reads(withProblems bool) *Reads {
	r := v.reads
	reads := &Reads{
		variables: sorted(r.variables), files: sorted(r.files), folders: sorted(r.folders), lists: sorted(r.lists), unbounded: r.unbounded,
	}
	if withProblems {
		reads.places, reads.hidden = sorted(r.places), sorted(r.hidden)
	}
	reads.directory, reads.isOne = v.Directory()
	return reads
}

// SameIn reports whether another view answers all that was read in the same way. The
// answers of that view replace those that they are equal to, so nothing of the earlier
// workspace stays in memory.
func (r *Reads) SameIn(v View) bool {
	directory, isOne := v.Directory()
	if r.unbounded || isOne != r.isOne || directory.Path != r.directory.Path || !slices.Equal(directory.Files, r.directory.Files) {
		return false
	}
	r.directory = directory
	return same(r.variables, v.peek, func(a, b variable) bool { return a == b }) &&
		same(r.files, v.peekFile, file.same) &&
		same(r.folders, v.under, slices.Equal[[]string]) &&
		same(r.lists, v.hooked, slices.Equal[[]kargo.ComposeFile]) &&
		same(r.places, v.placeOf, func(a, b kargo.Place) bool { return a == b }) &&
		same(r.hidden, v.hides, func(a, b bool) bool { return a == b })
}

// same asks everything again, and takes the answers as long as they are equal.
func same[Answer any](reads []read[Answer], ask func(string) Answer, equal func(a, b Answer) bool) bool {
	for i := range reads {
		answer := ask(reads[i].name)
		if !equal(reads[i].answer, answer) {
			return false
		}
		reads[i].answer = answer
	}
	return true
}
