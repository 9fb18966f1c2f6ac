// Package process runs server programs for tests: found or skipped, started and waited for, stopped by the one that started them.
// Should the test itself be killed, they end by themselves.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	lifetime = "3600"           // seconds after which a server ends whatever happens, as go test does
	patience = 3 * time.Minute  // until a server listens
	farewell = 10 * time.Second // until it has stopped
	step     = 3 * time.Millisecond
)

var errEnded = errors.New("it ended at once")

// Need skips the test if a program is missing, or fails it if CI=true.
func Need(tb testing.TB, packages string, programs ...string) {
	tb.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Missing(tb, fmt.Sprintf("%s is missing: install %s", p, packages))
		}
	}
}

// Missing skips the test because something is not there, or fails it if CI=true.
func Missing(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatal(why)
	}
	tb.Skip(why)
}

// TempDir is short: the path of a socket has about 100 bytes, and TB.TempDir spends them on the test's name.
func TempDir(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", name) //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Run waits for a program that ends by itself, and gives what it printed.
func Run(tb testing.TB, name string, args ...string) (output string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput() //nolint:gosec // what a test wants to run
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Start runs a server until the end of the test, and waits until it listens on all addresses, of which one with a slash is the path
// of a socket. It fails if the server ends before: somebody else may have taken its port. Such a port answers, too, perhaps before the
// server has found out, so that the last address should be one that nobody else can have, if there is any.
func Start(tb testing.TB, addresses []string, name string, args ...string) error {
	tb.Helper()
	var log bytes.Buffer
	cmd := exec.Command("timeout", append([]string{"-k", "5", lifetime, name}, args...)...) //nolint:noctx,gosec // it is stopped by its own cleanup
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // timeout passes it on
		select {
		case <-ended:
		case <-time.After(farewell):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // timeout has made a group of both
			<-ended
		}
	}
	if err := await(ended, addresses); err != nil {
		stop()
		return fmt.Errorf("%s: %w\n%s", name, err, log.String())
	}
	tb.Cleanup(stop)
	return nil
}

// await dials until a server listens. It answers what is sent to it from then on.
func await(ended <-chan struct{}, addresses []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, address := range addresses {
		network := "tcp"
		if strings.Contains(address, "/") {
			network = "unix"
		}
		for {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				_ = c.Close()
				break
			}
			select {
			case <-time.After(step):
			case <-ended:
				return errEnded
			case <-ctx.Done():
				return err
			}
		}
	}
	select {
	case <-ended: // somebody else has the port, and answered
		return errEnded
	default:
		return nil
	}
}

// Retry starts a server until it succeeds: a free port may be taken by somebody else before the server has it.
func Retry(tb testing.TB, start func() error) {
	tb.Helper()
	const attempts = 5
	for i := range attempts {
		err := start()
		if err == nil {
			return
		}
		if i == attempts-1 {
			tb.Fatal(err)
		}
	}
}

// FreeAddress is one of 127.0.0.1 on which nobody listens now.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
