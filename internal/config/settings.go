package config

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// Timetable says when runs start, in the configured time zone whatever zone it is asked in.
func (c *Config) Timetable() cron.Schedule { return c.compiled.timetable }

// Location is the time zone of the schedule.
func (c *Config) Location() *time.Location { return c.compiled.location }

// Settings is the part of the configuration that decides.
func (c *Config) Settings() reconcile.Settings {
	s := reconcile.Settings{
		Policy:    c.Policy,
		LoginOK:   c.compiled.loginOK.MatchString,
		Protected: c.protected,
		Leavers: reconcile.LeaverSettings{
			Grace:         time.Duration(c.Leavers.Grace),
			DisabledGrace: time.Duration(c.Leavers.DisabledGrace),
			Confirmations: c.Leavers.Confirmations,
		},
		Guards: c.guards(),
		Scope:  c.Scope(),
	}
	for f := range reconcile.Field(reconcile.NumFields) {
		s.Mapped[f] = !c.compiled.fields[f].IsZero()
		s.Authoritative[f] = slices.Contains(c.Accounts.Authoritative, f.String())
	}
	for _, r := range c.Rights {
		level, _ := reconcile.ParseLevel(r.Level)
		rule := reconcile.Rule{Name: r.Name, Level: level}
		for _, sel := range r.Systems {
			rule.Systems = append(rule.Systems, reconcile.Selector(sel))
		}
		s.Rules = append(s.Rules, rule)
	}
	return s
}

func (c *Config) protected(k reconcile.Key) bool {
	return c.compiled.protected[k] ||
		slices.ContainsFunc(c.compiled.patterns, func(re *regexp.Regexp) bool { return re.MatchString(string(k)) })
}

func (c *Config) guards() reconcile.GuardSettings {
	g := reconcile.GuardSettings{MinPeople: c.Guards.MinPeople, MaxShrink: c.Guards.MaxShrink}
	for i, guard := range reconcile.Counted() {
		switch guard {
		case reconcile.Creations:
			g.Limits[i] = reconcile.Limit(c.Guards.Creations)
		case reconcile.Updates:
			g.Limits[i] = reconcile.Limit(c.Guards.Updates)
		case reconcile.Grants:
			g.Limits[i] = reconcile.Limit(c.Guards.Grants)
		case reconcile.Revocations:
			g.Limits[i] = reconcile.Limit(c.Guards.Revocations)
		case reconcile.Deactivations:
			g.Limits[i] = reconcile.Limit(c.Guards.Deactivations)
		case reconcile.Shrink, reconcile.MinPeople, reconcile.ScopeGuard: // count nobody
		}
	}
	return g
}

// Directory says which directory is read, and how. Relative paths of certificates are looked up now.
func (c *Config) Directory() ldapsrc.Config {
	l := c.LDAP
	return ldapsrc.Config{
		URLs:     l.URLs,
		StartTLS: l.StartTLS,
		TLS: ldapsrc.TLS{
			CAFile:     c.find(l.TLS.CAFile),
			ServerName: l.TLS.ServerName,
			CertFile:   c.find(l.TLS.CertFile),
			KeyFile:    c.find(l.TLS.KeyFile),
		},
		Bind: ldapsrc.Bind{
			Method:   ldapsrc.BindMethod(l.Bind.Method),
			DN:       l.Bind.DN,
			Password: secret.File{Path: l.Bind.PasswordFile, Dirs: c.dirs},
		},
		Timeout:  time.Duration(l.Timeout),
		PageSize: uint32(l.PageSize), //nolint:gosec // the walk has checked that it is from 1 to 2^31-1
		Users: ldapsrc.UserSearch{
			Base:     l.Users.Base,
			Filter:   l.Users.Filter,
			ID:       l.Users.ID,
			Disabled: c.compiled.disabled,
		},
		Groups:    ldapsrc.GroupSearch(l.Groups),
		Kind:      ldapsrc.Profiles()[l.Profile].Kind,
		Referrals: l.Referrals,
		Canaries:  l.Canaries,
	}
}

// Mapping says what a person is made of. Its rules are those of [Config.Settings], in the same order.
func (c *Config) Mapping() ldapsrc.Mapping {
	m := ldapsrc.Mapping{
		Login:        c.compiled.login,
		Fields:       c.compiled.fields,
		Create:       c.compiled.create,
		CreateNobody: c.compiled.create == nil && !c.Accounts.Create.Always,
	}
	for i, r := range c.Rights {
		m.Rules = append(m.Rules, ldapsrc.RuleSource{Name: r.Name, Group: r.Group, When: c.compiled.when[i]})
	}
	return m
}

// Pumapi says where PUMAPI answers, and how hard it may be asked.
type Pumapi struct {
	URL               string      // ends in a slash
	Key               secret.File // read anew for each run
	Timeout           time.Duration
	Concurrency       int
	RequestsPerSecond float64
	VerifyEvery       time.Duration // 0 is in every run
	Location          *time.Location
}

// Pumapi says how PPMS is reached.
func (c *Config) Pumapi() Pumapi {
	p := c.PPMS
	return Pumapi{
		URL:               p.URL,
		Key:               secret.File{Path: p.APIKeyFile, Dirs: c.dirs},
		Timeout:           time.Duration(p.Timeout),
		Concurrency:       p.Concurrency,
		RequestsPerSecond: p.RequestsPerSecond,
		VerifyEvery:       time.Duration(p.VerifyEvery),
		Location:          c.compiled.facility,
	}
}

// Exposed says whether others can reach the listener.
func (h HTTP) Exposed() bool {
	host, _, err := net.SplitHostPort(h.Listen)
	return err != nil || !loopback(host)
}

// WebConfigFile is the path of http.web_config_file, looked up now; "" if there is none.
func (c *Config) WebConfigFile() string { return c.find(c.HTTP.WebConfigFile) }

// find looks up a relative path as secrets are looked up. What is nowhere is taken to be beside the configuration, so that the
// error of whoever opens it names a whole path.
func (c *Config) find(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	whole := path
	for _, dir := range c.dirs {
		if dir == "" {
			continue
		}
		whole = filepath.Join(dir, path)
		if _, err := os.Stat(whole); err == nil {
			break
		}
	}
	return whole
}
