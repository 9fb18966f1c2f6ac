package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// decideAccounts plans new accounts, field updates and reactivations.
func (c *comparison) decideAccounts() {
	units, emails := c.indexUnits(), c.indexEmails()
	for i := range c.subjects {
		s := &c.subjects[i]
		switch {
		case s.held || s.State != Enabled:
		case s.account == none:
			c.decideNew(s, units, emails)
		case c.untouchable(KeyOf(c.accountOf(s).Login)) != "":
		case !c.accountOf(s).Active:
			c.decideReturn(s)
		default:
			c.decideFields(s, units, emails)
		}
	}
}

// indexUnits finds PPMS's own spelling of a unit.
func (c *comparison) indexUnits() map[string]string {
	units := make(map[string]string, len(c.PPMS.Units))
	for _, unit := range c.PPMS.Units {
		key := loose(unit)
		if known, ok := units[key]; !ok || unit < known {
			units[key] = unit
		}
	}
	return units
}

// decideNew plans an account for somebody who has none.
func (c *comparison) decideNew(s *subject, units map[string]string, emails emailIndex) {
	if s.CreateProblem != "" {
		c.issue(Incomplete, s.Login, "%s: %s", s.DN, s.CreateProblem)
	}
	if !s.Create {
		return
	}
	fields := map[string]Value{}
	var lacking []string
	complete := true
	for f := range Field(NumFields) {
		value := tidy(first(s.Fields[f]))
		if value == "" || c.unseen[f] {
			if mandatory(f) {
				lacking = append(lacking, f.String())
			}
			continue
		}
		value, ok := c.acceptable(s, s.Login, f, value, units, emails)
		if f == Email {
			// A second address that an account has may mean the same person under another login.
			for _, other := range s.Fields[Email][1:] {
				if ok {
					_, ok = c.acceptable(s, s.Login, f, tidy(other), units, emails)
				}
			}
		}
		complete = complete && ok
		fields[f.String()] = Value{To: value}
	}
	if len(lacking) > 0 {
		c.issue(Incomplete, s.Login, "%s has no %s, which a new account needs", s.DN, strings.Join(lacking, ", "))
		return
	}
	if !complete {
		return
	}
	s.creating = true
	c.changes = append(c.changes, &Change{
		Kind: NewUser, Login: strings.TrimSpace(s.Login), Fields: fields, PersonID: s.ID, DN: s.DN,
		Reason: "in the directory, not in PPMS",
	})
}

// mandatory says whether newuser needs the field (vendor's documentation, rev. 2014.0).
func mandatory(f Field) bool { return f == Lname || f == Fname || f == Email || f == Unit }

// decideFields plans one update with all authoritative fields that differ.
func (c *comparison) decideFields(s *subject, units map[string]string, emails emailIndex) {
	a := c.accountOf(s)
	var fields map[string]Value
	for f := range Field(NumFields) {
		if !c.Settings.Authoritative[f] || c.unseen[f] || !differs(f, a.Fields[f], s.Fields[f]) {
			continue
		}
		to, ok := c.acceptable(s, a.Login, f, tidy(s.Fields[f][0]), units, emails)
		if !ok {
			continue
		}
		if fields == nil {
			fields = map[string]Value{}
		}
		from := a.Fields[f]
		fields[f.String()] = Value{From: &from, To: to}
	}
	if fields != nil {
		c.changes = append(c.changes, &Change{
			Kind: UpdateUser, Login: a.Login, Fields: fields, PersonID: s.ID, DN: s.DN, Reason: "the directory has other values",
		})
	}
}

// decideReturn decides on an inactive account of somebody who is in the directory.
func (c *comparison) decideReturn(s *subject) {
	a := c.accountOf(s)
	key := c.before(KeyOf(a.Login))
	ours, ok := c.Memory.Deactivated[key]
	ok = ok && !c.another(key)
	if !ok || ours.Overruled {
		c.issue(InactiveByStaff, a.Login, "in the directory, but inactive in PPMS, and not by us: left so; activate it in PPMS if they may work")
		return
	}
	c.changes = append(c.changes, &Change{
		Kind: UpdateUser, Login: a.Login, Fields: activeFromTo("false", "true"), PersonID: s.ID, DN: s.DN,
		Reason: "in the directory again; we had deactivated the account on " + day(ours.At),
	})
}

func activeFromTo(from, to string) map[string]Value {
	return map[string]Value{ActiveField: {From: &from, To: to}}
}

// acceptable checks what PPMS must not be sent: a unit that it does not know, which it would create, and an e-mail that
// somebody else has. It returns the value to send.
func (c *comparison) acceptable(
	s *subject, login string, f Field, value string, units map[string]string, emails emailIndex,
) (string, bool) {
	switch f {
	case Unit:
		known, ok := units[loose(value)]
		if !ok {
			c.issue(UnknownUnit, login, "unitlogin %q is not a unit of PPMS, which would create it: add it there, or correct the directory", value)
			return value, false
		}
		return known, true
	case Email:
		if holder := c.holder(emails, loose(value), s); holder != "" {
			c.issue(EmailTaken, login, "e-mail %s belongs to %s", value, holder)
			return value, false
		}
	case Lname, Fname, Phone, Bcode, Affiliation:
	}
	return value, true
}

// emailIndex knows who has which address, and who would get it by this plan.
type emailIndex map[string][]claim

// claim is an account that has an address, or a person who is to get it.
type claim struct {
	account int32
	id      string // of the person
	name    string
}

func (c *comparison) indexEmails() emailIndex {
	x := make(emailIndex, len(c.PPMS.Accounts))
	for i := range c.PPMS.Accounts {
		a := &c.PPMS.Accounts[i]
		email := loose(a.Fields[Email])
		if email == "" {
			continue
		}
		name := a.Login
		if !a.Active {
			name += " (inactive)"
		}
		x[email] = append(x[email], claim{account: int32(i), name: name})
	}
	for i := range c.subjects {
		if s := &c.subjects[i]; !s.held && c.wantsEmail(s) {
			email := loose(first(s.Fields[Email]))
			x[email] = append(x[email], claim{none, s.ID, s.Login + " too, by the directory"})
		}
	}
	for _, claims := range x {
		slices.SortFunc(claims, func(a, b claim) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id)) })
	}
	return x
}

// wantsEmail says whether this plan may give the person's address to an account that does not have it yet.
func (c *comparison) wantsEmail(s *subject) bool {
	if s.State != Enabled || first(s.Fields[Email]) == "" {
		return false
	}
	if s.account == none {
		return s.Create
	}
	return c.Settings.Authoritative[Email] && c.accountOf(s).Active && differs(Email, c.accountOf(s).Fields[Email], s.Fields[Email])
}

// holder names others who have the address or would get it, or "".
func (c *comparison) holder(emails emailIndex, email string, s *subject) string {
	claims := emails[email]
	others := len(claims)
	if s.account != none && loose(c.accountOf(s).Fields[Email]) == email || c.wantsEmail(s) && loose(first(s.Fields[Email])) == email {
		others-- // the one claim that is the person's own
	}
	var names []string
	for i := 0; i < len(claims) && len(names) <= few; i++ {
		if claims[i].id == "" && claims[i].account != s.account || claims[i].id != "" && claims[i].id != s.ID {
			names = append(names, claims[i].name)
		}
	}
	if others > few+1 {
		names = append(names[:few], fmt.Sprintf("%d more", others-few))
	}
	return strings.Join(names, " and ")
}

// differs says whether the directory has the field and none of its values is the one that PPMS has.
func differs(f Field, have string, values []string) bool {
	if first(values) == "" {
		return false
	}
	have = normal(f, have)
	return !slices.ContainsFunc(values, func(v string) bool { return normal(f, v) == have })
}

// normal is the form in which two values of a field are the same.
func normal(f Field, s string) string {
	if f == Email || f == Unit {
		return loose(s)
	}
	return tidy(s)
}

// tidy trims, composes (NFC) and collapses blanks.
func tidy(s string) string {
	clean := true
	blank := true
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			clean = clean && !blank
			blank = true
		case c < ' ' || c >= 0x80:
			clean = false
		default:
			blank = false
		}
	}
	if clean && (s == "" || !blank) {
		return s
	}
	return norm.NFC.String(strings.Join(strings.Fields(s), " "))
}

// Same says whether two values of a field are the same as far as a comparison goes: trimmed, composed, blanks collapsed, and
// for e-mail and unit regardless of case.
func Same(f Field, a, b string) bool { return normal(f, a) == normal(f, b) }
