//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecretsStay looks at the program from outside while it runs and after it died badly: no secret is in its environment, its
// arguments or its trace, others of its user may not read its memory, and it leaves no core.
func TestSecretsStay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	asked := make(chan struct{}, 1)
	silent := silence(t, asked)
	_, address := startDirectory(t, morning())
	p := newPost(t, build(t), map[string]string{"LDAP_URL": address, "PPMS_URL": "http://" + silent + "/pumapi/"}, bindPassword, nil)
	var log bytes.Buffer
	cmd := p.command(t, &log, "apply", "--log-level", "debug")
	cmd.Args = append([]string{"sh", "-c", `ulimit -c unlimited; exec "$0" "$@"`, p.program}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash") // a Go program leaves a core only if asked to
	if os.Geteuid() == 0 {                              // as root, nothing would show who may read its memory
		p.belongsTo(t, nobody)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-asked: // it has both secrets now
	case err := <-ended:
		t.Fatalf("it ended before it asked: %v\n%s", err, last(log.Bytes()))
	}
	for _, name := range []string{"environ", "cmdline"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, name))
		if err == nil && (strings.Contains(string(data), pumapiKey) || strings.Contains(string(data), bindPassword)) {
			t.Errorf("/proc/PID/%s has a secret", name)
		}
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d/mem", cmd.Process.Pid))
	must(t, err)
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 0 {
		t.Errorf("/proc/PID/mem belongs to user %d: whatever else runs as that user may read it", owner.Uid)
	}
	must(t, cmd.Process.Signal(syscall.SIGQUIT))
	<-ended // it dies of it
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.CoreDump() {
		t.Errorf("it ended with %v", cmd.ProcessState)
	}
	if !strings.Contains(log.String(), "goroutine ") {
		t.Errorf("there is no trace, so this proves nothing of it: %s", last(log.Bytes()))
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "stderr"), log.Bytes(), 0o600))
	if err := findSecrets(p.dir); err != nil {
		t.Error(err)
	}
}

const nobody = 65534

// belongsTo gives the folder away.
func (p *post) belongsTo(t *testing.T, user int) {
	t.Helper()
	must(t, os.Chmod(filepath.Dir(p.dir), 0o755))
	must(t, filepath.WalkDir(p.dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, user, user))
	}))
}

// silence takes connections and never answers.
func silence(t *testing.T, asked chan<- struct{}) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends with the test
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			if n, err := conn.Read(make([]byte, 1)); n == 1 && err == nil {
				select {
				case asked <- struct{}{}:
				default:
				}
			}
		}
	}()
	return listener.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
