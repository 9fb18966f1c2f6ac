package ppmssim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const hidden = "[redacted]"

// Effect is one write request: what was asked, what was answered, and what it changed. Requests that were refused, or lost
// by a fault before they did anything, are here too.
type Effect struct {
	Seq     int               `json:"seq"` // from 1
	Time    time.Time         `json:"time"`
	Action  string            `json:"action"`
	Params  map[string]string `json:"params"` // without the key; a password is redacted
	Answer  string            `json:"answer"` // trimmed; what the client would have got had the connection held
	Fault   string            `json:"fault,omitempty"`
	Changed bool              `json:"changed"`
	Changes []Change          `json:"changes,omitempty"`
}

// Change is one field that a write changed.
type Change struct {
	Object string `json:"object"` // "user LOGIN", "unit UNITLOGIN" or "right LOGIN SYSTEM"
	Field  string `json:"field"`  // a column's name; "level" of a right; "exists" of what is new
	Before string `json:"before"`
	After  string `json:"after"`
}

// keep remembers an effect, and writes it out before the client hears of it. It runs under the lock, so the order is that of
// the effects.
func (s *Sim) keep(e Effect) error {
	e.Seq = len(s.effects) + 1
	s.effects = append(s.effects, e)
	if s.effectsTo == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("cannot encode an effect: %w", err)
	}
	if _, err := s.effectsTo.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("cannot write the effects: %w", err)
	}
	if f, ok := s.effectsTo.(interface{ Sync() error }); ok {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("cannot sync the effects: %w", err)
		}
	}
	return nil
}

// remember keeps the effect of a write, then the state that it made. In this order, because an effect on paper that the state
// lacks makes somebody look, and a change that is on no paper goes unseen.
func (s *Sim) remember(q *request, body string) error {
	e := Effect{
		Time: q.now, Action: q.name, Params: s.visible(q), Answer: strings.TrimSpace(s.key.Scrub(body)),
		Changed: len(q.changes) > 0, Changes: q.changes,
	}
	if q.fault != nil {
		e.Fault = q.fault.String()
	}
	for i, c := range e.Changes { // whatever a client put its key into
		e.Changes[i] = Change{s.key.Scrub(c.Object), c.Field, s.key.Scrub(c.Before), s.key.Scrub(c.After)}
	}
	if err := s.keep(e); err != nil {
		return err
	}
	if !e.Changed {
		return nil
	}
	return s.save()
}

// visible are a request's parameters as they may be kept. The key goes by two names: apikey, and code in some clients.
func (s *Sim) visible(q *request) map[string]string {
	params := map[string]string{}
	for name := range q.params {
		switch name {
		case "apikey", "code", "action":
		case "pwd":
			params[name] = hidden
		default:
			params[name] = s.key.Scrub(q.params.Get(name))
		}
	}
	return params
}
