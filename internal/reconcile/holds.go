package reconcile

import (
	"fmt"
	"maps"
	"slices"
)

// respectHolds drops what somebody asked to be left alone.
func (c *comparison) respectHolds() {
	if len(c.Memory.Holds) == 0 {
		return
	}
	holds := map[Key]map[string]string{}
	for _, h := range c.Memory.Holds {
		if holds[h.Key] == nil {
			holds[h.Key] = map[string]string{}
		}
		holds[h.Key][h.Field] = h.Reason
	}
	kept := c.changes[:0]
	unborn := map[string]bool{} // an account that is not made gets no rights either
	for _, change := range c.changes {
		of := holds[KeyOf(change.Login)]
		switch {
		case unborn[change.Login]:
		case of == nil || c.allowed(change, of):
			kept = append(kept, change)
		case change.Kind == NewUser:
			unborn[change.Login] = true
		}
	}
	c.changes = kept
}

// allowed removes held fields from the change and says whether anything is left of it.
func (c *comparison) allowed(change *Change, holds map[string]string) bool {
	report := func(what, reason string) {
		c.issue(OnHold, change.Login, "%s is left alone: %s", what, reason)
	}
	if reason, ok := holds[""]; ok {
		report("the account", reason)
		return false
	}
	if change.Kind == SetRight {
		reason, ok := holds[fmt.Sprintf("system:%d", change.System)]
		if ok {
			report("the right on "+change.SystemName, reason)
		}
		return !ok
	}
	change.Fields = maps.Clone(change.Fields)
	for _, name := range slices.Sorted(maps.Keys(change.Fields)) {
		if reason, ok := holds[name]; ok {
			report(name, reason)
			if change.Kind == NewUser {
				return false
			}
			delete(change.Fields, name)
		}
	}
	return len(change.Fields) > 0
}
