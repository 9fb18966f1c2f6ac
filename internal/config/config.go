package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a small container has no time zones of its own

	"github.com/robfig/cron/v3"

	"ppms-syncd/configs"
	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/reconcile"
)

// Dirs are where a relative path in the configuration is sought, in this order.
type Dirs []string

// compiled is what the texts of a configuration mean.
type compiled struct {
	timetable cron.Schedule
	location  *time.Location // of the schedule
	facility  *time.Location
	disabled  *ldapsrc.Condition
	create    *ldapsrc.Condition
	login     ldapsrc.Value
	fields    [reconcile.NumFields]ldapsrc.Value
	when      []*ldapsrc.Condition // by rule; nil for a group
	loginOK   *regexp.Regexp
	protected map[reconcile.Key]bool
	patterns  []*regexp.Regexp // of protected logins
}

// Load reads a configuration file. The error is a [*Problems] with all that is wrong in it, or says why the file could not
// be read. Files that the configuration names are not touched.
func Load(path string) (*Config, error) { return load(path) }

// LoadWithoutSync is Load for who syncs nothing, such as asking PPMS or looking into the ledger: the keys for the sync may be missing or wrong.
func LoadWithoutSync(path string) (*Config, error) {
	return load(path, "policy", "ldap", "accounts", "rights", "leavers", "guards")
}

func load(path string, but ...string) (*Config, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the path is what the operator asked for
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read configuration: %w; name another with --config, or start from ppms-syncd config example", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(path, data, Dirs{os.Getenv("CREDENTIALS_DIRECTORY"), dir}, but)
}

// Parse reads a configuration from memory. The name stands in the problems; the error is a [*Problems].
func Parse(name string, data []byte, dirs Dirs) (*Config, error) { return parse(name, data, dirs, nil) }

// parse is Parse, but what is wrong below some keys does not matter.
func parse(name string, data []byte, dirs Dirs, but []string) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors on Windows write this mark
	w := &walker{file: name, lines: strings.Split(string(data), "\n"), wrong: map[string]bool{}, places: map[string]place{}}
	root, bad := parseYAML(data)
	if bad != nil {
		w.report("", place{bad.line, bad.column, nil}, "%s", bad.message)
		return nil, &w.problems
	}
	c := defaults(profileOf(root))
	c.dirs = dirs
	w.mapping("", root, reflect.ValueOf(c).Elem())
	check := &checker{walker: w, c: c}
	check.all()
	errs, warnings := Problems{}, Problems{}
	for _, p := range w.problems {
		switch {
		case slices.Contains(but, p.section()):
		case p.Warning:
			warnings = append(warnings, p)
		default:
			errs = append(errs, p)
		}
	}
	if len(errs) > 0 {
		all := append(errs, warnings...)
		all.sort()
		return nil, &all
	}
	warnings.sort()
	c.Warnings = warnings
	return c, nil
}

// Example is a commented configuration that loads, for ppms-syncd config example: one with every key, or a short one for a kind
// of directory. It is nil if there is none of that name.
func Example(profile string) []byte { return configs.Example(profile) }
