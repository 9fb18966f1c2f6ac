package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

// stage is what a script plays on: a directory, a PPMS in this process, and a simulator in one of its own.
type stage struct {
	directory *ldaptest.Server
	entries   []ldaptest.Entry
	ppms      *ppmssim.Sim
	writes    int // of ppms that were shown
	sim       *exec.Cmd
	simOut    *bufio.Reader
}

type stageKey struct{}

func on(ts *testscript.TestScript) *stage {
	s, ok := ts.Value(stageKey{}).(*stage)
	if !ok {
		ts.Fatalf("setup did not run")
	}
	return s
}

func ldapStart(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: ldap-start FILE.ldif")
	}
	s := on(ts)
	var err error
	s.entries, err = ldaptest.ParseLDIF(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	s.directory = ldaptest.New(ldaptest.Options{Entries: s.entries, BindDN: bindDN, Password: bindPassword})
	url, err := s.directory.Start()
	ts.Check(err)
	ts.Defer(s.directory.Close)
	ts.Setenv("LDAP_URL", url)
}

// ldapSet gives an entry other values of an attribute, and makes the entry if there is none.
func ldapSet(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: ldap-set RDN ATTRIBUTE VALUE…")
	}
	s, dn := on(ts), args[0]+","+suffix
	changed := ldaptest.Entry{DN: dn, Attrs: map[string][]string{}}
	i := slices.IndexFunc(s.entries, func(e ldaptest.Entry) bool { return e.DN == dn })
	if i >= 0 {
		changed.Attrs = maps.Clone(s.entries[i].Attrs)
	}
	changed.Attrs[args[1]] = args[2:]
	s.entries = slices.Clone(s.entries)
	if i >= 0 {
		s.entries[i] = changed
	} else {
		s.entries = append(s.entries, changed)
	}
	s.directory.SetEntries(s.entries)
}

// ldapDelete removes entries.
func ldapDelete(ts *testscript.TestScript, _ bool, args []string) {
	s := on(ts)
	before := len(s.entries)
	s.entries = slices.DeleteFunc(slices.Clone(s.entries), func(e ldaptest.Entry) bool {
		return slices.Contains(args, strings.TrimSuffix(e.DN, ","+suffix))
	})
	if len(s.entries) != before-len(args) {
		ts.Fatalf("there is no such entry")
	}
	s.directory.SetEntries(s.entries)
}

// ldapFault ends searches below a base with a result code; without arguments all is well again.
func ldapFault(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		on(ts).directory.SetFaults()
		return
	}
	if len(args) != 2 {
		ts.Fatalf("usage: ldap-fault [RDN CODE]")
	}
	code, err := strconv.Atoi(args[1])
	ts.Check(err)
	on(ts).directory.SetFaults(ldaptest.Fault{Base: args[0] + "," + suffix, Do: ldaptest.Result(code).After(1)})
}

func ppmsStart(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("give a seed")
	}
	seed, err := ppmssim.ReadSeed(ts.MkAbs(args[0]))
	ts.Check(err)
	sim, err := ppmssim.New(ppmssim.Options{Key: secret.New(pumapiKey), Seed: seed})
	ts.Check(err)
	url, stop, err := sim.Start()
	ts.Check(err)
	ts.Defer(stop)
	on(ts).ppms = sim
	ts.Setenv("PPMS_URL", url)
}

// ppmsUser changes an account as staff do; "gone" removes it.
func ppmsUser(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: ppms-user LOGIN gone | FIELD=VALUE…")
	}
	ppms := on(ts).ppms
	if args[1] == "gone" {
		ppms.DeleteUser(args[0])
		return
	}
	u, exists := ppms.User(args[0])
	if !exists {
		u = ppmssim.User{Login: args[0], Active: true}
	}
	for _, arg := range args[1:] {
		switch field, value, _ := strings.Cut(arg, "="); field {
		case "lname":
			u.Lname = value
		case "fname":
			u.Fname = value
		case "email":
			u.Email = value
		case "unitlogin":
			u.Unitlogin = value
		case "active":
			u.Active = value == "true"
		case "admin":
			u.Admin = value == "true"
		default:
			ts.Fatalf("no field %q", field)
		}
	}
	ppms.PutUser(u)
}

func ppmsRight(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: ppms-right LOGIN SYSTEM LEVEL")
	}
	system, err := strconv.Atoi(args[1])
	ts.Check(err)
	on(ts).ppms.SetRight(args[0], system, args[2])
}

func ppmsFault(ts *testscript.TestScript, _ bool, args []string) {
	var faults []ppmssim.Fault
	for _, spec := range args {
		f, err := ppmssim.ParseFault(spec)
		ts.Check(err)
		faults = append(faults, f)
	}
	on(ts).ppms.SetFaults(faults)
}

// ppmsWrites prints the write requests since it was last asked.
func ppmsWrites(ts *testscript.TestScript, _ bool, _ []string) {
	s := on(ts)
	all := s.ppms.Effects()
	if len(all) == s.writes {
		_, err := fmt.Fprintln(ts.Stdout(), "no writes")
		ts.Check(err)
	}
	for _, e := range all[s.writes:] {
		line := e.Action
		for _, name := range slices.Sorted(maps.Keys(e.Params)) {
			line += " " + name + "=" + e.Params[name]
		}
		_, err := fmt.Fprintln(ts.Stdout(), line)
		ts.Check(err)
	}
	s.writes = len(all)
}

// simStart runs ppms-syncd sim until it says where it listens, and prints that. PPMS_URL is its address.
func simStart(ts *testscript.TestScript, _ bool, args []string) {
	s := on(ts)
	s.sim = exec.CommandContext(context.Background(), "ppms-syncd", append([]string{"sim", "--listen", "127.0.0.1:0"}, args...)...)
	s.sim.Dir, s.sim.Env = ts.MkAbs("."), append(os.Environ(), "TRANSCRIPT="+ts.Getenv("TRANSCRIPT"), "GORACE="+ts.Getenv("GORACE"))
	out, err := s.sim.StdoutPipe()
	ts.Check(err)
	ts.Check(s.sim.Start())
	ts.Defer(func() { _ = s.sim.Process.Kill() })
	s.simOut = bufio.NewReader(out)
	lines := 2
	if slices.Contains(args, "--api-key-file") {
		lines = 1
	}
	for range lines {
		line, err := s.simOut.ReadString('\n')
		ts.Check(err)
		_, err = fmt.Fprint(ts.Stdout(), line)
		ts.Check(err)
		if _, url, ok := strings.Cut(strings.TrimSpace(line), " at "); ok {
			ts.Setenv("PPMS_URL", url)
		}
	}
}

// simStop sends SIGTERM and wants the simulator to end in time and without complaint.
func simStop(ts *testscript.TestScript, _ bool, _ []string) {
	s := on(ts)
	ts.Check(s.sim.Process.Signal(syscall.SIGTERM))
	late := time.AfterFunc(time.Minute, func() { _ = s.sim.Process.Kill() })
	defer late.Stop()
	if err := s.sim.Wait(); err != nil {
		ts.Fatalf("the simulator did not end well: %v", err)
	}
}

// lockRun holds the lock that a run takes, as another run would, until the script ends.
func lockRun(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: lock-run LEDGER")
	}
	lock, err := ledger.LockRun(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { _ = lock.Unlock() })
	ts.Setenv("PID", strconv.Itoa(os.Getpid()))
}
