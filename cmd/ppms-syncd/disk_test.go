//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"ppms-syncd/internal/ldapsrc/ldaptest"
	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/proof"
	"ppms-syncd/internal/secret"
)

// bench is a small facility with everything around it.
type bench struct {
	*post

	directory *ldaptest.Server
	sim       *ppmssim.Sim
	mu        sync.Mutex
	on        func(form string) // called before PPMS works on a request
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the program")
	}
	b := &bench{}
	var address string
	b.directory, address = startDirectory(t, morning())
	var err error
	b.sim, err = ppmssim.New(ppmssim.Options{Key: secret.New(pumapiKey), Seed: lab()})
	must(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		b.mu.Lock()
		on := b.on
		b.mu.Unlock()
		if on != nil {
			on(string(body))
		}
		b.sim.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b.post = newPost(t, build(t), map[string]string{"LDAP_URL": address, "PPMS_URL": server.URL + "/pumapi/"}, bindPassword, overlayOf(t, sweepConfig))
	return b
}

// watch is told of each request before PPMS is.
func (b *bench) watch(on func(form string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on = on
}

// fails runs apply, which must end with one of these codes and say that.
func (b *bench) fails(t *testing.T, says string, codes ...int) {
	t.Helper()
	var log bytes.Buffer
	cmd := b.command(t, &log, "apply")
	_ = cmd.Run() // how it ended is seen below
	for _, code := range codes {
		if cmd.ProcessState.ExitCode() == code && strings.Contains(log.String(), says) {
			return
		}
	}
	t.Errorf("it ended with %d, not %v, and did not say %q:\n%s", cmd.ProcessState.ExitCode(), codes, says, last(log.Bytes()))
}

// recovers runs apply twice (who left must be missed twice), which must succeed and leave nothing to do, and holds all writes so far against what was promised.
func (b *bench) recovers(t *testing.T) {
	t.Helper()
	b.run(t, 0, "apply")
	b.run(t, 0, "apply")
	b.run(t, 0, "plan", "--exit-code")
	m := b.look(t)
	if broken := proof.Check(proof.Case{Before: lab(), Effects: b.sim.Effects(), Journal: m.journal, Managed: m.managed, Protected: protected}); len(broken) > 0 {
		t.Errorf("broken promises:\n%s", strings.Join(broken, "\n"))
	}
}

// mounted puts the ledger on a small file system of its own.
func (b *bench) mounted(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(b.dir, "var")
	must(t, os.Mkdir(dir, 0o700))
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=2m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs the right to mount: %v", err)
		}
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	config, err := os.ReadFile(filepath.Join(b.dir, "config.yaml"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(b.dir, "config.yaml"), bytes.ReplaceAll(config, []byte("/ledger.db"), []byte("/var/ledger.db")), 0o600))
	must(t, os.Symlink("var/ledger.db", filepath.Join(b.dir, "ledger.db"))) // where look expects it
	return dir
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := b.mounted(t)
	b.run(t, 0, "apply")
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	must(t, ballast.Close())
	b.directory.SetEntries(evening())
	before := len(b.sim.Effects())
	b.fails(t, "no space", 1, 4)
	if n := len(b.sim.Effects()) - before; n > 1 {
		t.Errorf("%d writes went on without a journal", n)
	}
	must(t, os.Remove(ballast.Name()))
	b.recovers(t)
}

func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := b.mounted(t)
	b.run(t, 0, "apply")
	must(t, syscall.Mount("none", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=2m"))
	b.directory.SetEntries(evening())
	before := len(b.sim.Effects())
	b.fails(t, "read-only", 1)
	if n := len(b.sim.Effects()) - before; n > 0 {
		t.Errorf("%d writes went on without a journal", n)
	}
	b.run(t, 2, "plan", "--exit-code") // to look is still possible
	must(t, syscall.Mount("none", dir, "", syscall.MS_REMOUNT, "size=2m"))
	b.recovers(t)
}

func TestDamagedLedger(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run(t, 0, "apply")
	file := filepath.Join(b.dir, "ledger.db")
	good, err := os.ReadFile(file)
	must(t, err)
	wal, err := os.ReadFile(file + "-wal")
	must(t, err)
	must(t, os.WriteFile(file, append(bytes.Repeat([]byte{0xa5}, 8192), good[8192:]...), 0o600))
	must(t, os.WriteFile(file+"-wal", nil, 0o600))
	b.directory.SetEntries(evening())
	before := len(b.sim.Effects())
	b.fails(t, "ledger.db", 1)
	if n := len(b.sim.Effects()) - before; n > 0 {
		t.Errorf("%d writes without a ledger", n)
	}
	must(t, os.WriteFile(file, good, 0o600)) // a backup is put in its place
	must(t, os.WriteFile(file+"-wal", wal, 0o600))
	b.recovers(t)
}

// impatient is a configuration with a short ppms.timeout, which only a run may have that is to outlast it: others may wait for the processor.
func (b *bench) impatient(t *testing.T) (name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "config.yaml"))
	must(t, err)
	config := map[string]any{}
	must(t, yaml.Unmarshal(text, &config))
	overlay(config, overlayOf(t, "ppms: {timeout: 1s}"))
	text, err = yaml.Marshal(config)
	must(t, err)
	name = "impatient.yaml"
	must(t, os.WriteFile(filepath.Join(b.dir, name), text, 0o600))
	return name
}

// Stopped in the middle of a write for longer than any timeout, while another tries to begin.
func TestStoppedForAWhile(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"action=getusers", "action=newuser", "action=setright", "action=getsysrights"} {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var log bytes.Buffer
			cmd := b.command(t, &log, "apply", "--config", b.impatient(t))
			started, arrived, once := make(chan struct{}), make(chan struct{}), sync.Once{}
			b.watch(func(form string) {
				if strings.Contains(form, request) {
					once.Do(func() {
						<-started
						must(t, cmd.Process.Signal(syscall.SIGSTOP))
						_, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WUNTRACED, nil) // its threads stop one after the other
						must(t, err)
						close(arrived)
					})
				}
			})
			must(t, cmd.Start())
			close(started)
			<-arrived
			b.fails(t, "another run is under way (process", 1)
			<-time.After(1500 * time.Millisecond) // longer than ppms.timeout; nothing can be waited for while it stands still
			must(t, cmd.Process.Signal(syscall.SIGCONT))
			_ = cmd.Wait() // what it made of it is seen below
			b.recovers(t)
		})
	}
}

// TestBackupToNobody: who reads a backup may go away, which ends the program where it stands. No copy is left behind.
func TestBackupToNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run(t, 0, "apply")
	reader, writer, err := os.Pipe()
	must(t, err)
	must(t, reader.Close())
	var log bytes.Buffer
	cmd := b.command(t, &log, "backup", "-")
	cmd.Stdout = writer
	_ = cmd.Run() // a signal has ended it
	must(t, writer.Close())
	if status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGPIPE {
		t.Errorf("%v %s", cmd.ProcessState, log.String())
	}
	left, err := filepath.Glob(filepath.Join(b.dir, "backup-*"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
