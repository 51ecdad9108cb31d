package plan

import (
	"maps"
	"slices"

	"kargo"
)

// Verdicts compares the stacks of a revision with those of the revision before,
// which are given as digests by name. It returns for each stack whether it is added,
// changed, unchanged or removed: in the order of desired, removed ones last, by name.
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
