package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// identify settles who is who, one person after the other:
//
//	link by id   account with the key   outcome
//	----------   --------------------   ---------------------------------------------------------------
//	yes          the linked one         theirs
//	yes          gone                   account-gone
//	yes          there again            theirs if it agrees, else identity-mismatch
//	other login  new one that agrees,   theirs; the link moves
//	             old one gone
//	other login  anything else          renamed
//	no           linked to another id   login-reused
//	no           agrees                 theirs; a new link
//	no           does not agree         identity-mismatch
//	no           none                   nobody's yet: a new account, perhaps
//
// Before that, an entry must be understood whole, its login must be usable, and neither side may have it twice.
func (c *comparison) identify() {
	for i := range c.subjects {
		s := &c.subjects[i]
		s.held = !c.usable(s) || !c.find(s)
	}
}

// usable checks what can be said of an entry without PPMS.
func (c *comparison) usable(s *subject) bool {
	switch {
	case len(s.Problems) > 0:
		c.issue(Incomplete, s.Login, "%s: %s", s.DN, strings.Join(s.Problems, "; "))
	case s.key == "":
		c.issue(Incomplete, "", "%s has no login", s.DN)
	case strings.ContainsFunc(s.Login, unicode.IsControl):
		c.issue(BadLogin, strings.Map(visible, s.Login), "the login of %s has control characters", s.DN)
	case c.Settings.LoginOK != nil && !c.Settings.LoginOK(s.Login):
		c.issue(BadLogin, s.Login, "the login of %s does not match accounts.login_pattern", s.DN)
	case c.people[s.key] > 1 && !c.chosenByHand(s):
		c.issue(DuplicateLogin, s.Login, "several entries have this login: %s; `ppms-syncd link %s --dn DN` says which one it is",
			some(c.entriesOf(s.key)), s.Login)
	default:
		return true
	}
	return false
}

func visible(r rune) rune {
	if unicode.IsControl(r) {
		return unicode.ReplacementChar
	}
	return r
}

func (c *comparison) chosenByHand(s *subject) bool {
	link := c.links[s.ID]
	return link != nil && link.Origin == ByHand && link.Key == s.key
}

// entriesOf finds the entries of one login: the subjects are sorted by it.
func (c *comparison) entriesOf(key Key) []string {
	from, _ := slices.BinarySearchFunc(c.subjects, key, func(s subject, key Key) int { return cmp.Compare(s.key, key) })
	var dns []string
	for i := from; i < len(c.subjects) && c.subjects[i].key == key && len(dns) <= few; i++ {
		dns = append(dns, c.subjects[i].DN)
	}
	if more := c.people[key] - len(dns); more > 0 {
		dns = append(dns[:few], fmt.Sprintf("%d more", more+1))
	}
	return dns
}

// few is how many of many are named.
const few = 3

// some names the first few, which must be sorted.
func some(names []string) string {
	if len(names) > few+1 {
		names = append(slices.Clone(names[:few]), fmt.Sprintf("%d more", len(names)-few))
	}
	return strings.Join(names, " and ")
}

// find settles which account is this person's. False holds the person.
func (c *comparison) find(s *subject) bool {
	link := c.links[s.ID]
	switch {
	case link == nil:
		return c.match(s)
	case link.Key != s.key && KeyOf(link.Login) != s.key:
		return c.follow(s, link)
	}
	key := KeyOf(link.Login)
	account, ok := c.accounts[key]
	if !ok {
		c.issue(AccountGone, link.Login, "PPMS no longer has the account that was linked to %s; `ppms-syncd unlink %s` forgets the link, "+
			"and the next run treats the person as new", s.DN, link.Login)
		return false
	}
	if c.doubtful(link) && !c.isTheirs(s, account) {
		return false
	}
	s.account = account
	return !c.duplicates[key]
}

// match looks for an account of somebody who has no link yet.
func (c *comparison) match(s *subject) bool {
	account, exists := c.accounts[s.key]
	if c.untouchable(s.key) != "" {
		return false
	}
	if other := c.linkedTo[s.key]; other != nil {
		c.issue(LoginReused, other.Login, "the account is linked to %s, but the directory now has %s with this login: another person, or the same "+
			"one with a new entry; `ppms-syncd link %s` says that it is theirs", other.DN, s.DN, other.Login)
		return false
	}
	if !exists {
		return true
	}
	if c.duplicates[s.key] {
		return false
	}
	if !c.isTheirs(s, account) {
		return false
	}
	a := &c.PPMS.Accounts[account]
	s.account = account
	c.newLinks = append(c.newLinks, Link{ID: s.ID, Login: a.Login, Key: s.key, DN: s.DN, Origin: Matched, Since: c.Now})
	return true
}

// isTheirs says whether an account of the person's login agrees with the person.
func (c *comparison) isTheirs(s *subject, account int32) bool {
	a := &c.PPMS.Accounts[account]
	if !agree(s.Person, a) {
		c.issue(IdentityMismatch, a.Login, "PPMS has %s, %s; %s has %s, %s: neither e-mail nor last name agrees; `ppms-syncd link %s` says that "+
			"they are one person", orNone(a.Fields[Lname]), orNone(a.Fields[Email]), s.DN, orNone(first(s.Fields[Lname])),
			orNone(first(s.Fields[Email])), a.Login)
		return false
	}
	return true
}

// doubtful says whether a linked account may be another than the one that was linked.
func (c *comparison) doubtful(link *Link) bool { return link.Gone || c.Changed[KeyOf(link.Login)] }

// another says whether PPMS was without an account of this login since it was linked.
func (c *comparison) another(key Key) bool {
	link := c.linkedTo[key]
	return link != nil && link.Gone
}

// follow decides on a known entry with a new login.
func (c *comparison) follow(s *subject, link *Link) bool {
	old := KeyOf(link.Login)
	account, hasNew := c.accounts[s.key]
	_, hasOld := c.accounts[old]
	if hasNew && !hasOld && !c.duplicates[s.key] && c.linkedTo[s.key] == nil && c.untouchable(s.key) == "" &&
		agree(s.Person, &c.PPMS.Accounts[account]) {
		s.account = account
		moved := *link
		moved.Login, moved.Key, moved.DN = c.PPMS.Accounts[account].Login, s.key, s.DN
		c.newLinks = append(c.newLinks, moved)
		c.moved[old] = moved.Login
		return true
	}
	advice := "PPMS cannot rename by its API: rename the account in PPMS and the link follows"
	if hasNew {
		advice = "PPMS has both accounts: `ppms-syncd link " + s.Login + "` says that the new one is theirs"
	}
	c.issue(Renamed, link.Login, "%s now has the login %s; %s", s.DN, s.Login, advice)
	return false
}

// agree says whether a person and an account of the same login are surely one: e-mail or last name is the same.
func agree(p *Person, a *Account) bool {
	same := func(f Field) bool {
		have := loose(a.Fields[f])
		return have != "" && slices.ContainsFunc(p.Fields[f], func(v string) bool { return loose(v) == have })
	}
	return same(Email) || same(Lname)
}

// loose compares names and addresses as people do.
func loose(s string) string { return fold(tidy(s)) }

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// MissingIDs lists the stable ids of linked people whom the read did not return, under their id or their login. Each is looked
// up once more before anybody concludes that they left.
func MissingIDs(people []Person, m Memory) []string {
	ids := make(map[string]bool, len(people))
	keys := make(map[Key]bool, len(people))
	for i := range people {
		ids[people[i].ID] = true
		if people[i].Login != "" {
			keys[KeyOf(people[i].Login)] = true
		}
	}
	var missing []string
	for i := range m.Links {
		link := &m.Links[i]
		account := KeyOf(link.Login)
		if ids[link.ID] || keys[account] || keys[link.Key] {
			continue
		}
		missing = append(missing, link.ID)
	}
	slices.Sort(missing)
	return missing
}

// Relink finds the accounts that agree, by login and e-mail or last name, with an entry that is not linked to any: after a
// directory was moved to another server, every entry has another stable id. Whatever is ambiguous is left out.
func Relink(people []Person, accounts []Account, links []Link, now time.Time) []Link {
	count := map[Key]int{}
	for i := range people {
		count[KeyOf(people[i].Login)]++
	}
	byKey, twice := map[Key]*Account{}, map[Key]bool{}
	for i := range accounts {
		key := KeyOf(accounts[i].Login)
		twice[key] = byKey[key] != nil
		byKey[key] = &accounts[i]
	}
	linked := map[string]bool{}
	for i := range links {
		linked[links[i].ID] = true
	}
	var found []Link
	for i := range people {
		p := &people[i]
		key := KeyOf(p.Login)
		a := byKey[key]
		if key == "" || a == nil || twice[key] || count[key] != 1 || linked[p.ID] || !agree(p, a) {
			continue
		}
		found = append(found, Link{ID: p.ID, Login: a.Login, Key: key, DN: p.DN, Origin: ByHand, Since: now})
	}
	slices.SortFunc(found, func(a, b Link) int { return strings.Compare(a.Login, b.Login) })
	return found
}
