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
	holds := map[Key]map[string]Hold{}
	for _, h := range c.Memory.Holds {
		key := c.after(h.Key)
		if holds[key] == nil {
			holds[key] = map[string]Hold{}
		}
		holds[key][h.Field] = h
	}
	c.keepOnly(func(change *Change) bool {
		of := holds[KeyOf(change.Login)]
		return of == nil || c.allowed(change, of)
	})
}

// keepOnly drops the changes of which nothing is left. An account that is not made gets no rights either.
func (c *comparison) keepOnly(left func(change *Change) bool) {
	kept := c.changes[:0]
	unborn := map[string]bool{}
	for _, change := range c.changes {
		switch {
		case unborn[change.Login]:
		case left(change):
			kept = append(kept, change)
		case change.Kind == NewUser:
			unborn[change.Login] = true
		}
	}
	c.changes = kept
}

// allowed removes held fields from the change and says whether anything is left of it.
func (c *comparison) allowed(change *Change, holds map[string]Hold) bool {
	report := func(what string, h Hold) {
		c.issue(OnHold, change.Login, "%s is left alone: %s%s", what, h.Reason, h.remedy(change.Login))
	}
	h, ok := holds[""]
	if !ok && change.Kind == NewUser { // whose making was undone
		h, ok = holds[ActiveField]
	}
	if ok {
		report("the account", h)
		return false
	}
	if change.Kind == SetRight {
		h, ok := holds[SystemField(change.System)]
		if ok {
			report("the right on "+change.SystemName, h)
		}
		return !ok
	}
	change.Fields = maps.Clone(change.Fields)
	for _, name := range slices.Sorted(maps.Keys(change.Fields)) {
		if h, ok := holds[name]; ok {
			report(name, h)
			if change.Kind == NewUser {
				return false
			}
			delete(change.Fields, name)
		}
	}
	return len(change.Fields) > 0
}

// remedy says how the hold is ended.
func (h Hold) remedy(login string) string {
	switch {
	case h.At.IsZero():
		return ""
	case h.Run != 0:
		return fmt.Sprintf("; `ppms-syncd release %s` ends that, or `ppms-syncd release --run %d` for all of that run", login, h.Run)
	}
	return "; `ppms-syncd release " + login + "` ends that"
}
