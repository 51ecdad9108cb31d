// Package spelling finds the name that somebody may have meant. It has no
// effects and knows nothing of Kargo.
package spelling

import "strings"

// DidYouMean returns a hint with the candidate that is nearest to an unknown
// name, as "did you mean redis?". One that differs only in upper and lower case is near. It
// is empty where none is.
func DidYouMean(name string, candidates []string) string {
	nearest := Nearest(name, candidates, max(2, len(name)/3))
	if nearest == "" {
		nearest = NearestAnyCase(name, candidates, 0)
	}
	if nearest == "" {
		return ""
	}
	return "did you mean " + nearest + "?"
}

// Nearest returns the candidate with the smallest edit distance to a name: how
// many letters must be inserted, deleted or replaced. It is empty where more
// than letters, or as many as the name has, would be needed. Of candidates that are
// equally near, it is the first in the order of the alphabet.
func Nearest(name string, candidates []string, letters int) string {
	best, nearest := "", min(len(name)-1, letters)
	for _, candidate := range candidates {
		if difference := len(candidate) - len(name); difference > nearest || -difference > nearest {
			continue // as many letters are missing at least
		}
		distance := editDistance(name, candidate)
		if distance < nearest || distance == nearest && (best == "" || candidate < best) {
			best, nearest = candidate, distance
		}
	}
	return best
}

// NearestAnyCase is Nearest without a difference between upper and lower case.
func NearestAnyCase(name string, candidates []string, letters int) string {
	written := make(map[string]string, len(candidates))
	lower := make([]string, 0, len(candidates))
	for _, candidate := range candidates {
		folded := strings.ToLower(candidate)
		if other, taken := written[folded]; !taken || candidate < other {
			written[folded] = candidate
		}
		lower = append(lower, folded)
	}
	return written[Nearest(strings.ToLower(name), lower, letters)]
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
