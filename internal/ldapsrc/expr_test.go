package ldapsrc

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
)

func anEntry(dn string, attributes map[string][]string) *entry {
	key, _ := dnKey(dn)
	return &entry{ldap.NewEntry(dn, attributes), key}
}

func TestValues(t *testing.T) {
	t.Parallel()
	p := &subject{
		entry: anEntry("uid=jdoe,ou=people,dc=example,dc=org", map[string][]string{
			"UID": {"jdoe"}, "mail": {" j@example.org ", "", "doe@example.org"}, "userAccountControl": {"514"}, "bad": {"\xff"}, "ou": {"Lab"},
		}),
		groups: []string{"imaging", "lab-smith"},
		dns:    []string{"cn=imaging,dc=example,dc=org", "cn=lab-smith,dc=example,dc=org"},
	}
	for _, c := range []struct {
		expr string
		want []string
		err  string
	}{
		{expr: "attr('uid')", want: []string{"jdoe"}},
		{expr: "attr('Mail')", want: []string{"j@example.org"}},
		{expr: "attrs('mail')", want: []string{"j@example.org", "doe@example.org"}},
		{expr: "attrs('mail').filter(m, m.startsWith('doe'))", want: []string{"doe@example.org"}},
		{expr: "attr('none')", want: []string{""}},
		{expr: "attrs('none')"},
		{expr: "'lab-smith' in groups ? 'smithlab' : attr('ou')", want: []string{"smithlab"}},
		{expr: "groups", want: []string{"imaging", "lab-smith"}},
		{expr: "group_dns[0]", want: []string{"cn=imaging,dc=example,dc=org"}},
		{expr: "dn", want: []string{"uid=jdoe,ou=people,dc=example,dc=org"}},
		{expr: "attr('uid').upperAscii() + '@' + attr('ou').lowerAscii()", want: []string{"JDOE@lab"}},
		{expr: "flag(attr('userAccountControl'), 2) ? 'off' : 'on'", want: []string{"off"}},
		{expr: "flag(attr('userAccountControl'), 3) ? 'off' : 'on'", want: []string{"on"}},
		{expr: "flag(attr('none'), 2) ? 'off' : 'on'", want: []string{"on"}},
		{expr: "flag(attr('uid'), 2) ? 'off' : 'on'", err: `flag: "jdoe" is no decimal number`},
		{expr: "flag(attr('userAccountControl'), 0) ? 'off' : 'on'", err: "a mask of 0 has no bits"},
		{expr: "attr('bad')", err: "a value of bad is not valid UTF-8"},
		{expr: "attrs('none')[0]", err: "index out of bounds: 0"},
		{expr: "attr('uid').split('')[7]", err: "index out of bounds: 7"},
		{expr: "groups.map(a, groups.map(b, a + b)).map(x, x[0])", want: []string{"imagingimaging", "lab-smithimaging"}},
		{expr: "[1,2,3,4,5,6,7,8].exists(a, [1,2,3,4,5,6,7,8].exists(b, [1,2,3,4,5,6,7,8].exists(c, [1,2,3,4,5,6,7,8].exists(d, " +
			"[1,2,3,4,5,6,7,8].exists(e, [1,2,3,4,5,6,7,8].exists(f, attr('uid') == string(a+b+c+d+e+f))))))) ? 'x' : 'y'", err: "actual cost limit exceeded"},
	} {
		v, err := CompileValue(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		got, err := v.expr.strings(p)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got error %v, want %s", c.expr, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.expr, d)
		}
	}
}

func TestExpressionsThatDoNotCompile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr         string
		line, column int
		message      string
	}{
		{"attr('uid'", 1, 11, "Syntax error"},
		{"attr(uid)", 1, 6, "constant attribute name"},
		{"attr('a' + 'b')", 1, 10, "constant attribute name"},
		{"'x' + attr()", 1, 11, "takes one attribute name"},
		{"attr('a', 'b')", 1, 5, "takes one attribute name"},
		{"attr('a b')", 1, 6, "no attribute name"},
		{"'x' +\n  attr(dn)", 2, 8, "constant attribute name"},
		{"nosuch", 1, 1, "undeclared reference to 'nosuch'"},
		{"1 + 2", 1, 1, "must give a string or a list of strings, not int"},
		{"[]", 1, 1, "must give a string or a list of strings"},
		{"dn == 'x'", 1, 1, "must give a string or a list of strings, not bool"},
		{"attr('uid').matches('(') ? 'a' : 'b'", 1, 1, "error parsing regexp"},
		{"__entry", 1, 1, "undeclared"},
		{"", 1, 1, "Syntax error"},
	} {
		_, err := CompileValue(c.expr)
		var e *ExprError
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v", c.expr, err)
			continue
		}
		if e.Line != c.line || e.Column != c.column || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: got %v, want line %d column %d %s", c.expr, e, c.line, c.column, c.message)
		}
	}
	if _, err := CompileCondition("'x'"); err == nil || !strings.Contains(err.Error(), "must give true or false, not string") {
		t.Errorf("got %v", err)
	}
}

func TestWhatExpressionsNeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr       string
		attributes []string
		groups     groupUse
	}{
		{"attr('Mail') == attr('mail') && attrs('ou').exists(x, x == attr('sn'))", []string{"Mail", "ou", "sn"}, groupUse{named: true}},
		{"'a' in groups || 'cn=b' in group_dns", nil, groupUse{any: true, named: true, names: []string{"a"}, dns: []string{"cn=b"}}},
		{"'a' in groups && groups.size() > 3", nil, groupUse{any: true, names: []string{"a"}}},
		{"attr('uid') in groups", []string{"uid"}, groupUse{any: true}},
		{"groups.exists(g, g.startsWith('lab'))", nil, groupUse{any: true}},
		{"true", nil, groupUse{named: true}},
	} {
		got, err := CompileCondition(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if d := cmp.Diff(c.attributes, got.Attributes()); d != "" {
			t.Errorf("%s: %s", c.expr, d)
		}
		if d := cmp.Diff(c.groups, got.expr.groups, cmp.AllowUnexported(groupUse{})); d != "" {
			t.Errorf("%s: %s", c.expr, d)
		}
	}
}
