package kargo

import "slices"

// DidYouMean is a hint with the candidate nearest to a name that nobody knows,
// or "" where none is near.
func DidYouMean(name string, candidates []string) string {
	return didYouMean(Nearest(name, candidates, max(2, len(name)/3)))
}

func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return "did you mean " + name + "?"
}

// Nearest is the candidate that at most so many letters set apart from a name,
// fewer than the name has; or "" where there is none.
func Nearest(name string, candidates []string, letters int) string {
	best, nearest := "", min(len(name), 1+letters)
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if distance := editDistance(name, candidate); distance < nearest {
			best, nearest = candidate, distance
		}
	}
	return best
}

// editDistance counts the letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
