package plan

import (
	"maps"
	"slices"

	"kargo"
)

// Verdicts sets the stacks of a revision against the digests of the revision
// that was applied before: which are new, which changed, which stayed, which
// are gone. Stacks come in the order of STACKS, removed ones last, by name.
func Verdicts(before map[string]string, desired []kargo.Stack) []kargo.StackResult {
	var results []kargo.StackResult
	gone := maps.Clone(before)
	for _, stack := range desired {
		digest := stack.Digest()
		verdict := kargo.VerdictAdded
		if was, known := before[stack.Name]; known {
			verdict = kargo.VerdictChanged
			if was == digest {
				verdict = kargo.VerdictUnchanged
			}
		}
		delete(gone, stack.Name)
		results = append(results, kargo.StackResult{Name: stack.Name, Verdict: verdict, Digest: digest})
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		results = append(results, kargo.StackResult{Name: name, Verdict: kargo.VerdictRemoved})
	}
	return results
}
