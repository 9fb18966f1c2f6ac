package ldapsrc

import (
	"errors"
	"fmt"
	"slices"
)

// checkServers looks at where to connect and how to bind.
func (s *Source) checkServers() error {
	if len(s.cfg.URLs) == 0 {
		return errors.New("no server is configured")
	}
	for _, raw := range s.cfg.URLs {
		e, err := parseURL(raw, s.cfg.StartTLS)
		if err != nil {
			return err
		}
		s.endpoints = append(s.endpoints, e)
	}
	switch s.cfg.Bind.Method {
	case Simple:
		if s.cfg.Bind.DN == "" {
			return errors.New("a simple bind needs a DN") // without one the server would take it for anonymous
		}
		return nil
	case External:
		tcp := slices.ContainsFunc(s.endpoints, func(e endpoint) bool { return e.network != "unix" })
		if tcp && s.cfg.TLS.CertFile == "" {
			return errors.New("an external bind needs a certificate of the client, or an ldapi URL")
		}
		return nil
	case Anonymous:
		return nil
	}
	return fmt.Errorf("the bind method %q is none of simple, external and anonymous", s.cfg.Bind.Method)
}

// checkSearches looks at what is searched for, and at what must or may come back.
func (s *Source) checkSearches() error {
	var err error
	if s.users, err = checkSearch("users", s.cfg.Users.Base, s.cfg.Users.Filter); err != nil {
		return err
	}
	if s.cfg.Groups.Base != "" {
		if _, err := checkSearch("groups", s.cfg.Groups.Base, s.cfg.Groups.Filter); err != nil {
			return err
		}
	}
	if s.cfg.Users.ID == "" || s.mapping.Login.IsZero() {
		return errors.New("the attributes of the stable id and of the login must be configured")
	}
	if s.refs, err = newReferences(s.cfg.Referrals); err != nil {
		return err
	}
	if _, err := newCanaries(s.cfg.Canaries, &s.mapping); err != nil {
		return fmt.Errorf("canaries: %w", err)
	}
	return nil
}

func checkSearch(what, base, filter string) (*Filter, error) {
	if err := CheckDN(base); err != nil {
		return nil, fmt.Errorf("%s base: %w", what, err)
	}
	f, err := CompileFilter(filter)
	if err != nil {
		return nil, fmt.Errorf("%s %w", what, err)
	}
	return f, nil
}

// checkGroups refuses rules and expressions that look at groups nobody reads.
func (s *Source) checkGroups() error {
	if s.cfg.Groups.Base != "" {
		if s.cfg.Groups.Name == "" || s.cfg.Groups.Member == "" {
			return errors.New("the groups' attributes of name and members must be configured")
		}
		return nil
	}
	for _, r := range s.mapping.Rules {
		if r.When == nil {
			return fmt.Errorf("the rule %s needs the group %s, but no group search is configured", r.Name, r.Group)
		}
	}
	for _, e := range s.mapping.expressions(s.cfg.Users) {
		if e.groups.any {
			return fmt.Errorf("the expression %s looks at groups, but no group search is configured", e.source)
		}
	}
	return nil
}
