package daemon

import (
	"cmp"
	"slices"

	"ppms-syncd/internal/reconcile"
)

// nearest are the logins that a typing error may have meant, the likeliest first.
func nearest(login string, names []string) []string {
	type near struct {
		name     string
		distance int
	}
	key := []rune(string(reconcile.KeyOf(login)))
	var found []near
	seen := map[string]bool{}
	for _, name := range names {
		k := string(reconcile.KeyOf(name))
		if k == "" || seen[k] {
			continue
		}
		seen[k] = true
		limit := max(1, len(key)/3)
		if d := distance(key, []rune(k), limit); d <= limit {
			found = append(found, near{name, d})
		}
	}
	slices.SortFunc(found, func(a, b near) int { return cmp.Or(a.distance-b.distance, cmp.Compare(a.name, b.name)) })
	var out []string
	for _, n := range found[:min(5, len(found))] {
		out = append(out, n.name)
	}
	return out
}

// distance is Levenshtein's: how many letters have to be added, dropped or exchanged. Above the limit any larger number will do.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			next := diagonal
			if a[i] != b[j] {
				next = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
