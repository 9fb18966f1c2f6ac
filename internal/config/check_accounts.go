package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/reconcile"
)

func (k *checker) accounts() {
	a := &k.c.Accounts
	if a.Create.CEL != "" {
		k.c.compiled.create = k.condition("accounts.create.cel", a.Create.CEL)
	}
	k.c.compiled.login = k.source("accounts.attributes.login", a.Attributes.Login)
	for f := range reconcile.Field(reconcile.NumFields) {
		k.c.compiled.fields[f] = k.source("accounts.attributes."+f.String(), a.Attributes.of(f))
	}
	k.authoritative()
	var err error
	if k.c.compiled.loginOK, err = regexp.Compile(a.LoginPattern); err != nil {
		k.fail("accounts.login_pattern", "is no regular expression: %s", regexpMessage(err))
	} else if !strings.HasPrefix(a.LoginPattern, "^") || !strings.HasSuffix(a.LoginPattern, "$") {
		k.odd("accounts.login_pattern", "does not stand between ^ and $: it takes every login that has a fitting piece")
	}
	k.protect()
}

// of is what a field comes from.
func (a Attributes) of(f reconcile.Field) Source {
	switch f {
	case reconcile.Lname:
		return a.Lname
	case reconcile.Fname:
		return a.Fname
	case reconcile.Email:
		return a.Email
	case reconcile.Phone:
		return a.Phone
	case reconcile.Bcode:
		return a.Bcode
	case reconcile.Affiliation:
		return a.Affiliation
	case reconcile.Unit:
		return a.Unitlogin
	}
	return Source{}
}

// source compiles what a field comes from.
func (k *checker) source(path string, s Source) ldapsrc.Value {
	if s.CEL != "" {
		v, err := ldapsrc.CompileValue(string(s.CEL))
		k.expression(path+".cel", string(s.CEL), err)
		return v
	}
	if s.Attribute == "" {
		return ldapsrc.Value{}
	}
	k.attribute(path, s.Attribute, `; an expression is written {cel: "…"}`)
	return ldapsrc.Attribute(s.Attribute)
}

// authoritative checks the fields that the directory decides, and puts them in the order of PPMS, so that their order in the
// file does not matter.
func (k *checker) authoritative() {
	const path = "accounts.authoritative"
	a := &k.c.Accounts
	if !k.has(path) {
		for _, f := range []reconcile.Field{reconcile.Lname, reconcile.Fname, reconcile.Email, reconcile.Phone} {
			if a.Attributes.of(f) != (Source{}) {
				a.Authoritative = append(a.Authoritative, f.String())
			}
		}
		return
	}
	for i, name := range a.Authoritative {
		here := fmt.Sprintf("%s[%d]", path, i)
		f, ok := reconcile.FieldNamed(name)
		switch {
		case !ok: // the walk has said so
		case !k.has("accounts.attributes." + name):
			k.odd(here, fmt.Sprintf("%s is not in accounts.attributes, which leaves it alone", f))
		case slices.Contains(a.Authoritative[:i], name):
			k.fail(here, "%s is given twice", f)
		}
	}
	slices.SortFunc(a.Authoritative, func(x, y string) int {
		fx, _ := reconcile.FieldNamed(x)
		fy, _ := reconcile.FieldNamed(y)
		return int(fx) - int(fy)
	})
}

// protect sorts the protected into logins and patterns.
func (k *checker) protect() {
	k.c.compiled.protected = map[reconcile.Key]bool{}
	for i, p := range k.c.Accounts.Protect {
		path := fmt.Sprintf("accounts.protect[%d]", i)
		if !k.sound(path) {
			continue
		}
		if !strings.HasPrefix(p, "/") {
			k.c.compiled.protected[reconcile.KeyOf(p)] = true
			continue
		}
		inner, found := strings.CutSuffix(p[1:], "/")
		if !found || inner == "" {
			k.fail(path, "must be a login, or a regular expression between two slashes such as /^svc-/")
			continue
		}
		if _, err := regexp.Compile(inner); err != nil {
			k.fail(path, "is no regular expression: %s", regexpMessage(err))
			continue
		}
		// Keys are folded and composed, so the pattern is, too.
		k.c.compiled.patterns = append(k.c.compiled.patterns, regexp.MustCompile("(?i:"+norm.NFC.String(inner)+")"))
	}
}

// regexpMessage leaves out Go's own introduction.
func regexpMessage(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
