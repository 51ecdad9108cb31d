package kargo_test

import (
	"fmt"
	"testing"

	"kargo"
)

// A search finds each deployment that fits once, however many it reads and returns at a
// time, and says where it goes on.
func TestSearchFindsEachOnce(t *testing.T) {
	const all = 950
	of := func(number uint64) kargo.Deployment {
		d := kargo.Deployment{Number: number, Outcome: kargo.OutcomeSucceeded, Revision: kargo.Revision{Author: "Ada Lovelace", Subject: fmt.Sprintf("Change %d", number)}}
		if number%7 == 0 {
			d.Outcome, d.Revision.Author = kargo.OutcomeFailed, "Ben"
			d.Commits = []kargo.Commit{{Author: "Ben"}, {Author: "Cleo"}}
			d.Stacks = []kargo.StackResult{{Name: "shop", Verdict: kargo.VerdictChanged, Failure: &kargo.Failure{Reason: "no such image"}}}
		}
		return d
	}
	read := func(stack string, before uint64, limit int) (block []kargo.Deployment, _ error) {
		if before == 0 {
			before = all + 1
		}
		for number := before - 1; number > 0 && len(block) < limit; number-- {
			if d := of(number); stack == "" || len(d.Stacks) > 0 {
				block = append(block, d)
			}
		}
		return block, nil
	}
	for _, search := range []kargo.Search{
		{}, {Stack: "shop"}, {Outcome: kargo.OutcomeFailed}, {Author: "cleo"}, {Author: "ADA love"}, {Text: "no such"}, {Text: "change 77"}, {Text: "nowhere"},
	} {
		var want []uint64
		for number := uint64(all); number > 0; number-- {
			if search.Fits(of(number)) {
				want = append(want, number)
			}
		}
		for _, size := range []struct{ limit, most int }{{0, 0}, {20, 0}, {20, 100}, {1, 200}, {100, 0}} {
			var got []uint64
			for before := uint64(0); ; {
				found, next, err := search.Find(before, size.limit, size.most, read)
				if err != nil || size.limit > 0 && len(found) > size.limit {
					t.Fatal(len(found), err)
				}
				for _, d := range found {
					got = append(got, d.Number)
				}
				if before = next; next == 0 {
					break
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%+v in steps of %+v: %d found, %d fit", search, size, len(got), len(want))
			}
		}
	}
}
