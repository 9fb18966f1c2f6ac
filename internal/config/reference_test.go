package config

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/configs"
)

// TestReference keeps docs/configuration.md what the types say.
func TestReference(t *testing.T) {
	const path = "../../docs/configuration.md"
	var out strings.Builder
	out.WriteString("# Configuration\n\nEvery key, with its default and its meaning. `ppms-syncd config example` prints a commented file to start from, and\n" +
		"`ppms-syncd config schema` the JSON Schema for editors. This page is made from the types; `go test ./internal/config -update` brings it up to date.\n\n" +
		"Durations are written as `90s`, `30m`, `168h` or `400d`. Relative paths are sought in `$CREDENTIALS_DIRECTORY`, then beside the configuration.\n" +
		"Where a value may be an expression, it is `{cel: \"…\"}` in [CEL](https://cel.dev/): `attr('name')` is the first value of an attribute or `\"\"`, " +
		"`attrs('name')` all,\n`groups` and `group_dns` the names and DNs of the person's groups, nested ones included, `dn` the entry, and " +
		"`flag(attr('userAccountControl'), 2)` tests bits. " +
		"`expiredTime(attr('…'))`,\n`expiredDays(attr('…'))` and `expiredTicks(attr('…'))` say whether a time of LDAP, a day since 1970 or a time of Active Directory has come; " +
		"what is absent\nnever comes.\n\n| key | default | meaning |\n|---|---|---|\n")
	reference(&out, "", everyDefault())
	out.WriteString("\n## Profiles\n\nWhat `ldap.profile` decides. [directories.md](directories.md) says what each kind of directory needs.\n")
	for _, name := range configs.Profiles() {
		_, _ = fmt.Fprintf(&out, "\n### %s\n\n| key | default |\n|---|---|\n", name)
		profiled(&out, "", reflect.ValueOf(defaults(name)).Elem(), everyDefault())
	}
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), out.String()); diff != "" {
		t.Errorf("docs/configuration.md is out of date; run go test ./internal/config -update:\n%s", diff)
	}
}

// profiled lists what a profile has for the keys of which not all have the same.
func profiled(out *strings.Builder, path string, v reflect.Value, all []reflect.Value) {
	for _, k := range keysOf(v.Type()) {
		value, each := v.FieldByIndex(k.field.Index), fields(all, k)
		switch {
		case alike(each) || k.name == "profile":
		case value.Kind() == reflect.Struct:
			profiled(out, path+k.name+".", value, each)
		default:
			_, _ = fmt.Fprintf(out, "| `%s` | `%s` |\n", path+k.name, strings.ReplaceAll(fmt.Sprint(value.Interface()), "|", `\|`))
		}
	}
}

func reference(out *strings.Builder, path string, all []reflect.Value) {
	for _, k := range keysOf(all[0].Type()) {
		each := fields(all, k)
		name, value := path+k.name, each[0]
		standard := "required"
		if !k.limits.required {
			text, err := json.Marshal(value.Interface())
			if err != nil {
				panic(err)
			}
			standard = "`" + strings.Trim(string(text), `"`) + "`"
			if value.IsZero() && value.Kind() != reflect.Bool && value.Kind() != reflect.Int {
				standard = ""
			}
		}
		elem := value.Type()
		list := elem.Kind() == reflect.Slice
		if list {
			elem = elem.Elem()
		}
		union := reflect.PointerTo(elem).Implements(reflect.TypeFor[interface{ short() any }]())
		section := elem.Kind() == reflect.Struct && !union && len(keysOf(elem)) > 0
		if section && !list {
			standard = ""
		}
		if !section && !alike(each) {
			standard = "by profile"
		}
		if k.name == "authoritative" {
			standard = "lname, fname, email, phone, as far as mapped"
		}
		_, _ = fmt.Fprintf(out, "| `%s` | %s | %s |\n", name, standard, strings.ReplaceAll(k.field.Tag.Get("jsonschema_description"), "|", `\|`))
		switch {
		case section && list:
			reference(out, name+"[].", []reflect.Value{reflect.Zero(elem)})
		case section:
			reference(out, name+".", each)
		}
	}
}
