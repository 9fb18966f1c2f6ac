package ldapsrc_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
	"ppms-syncd/internal/reconcile"
)

// institute is a big directory: people, 500 groups, 50 of which hold groups, and one more with 20,000 members or everybody.
func institute(people int) []ldaptest.Entry {
	entries := ldaptest.Generate(ldaptest.GenOptions{People: people, Groups: 500, Nested: 50, Seed: 1})
	var members []string
	for _, e := range entries {
		if strings.HasSuffix(e.DN, ","+peopleBase) && len(members) < 20_000 {
			members = append(members, e.DN)
		}
	}
	return append(entries, groupOf("everybody", members...))
}

// instituteMapping uses what a facility would: expressions, rules with nested groups, a condition.
func instituteMapping(tb testing.TB) ldapsrc.Mapping {
	tb.Helper()
	m := mapping(ldapsrc.RuleSource{Name: "when", When: condition(tb, "'confocal-users' in groups && attr('employeeType') != 'guest'")})
	for _, g := range []string{"imaging-all", "campus-all", "nmr-users", "everybody"} {
		m.Rules = append(m.Rules, ldapsrc.RuleSource{Name: g, Group: g})
	}
	m.Fields[reconcile.Unit] = value(tb, "'em-users' in groups ? 'emlab' : attr('ou')")
	return m
}

// sizeJob is one whole read in a process of its own, whose memory can be told from that of the tests.
type sizeJob struct{ URL, ReaderDN, PasswordFile string }

const sizeJobVariable = "LDAPSRC_SIZE_JOB"

func (j sizeJob) config(tb testing.TB) ldapsrc.Config {
	tb.Helper()
	c := config(j.URL)
	c.PageSize, c.Timeout = 500, 10*time.Minute
	c.Bind = ldapsrc.Bind{Method: ldapsrc.Simple, DN: j.ReaderDN}
	c.Bind.Password.Path = j.PasswordFile
	c.Users.Disabled = condition(tb, ldapsrc.Profiles()[ldapsrc.OpenLDAP].Disabled)
	return c
}

// TestSizeJob does the job that the variable describes. It is no test by itself.
func TestSizeJob(t *testing.T) {
	text := os.Getenv(sizeJobVariable)
	if text == "" {
		t.Skip("only for the process that measures memory")
	}
	var job sizeJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	r := mustRead(t, job.config(t), instituteMapping(t), ldapsrc.Request{})
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, " kB")
	fmt.Printf("people %d peak %s\n", len(r.Directory.People), strings.TrimSpace(peak))
}

// peak runs the job in a process of its own and gives the most memory that it had, in MiB.
func (j sizeJob) peak(tb testing.TB, people int) float64 {
	tb.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run=^TestSizeJob$", "-test.v")
	cmd.Env = append(os.Environ(), sizeJobVariable+"="+string(text))
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	_, rest, _ := strings.Cut(string(out), fmt.Sprintf("people %d peak ", people))
	kib, err := strconv.Atoi(strings.SplitN(rest, "\n", 2)[0])
	if err != nil {
		tb.Fatalf("%s", out)
	}
	return float64(kib) / 1024
}

// tool runs the searches of a read with ldapsearch, which does nothing but print.
func (j sizeJob) tool(tb testing.TB, searches []*ldap.SearchRequest) {
	tb.Helper()
	for _, s := range searches {
		args := append([]string{"-x", "-LLL", "-H", j.URL, "-D", j.ReaderDN, "-y", j.PasswordFile, "-E", "pr=500/noprompt", "-b", s.BaseDN, s.Filter}, s.Attributes...)
		if out, err := exec.CommandContext(tb.Context(), "ldapsearch", args...).Output(); err != nil || bytes.Count(out, []byte("\ndn:")) < 400 {
			tb.Fatalf("ldapsearch: %v", err)
		}
	}
}

// bare runs them with the library, page by page, and throws the entries away.
func (j sizeJob) bare(tb testing.TB, password string, searches []*ldap.SearchRequest) {
	tb.Helper()
	conn, err := ldap.DialURL(j.URL)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(j.ReaderDN, password); err != nil {
		tb.Fatal(err)
	}
	for _, s := range searches {
		for cookie := []byte(nil); ; {
			paging := ldap.NewControlPaging(500)
			paging.SetCookie(cookie)
			page := *s
			page.Controls = []ldap.Control{paging}
			result, err := conn.Search(&page)
			if err != nil {
				tb.Fatal(err)
			}
			if cookie = ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging).Cookie; len(cookie) == 0 {
				break
			}
		}
	}
}

// BenchmarkReadInstitute reads big directories from a real slapd in three ways, in turn, and reports the quickest of each: with
// ldapsearch, with a bare loop of the library, and as we do, with all that mapping and groups need. The reader's entry is a
// group's member, so that each way gets the same.
func BenchmarkReadInstitute(b *testing.B) {
	for _, people := range []int{5_000, 50_000, 200_000} {
		b.Run(strconv.Itoa(people), func(b *testing.B) {
			s := slapdtest.StartSlapd(b, slapdtest.SlapdOptions{Entries: institute(people)})
			job := sizeJob{s.URL, s.ReaderDN, passwordFile(b, s.ReaderPassword).Path}
			cfg, m := job.config(b), instituteMapping(b)
			search := func(base, filter string, attributes ...string) *ldap.SearchRequest {
				return ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, 0, 0, 0, false, filter, attributes, nil)
			}
			searches := []*ldap.SearchRequest{
				search(groupBase, cfg.Groups.Filter, "cn", "member"),
				search(peopleBase, cfg.Users.Filter, "employeeType", "entryUUID", "givenName", "mail", "ou", "pwdAccountLockedTime", "pwdEndTime", "sn", "telephoneNumber", "uid"),
			}
			src, err := ldapsrc.New(cfg, m, zap.NewNop())
			if err != nil {
				b.Fatal(err)
			}
			var tool, bare, ours time.Duration
			least := func(best *time.Duration, do func()) {
				start := time.Now()
				do()
				if took := time.Since(start); *best == 0 || took < *best {
					*best = took
				}
			}
			for b.Loop() {
				least(&tool, func() { job.tool(b, searches) })
				least(&bare, func() { job.bare(b, s.ReaderPassword, searches) })
				least(&ours, func() {
					if r, err := src.Read(b.Context(), ldapsrc.Request{}); err != nil || len(r.Directory.People) != people {
						b.Fatal(err)
					}
				})
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(tool.Seconds()*1000, "ms-ldapsearch")
			b.ReportMetric(bare.Seconds()*1000, "ms-bare")
			b.ReportMetric(ours.Seconds()*1000, "ms-ours")
			b.ReportMetric(ours.Seconds()/bare.Seconds(), "ours/bare")
			b.ReportMetric(bare.Seconds()/tool.Seconds(), "bare/ldapsearch")
			b.ReportMetric(job.peak(b, people), "MiB-peak")
		})
	}
}
