package daemon

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ppms"
	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// checks prints one line for each thing that it looked at.
type checks struct {
	*printer
	failed int
}

func (c *checks) ok(format string, args ...any) {
	c.printf("%s  %s\n", c.paint(text.FgGreen, "ok  "), harmless(fmt.Sprintf(format, args...)))
}

func (c *checks) warn(format string, args ...any) {
	c.printf("%s  %s\n", c.paint(text.FgYellow, "warn"), harmless(fmt.Sprintf(format, args...)))
}

func (c *checks) fail(format string, args ...any) {
	c.failed++
	c.printf("%s  %s\n", c.paint(text.FgRed, "FAIL"), harmless(fmt.Sprintf(format, args...)))
}

// note is ok or a failure, by the error.
func (c *checks) note(err error, format string, args ...any) bool {
	if err != nil {
		c.fail("%v", err)
		return false
	}
	c.ok(format, args...)
	return true
}

// Check looks at everything that a run needs and says of each line that it is ok or what to do. It writes nothing. Offline it
// contacts nobody.
func (a *App) Check(ctx context.Context, offline bool) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	c := &checks{printer: &printer{out: a.Out, colour: a.Colour}}
	a.checkConfig(c)
	reader, key := a.checkSecrets(c)
	memory, last := a.checkLedger(ctx, c)
	if !offline {
		var directory *ldapsrc.Result
		if reader {
			directory = a.checkDirectory(ctx, c, memory)
		}
		if key {
			a.checkPPMS(ctx, c, directory, memory)
		}
	}
	if next := a.Config.Timetable().Next(a.Now()); next.IsZero() {
		c.fail("the schedule %q never fires", a.Config.Schedule)
	} else {
		c.ok("schedule: %s in %s, next at %s%s", a.Config.Schedule, a.Config.TimeZone, clock(next), last)
	}
	if c.failed > 0 && c.err == nil {
		c.printf("%s to mend.\n", count(c.failed, "thing", "things"))
		return &ExitError{Code: ExitFailed}
	}
	return c.err
}

func (a *App) checkConfig(c *checks) {
	for _, w := range a.Config.Warnings {
		c.warn("%s", w)
	}
	mode := ""
	if a.Config.DryRun {
		mode = "; dry_run is on, so that nothing is written to PPMS"
	}
	if err := a.mayListen(); err != nil {
		c.fail("%v", err)
	}
	c.ok("configuration: policy %s, %s%s", a.Config.Policy, count(len(a.Config.Rights), "rule", "rules"), mode)
}

// checkSecrets looks at each secret and certificate that is needed. It says whether it has what the reader of the directory needs, and the key.
func (a *App) checkSecrets(c *checks) (reader, key bool) {
	look := func(what string, file secret.File) bool {
		path, _ := file.Find()
		_, err := file.Read()
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		return c.note(err, "%s: %s", what, path)
	}
	key = look("the PPMS API key (ppms.api_key_file)", a.Config.Pumapi().Key)
	reader = true
	if bind := a.Config.Directory().Bind; bind.Method == ldapsrc.Simple {
		reader = look("the bind password (ldap.bind.password_file)", bind.Password)
	}
	if err := a.Config.Directory().CheckTLS(); err != nil {
		c.fail("%v", err)
		reader = false // the directory is not asked: it would only say this again
	}
	return reader, key
}

func (a *App) checkLedger(ctx context.Context, c *checks) (m reconcile.Memory, last string) {
	l, err := a.readLedger(ctx)
	switch {
	case err != nil:
		c.fail("%v", err)
		return m, ""
	case l == nil:
		dir := filepath.Dir(a.Config.Ledger.Path)
		c.ok("ledger: %s does not exist yet; the first apply or serve makes it in %s", a.Config.Ledger.Path, dir)
		return m, ""
	}
	defer func() { _ = l.Close() }() // it was only read
	if m, err = l.Memory(ctx, a.Now()); err != nil {
		c.fail("%v", err)
		return m, ""
	}
	c.ok("ledger: %s, %s, %s that we gave, %s on record", a.Config.Ledger.Path, count(len(m.Links), "linked account", "linked accounts"),
		count(len(m.Grants), "right", "rights"), count(len(m.Leavers), "leaver", "leavers"))
	if pending, err := l.Pending(ctx); err == nil && len(pending) > 0 {
		c.warn("ledger: %s in doubt; the next apply reads PPMS and settles them", count(len(pending), "write is", "writes are"))
	}
	if runs, err := l.Runs(ctx, 1); err == nil && len(runs) > 0 {
		last = fmt.Sprintf("; last run %d %s, %s", runs[0].ID, ago(runs[0].Started, a.Now()), resultWord(&runs[0]))
	}
	return m, last
}

func (a *App) checkDirectory(ctx context.Context, c *checks, m reconcile.Memory) *ldapsrc.Result {
	source, err := a.source()
	if err != nil {
		c.fail("%v", err)
		return nil
	}
	result, err := source.Read(ctx, request(m, ""))
	if err != nil {
		c.fail("directory: %v", err)
		return nil
	}
	c.ok("directory: %s, bound as %s: %s, %s, %s", result.Server, result.BoundAs, count(len(result.Directory.People), "person", "people"),
		count(result.Directory.Groups, "group", "groups"), count(result.Pages, "page", "pages"))
	if left := result.CertExpires.Sub(a.Now()); !result.CertExpires.IsZero() && left < 21*24*time.Hour {
		c.warn("directory: the server's certificate ends %s, in %s", clock(result.CertExpires), count(int(left/(24*time.Hour)), "day", "days"))
	}
	if len(result.Directory.People) == 0 {
		c.fail("directory: the search for people finds nobody: look at ldap.users.base and ldap.users.filter, and at what the reader may see")
	}
	for _, attribute := range slices.Sorted(maps.Keys(result.Lacking)) {
		if n := result.Lacking[attribute]; n > 0 {
			c.lacking(attribute, n, len(result.Directory.People))
		}
	}
	if result.NoMembers > 0 {
		c.warn("directory: %s nobody; if that is wrong, the reader may not see the attribute %s", count(result.NoMembers, "group lists", "groups list"),
			a.Config.LDAP.Groups.Member)
	}
	for _, id := range slices.Sorted(maps.Keys(result.Directory.Lookups)) {
		if l := result.Directory.Lookups[id]; l.Err != "" {
			c.warn("directory: a missing person (%s) could not be looked up, so that they are not confirmed as a leaver: %s", id, l.Err)
			break
		}
	}
	for _, doubt := range result.Directory.Doubts {
		c.fail("directory: %s", doubt)
	}
	return result
}

func (c *checks) lacking(attribute string, n, people int) {
	if n == people {
		c.warn("directory: nobody has the attribute %s: is the name right, and may the reader see it?", attribute)
		return
	}
	c.ok("directory: %s of %s lack the attribute %s", thousands(n), count(people, "person", "people"), attribute)
}

func (a *App) checkPPMS(ctx context.Context, c *checks, directory *ldapsrc.Result, m reconcile.Memory) {
	options, err := a.pumapi()
	if err != nil {
		c.fail("%v", err)
		return
	}
	reader, err := ppms.NewReader(options)
	if err != nil {
		c.fail("%v", err)
		return
	}
	defer reader.Close()
	if !c.note(reader.Auth(ctx), "PPMS: %s accepts the key", a.Config.PPMS.URL) {
		return
	}
	r := &run{App: a, reader: reader, memory: m}
	l, err := r.readLists(ctx)
	if err == nil {
		_, err = l.logins()
	}
	if !c.note(err, "PPMS: %s", listsWords(l)) {
		return
	}
	a.checkRules(ctx, c, directory, l, reader)
}

func listsWords(l *lists) string {
	if l == nil {
		return ""
	}
	return fmt.Sprintf("%s (%d active), %s, %s, %s", count(len(l.all), "account", "accounts"), len(l.active), count(len(l.units), "unit", "units"),
		count(len(l.systems), "system", "systems"), count(len(l.admins), "administrator", "administrators"))
}

// checkRules holds the names in the rules against both sides.
func (a *App) checkRules(ctx context.Context, c *checks, directory *ldapsrc.Result, l *lists, reader *ppms.Reader) {
	settings := a.Config.Settings()
	members := make([]int, len(settings.Rules))
	if directory != nil {
		for i := range directory.Directory.People {
			for _, m := range directory.Directory.People[i].Rules {
				members[m.Rule]++
			}
		}
	}
	for i, rule := range settings.Rules {
		var names []string
		for _, selector := range rule.Systems {
			found := false
			for j := range l.systems {
				if selector.Matches(&l.systems[j]) {
					found = true
					names = append(names, l.systems[j].Name)
				}
			}
			if !found {
				c.fail("rule %s: no active system of PPMS is %s; the active ones are: %s", rule.Name, selector, systemNames(l.systems))
			}
		}
		switch {
		case directory == nil:
		case directory.Directory.Rules[i].Suspect != "":
			c.fail("rule %s: %s", rule.Name, directory.Directory.Rules[i].Suspect)
		case members[i] == 0:
			c.warn("rule %s: nobody is a member", rule.Name)
		case len(names) > 0:
			c.ok("rule %s: %s get %s on %s", rule.Name, count(members[i], "person", "people"), rule.Level, strings.Join(slices.Compact(names), ", "))
		}
	}
	systems := reconcile.RuledSystems(settings, l.systems, reconcile.Memory{})
	if len(systems) > 0 {
		_, err := reader.SystemRights(ctx, systems[0])
		c.note(err, "PPMS: the key may read rights")
	}
}

func systemNames(systems []reconcile.System) string {
	var names []string
	for i := range systems {
		if systems[i].Active {
			names = append(names, fmt.Sprintf("%s (%d)", systems[i].Name, systems[i].ID))
		}
	}
	return strings.Join(names, ", ")
}
