package permit

// IsSilent reports whether Open says nothing of what Baseline refuses under a rule.
func IsSilent(name string) bool {
	r, _ := findRule(name)
	return r.silent
}
