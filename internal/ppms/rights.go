package ppms

import (
	"context"
	"net/url"
	"strconv"

	"ppms-syncd/internal/reconcile"
)

// SystemRights lists who has which level on a system. A login can stand in the answer twice, its own right and an S because
// it is an administrator (seen in PyPPMS's recordings): it is returned once, spelled as at first, with the highest level.
func (r *Reader) SystemRights(ctx context.Context, id int) ([]reconcile.Right, error) {
	return read(ctx, r, "getsysrights", url.Values{"id": {strconv.Itoa(id)}}, parseSystemRights)
}

func parseSystemRights(text string) ([]reconcile.Right, error) {
	pairs, err := parsePairs(text)
	if err != nil {
		return nil, err
	}
	rights := make([]reconcile.Right, 0, len(pairs))
	index := make(map[reconcile.Key]int, len(pairs))
	for _, p := range pairs {
		key := reconcile.KeyOf(p.value)
		if i, twice := index[key]; twice {
			rights[i].Level = max(rights[i].Level, p.level)
			continue
		}
		index[key] = len(rights)
		rights = append(rights, reconcile.Right{Login: p.value, Level: p.level})
	}
	return rights, nil
}

// AllSystemRights reads the rights of many systems, some at a time, and calls progress (which may be nil) after each. The
// first failure ends it.
func (r *Reader) AllSystemRights(ctx context.Context, ids []int, progress func(done int)) (map[int][]reconcile.Right, error) {
	answers := make([][]reconcile.Right, len(ids))
	err := r.each(ctx, len(ids), progress, func(ctx context.Context, i int) (err error) {
		answers[i], err = r.SystemRights(ctx, ids[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	rights := make(map[int][]reconcile.Right, len(ids))
	for i, id := range ids {
		rights[id] = answers[i]
	}
	return rights, nil
}

// UserRights reads the levels of one login by system: the same rights from the other side.
func (r *Reader) UserRights(ctx context.Context, login string) (map[int]reconcile.Level, error) {
	return read(ctx, r, "getuserrights", url.Values{"login": {login}}, parseUserRights)
}

func parseUserRights(text string) (map[int]reconcile.Level, error) {
	pairs, err := parsePairs(text)
	if err != nil {
		return nil, err
	}
	levels := make(map[int]reconcile.Level, len(pairs))
	for _, p := range pairs {
		id, err := strconv.Atoi(p.value)
		if err != nil {
			return nil, malformed(p.value, "a system id is no number")
		}
		levels[id] = max(levels[id], p.level)
	}
	return levels, nil
}
