package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"ppms-syncd/internal/ldapsrc"
)

func (k *checker) rights() {
	lines := map[string]int{} // by name
	k.c.compiled.when = make([]*ldapsrc.Condition, len(k.c.Rights))
	for i, r := range k.c.Rights {
		path := fmt.Sprintf("rights[%d]", i)
		if k.sound(path + ".name") {
			if line, twice := lines[r.Name]; twice {
				k.fail(path+".name", "%q is the name of another rule, in line %d", r.Name, line)
			}
			lines[r.Name] = k.at(path + ".name").line
		}
		k.who(path, r)
		if r.When.CEL != "" {
			at := path + ".when"
			if k.has(at + ".cel") {
				at += ".cel"
			}
			k.c.compiled.when[i] = k.condition(at, r.When.CEL)
		}
		for j, s := range r.Systems {
			k.selector(fmt.Sprintf("%s.systems[%d]", path, j), s)
		}
	}
}

// who checks that a rule says whom it is for, and once only.
func (k *checker) who(path string, r Rule) {
	group, when := k.has(path+".group"), k.has(path+".when")
	switch {
	case group && when:
		k.fail(path+".when", "a rule has either group or when, not both; name the group in the condition: '…' in groups")
	case !group && !when:
		if k.sound(path) {
			k.fail(path, "says not whom it is for: give it group or when")
		}
	case group && r.Group != "":
		if strings.Contains(r.Group, "=") {
			k.dn(path+".group", r.Group)
		}
		if k.c.LDAP.Groups.Base == "" {
			k.fail("ldap.groups.base", "required key is missing: rights have a rule for a group")
		}
	}
}

func (k *checker) selector(path string, s Selector) {
	if !k.sound(path) {
		return
	}
	if m, ok := k.at(path).node.(*ast.MappingNode); !ok && s.ID < 1 {
		k.fail(path, "must be at least 1")
	} else if ok && len(m.Values) == 0 {
		k.fail(path, "selects nothing: give it name, type or facility")
	}
}
