package ldapsrc

import (
	"encoding/binary"
	"slices"
	"strings"

	"ppms-syncd/internal/reconcile"
)

// mapper turns entries into people. It keeps nothing of an entry but what the person has.
type mapper struct {
	users   UserSearch
	mapping *Mapping
	graph   *groupGraph
	rules   *ruleBook

	wants   bool // some expression looks at the groups
	doubted bool // the disabled condition cannot be trusted
	// An expression that names a group which is not there says nothing: the field is left alone, nobody new is created.
	doubtedField  [reconcile.NumFields]bool
	doubtedCreate bool
	subject       subject
	lists         map[string]lists // groups of people whom the same groups list
	listKey       []byte

	needed []string // attributes
	kind   Kind
	always []string          // those of them that everybody has
	lack   []int             // and how many people have none of each
	ids    map[string]string // stable id → DN
	known  map[string]string // the same at an earlier read
}

// lists is what expressions see of a person's groups.
type lists struct{ names, dns []string }

// mostLists is how many are kept: those of 50,000 people in 100 groups each would take 200 MB.
const mostLists = 4096

func newMapper(cfg *Config, m *Mapping, g *groupGraph) *mapper {
	users := cfg.Users
	out := &mapper{
		users: users, kind: cfg.Kind, mapping: m, graph: g, rules: newRuleBook(m.Rules, g),
		lists: make(map[string]lists), ids: make(map[string]string),
		needed: distinct(append(m.attributes(users), memberAttributes(cfg.Groups, cfg.Kind)...)),
	}
	if cfg.Now != nil {
		out.subject.now = cfg.Now()
	}
	out.lack = make([]int, len(out.needed))
	for _, a := range cfg.Kind.Always {
		if containsFold(out.needed, a) {
			out.always = append(out.always, a)
		}
	}
	for _, e := range m.expressions(users) {
		out.wants = out.wants || e.groups.any
	}
	if users.Disabled != nil {
		out.doubted = g.doubt(users.Disabled.expr.groups) != ""
	}
	if m.Create != nil {
		out.doubtedCreate = g.doubt(m.Create.expr.groups) != ""
	}
	for f, v := range m.Fields {
		if v.expr != nil {
			out.doubtedField[f] = g.doubt(v.expr.groups) != ""
		}
	}
	return out
}

// expressions are all that look at a person.
func (m *Mapping) expressions(users UserSearch) []*expression {
	var out []*expression
	for _, v := range append(m.Fields[:], m.Login) {
		if v.expr != nil {
			out = append(out, v.expr)
		}
	}
	conditions := []*Condition{m.Create, users.Disabled}
	for _, r := range m.Rules {
		conditions = append(conditions, r.When)
	}
	for _, c := range conditions {
		if c != nil {
			out = append(out, c.expr)
		}
	}
	return out
}

// attributes are those that the mapping needs, each once.
func (m *Mapping) attributes(users UserSearch) []string {
	var out []string
	for _, v := range append(m.Fields[:], m.Login) {
		if v.attribute != "" {
			out = append(out, v.attribute)
		}
	}
	for _, e := range m.expressions(users) {
		out = append(out, e.attributes...)
	}
	return distinct(out)
}

// person maps one entry. The error is one that makes the whole read useless.
func (m *mapper) person(e *entry) (reconcile.Person, error) {
	id, err := m.stableID(e)
	if err != nil {
		return reconcile.Person{}, err
	}
	for _, a := range m.always {
		if !slices.ContainsFunc(e.get(a), notBlank) {
			return reconcile.Person{}, incomplete("let the reader see it, or use another ldap.profile if there are people without it",
				"%s has no %s, which everybody has in this kind of directory", e.DN, a)
		}
	}
	direct, bad := m.graph.of(e)
	m.subject.entry, m.subject.groups, m.subject.dns = e, nil, nil
	if m.wants && len(direct) > 0 {
		m.groupsOf(direct)
	}
	for i, a := range m.needed {
		if !slices.ContainsFunc(e.get(a), notBlank) {
			m.lack[i]++
		}
	}
	p := reconcile.Person{ID: id, DN: e.DN, Former: m.former(m.known[id], e)}
	if bad != nil {
		p.Problems = append(p.Problems, bad.Error())
	}
	m.values(&p)
	m.conditions(&p)
	p.Rules = m.rules.members(m.graph, &m.subject, direct)
	return p, nil
}

// former says whether groups list an entry under the DN that it had before it was moved: not every server keeps them in step.
func (m *mapper) former(before string, e *entry) bool {
	if before == "" || before == e.DN {
		return false
	}
	old, err := dnKey(before)
	return err == nil && old != e.key && len(m.graph.direct[old]) > 0
}

// lacking counts the people who have no value of an attribute that one would expect.
func (m *mapper) lacking() map[string]int {
	out := make(map[string]int, len(m.needed))
	for i, a := range m.needed {
		if !containsFold(m.kind.Rare, a) {
			out[a] = m.lack[i]
		}
	}
	return out
}

// seen adds attributes to what was found of groups: those that somebody has, and those that nobody has.
func (m *mapper) seen(attributes []string, people int, out *reconcile.RuleRead) {
	for _, name := range attributes {
		i := slices.IndexFunc(m.needed, func(n string) bool { return strings.EqualFold(n, name) })
		if mark := reconcile.AttributeMark + strings.ToLower(name); m.lack[i] < people {
			out.Groups = append(out.Groups, mark)
		} else {
			out.Empty = append(out.Empty, mark)
		}
	}
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

func notBlank(s string) bool { return strings.TrimSpace(s) != "" }

// stableID reads the id that outlives renames.
func (m *mapper) stableID(e *entry) (string, error) {
	values := e.get(m.users.ID)
	const do = "the reader may not see it, or ldap.users.id names the wrong attribute"
	if len(values) != 1 || strings.TrimSpace(values[0]) == "" {
		return "", incomplete(do, "%s has %d values of %s, which must be exactly one", e.DN, len(values), m.users.ID)
	}
	id, err := idText(m.users.ID, values[0])
	if err != nil {
		return "", incomplete("look whether ldap.users.id is right", "%s of %s cannot be used: %v", m.users.ID, e.DN, err)
	}
	if other, twice := m.ids[id]; twice {
		return "", incomplete("the next run tries again; if it stays so, ldap.users.id is not unique",
			"%s and %s have the same %s", other, e.DN, m.users.ID)
	}
	m.ids[id] = e.DN
	return id, nil
}

// groupsOf tells the expressions the person's groups. Most people share theirs with others.
func (m *mapper) groupsOf(direct []int) {
	m.listKey = m.listKey[:0]
	for _, d := range direct {
		m.listKey = binary.AppendUvarint(m.listKey, uint64(d)) //nolint:gosec // an index
	}
	l, ok := m.lists[string(m.listKey)]
	if !ok {
		for _, i := range m.graph.containing(direct) {
			l.names = append(l.names, m.graph.groups[i].names...)
			l.dns = append(l.dns, m.graph.groups[i].dn)
		}
		slices.Sort(l.names)
		l.names = slices.Compact(l.names)
		if len(m.lists) >= mostLists { // where everybody has groups of their own, keeping them gains nothing
			clear(m.lists)
		}
		m.lists[string(m.listKey)] = l
	}
	m.subject.groups, m.subject.dns = l.names, l.dns
}

// value evaluates one part of the mapping.
func (m *mapper) value(v Value) ([]string, error) {
	if v.expr == nil {
		return m.subject.values(v.attribute)
	}
	values, err := v.expr.strings(&m.subject)
	if err != nil {
		return nil, err
	}
	return clean("the expression", values)
}

// values fills login and fields.
func (m *mapper) values(p *reconcile.Person) {
	problem := func(what string, err error) { p.Problems = append(p.Problems, what+": "+err.Error()) }
	login, err := m.value(m.mapping.Login)
	if err != nil {
		problem("login", err)
	} else if len(login) > 0 {
		p.Login = login[0]
		if len(login) > 1 && m.mapping.Login.attribute != "" {
			if own, ok := ownName(p.DN, m.mapping.Login.attribute, login); ok {
				p.Login = own
			}
		}
	}
	for f := range reconcile.Field(reconcile.NumFields) {
		v := m.mapping.Fields[f]
		if v.IsZero() || m.doubtedField[f] {
			continue
		}
		values, err := m.value(v)
		if err != nil {
			problem(f.String(), err)
		} else if len(values) > 0 {
			p.Fields[f] = values
		}
	}
}

// conditions decides whether the person may work and gets an account.
func (m *mapper) conditions(p *reconcile.Person) {
	p.Create = !m.mapping.CreateNobody
	if p.Create && m.mapping.Create != nil {
		create, err := m.mapping.Create.holds(&m.subject)
		if err != nil {
			p.CreateProblem = "create: " + err.Error()
		}
		p.Create = create && !m.doubtedCreate
	}
	if m.users.Disabled == nil {
		return
	}
	disabled, err := m.users.Disabled.holds(&m.subject)
	switch {
	case err != nil:
		p.Problems = append(p.Problems, "disabled: "+err.Error())
	case m.doubted: // neither a yes, which makes leavers, nor a no, which brings them back, can be trusted
		p.State = reconcile.Doubtful
	case disabled:
		p.State = reconcile.Disabled
	}
}
