//go:build linux && amd64

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestStrace disturbs the program with a tool that others have made, as a spot check of the sweep's own tracer: strace kills it at the
// n-th call of a kind, or lets that fail. It counts in each thread, so that several may be struck. The checker is the sweep's.
func TestStrace(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := anyDay(t, build(t))
	s.want = s.play(t, nil)
	var struck atomic.Int64
	for _, point := range []string{
		"pwrite64:signal=KILL:when=1", "pwrite64:signal=KILL:when=7", "pwrite64:error=EIO:when=2", "pwrite64:error=ENOSPC:when=5",
		"fsync,fdatasync:signal=KILL:when=1", "fsync,fdatasync:error=EIO:when=1", "fsync,fdatasync:error=ENOSPC:when=2",
		"write:signal=KILL:when=3", "write:signal=KILL:when=9", "connect:error=ETIMEDOUT:when=1",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			got := s.play(t, func(p *post, out *os.File) error { return p.straced(t.Context(), strace, point, out) })
			s.compare(t, point, &got)
			struck.Add(1)
		})
	}
	t.Cleanup(func() { record(t, "strace", fmt.Sprintf("%d points", struck.Load())) })
}

// straced runs apply under strace, which must have found something to strike.
func (p *post) straced(ctx context.Context, strace, point string, out *os.File) error {
	log := filepath.Join(p.dir, "strace")
	calls, _, _ := strings.Cut(point, ":")
	cmd := exec.CommandContext(ctx, strace, "-f", "-qq", "-o", log, "-e", "trace="+calls, "-e", "inject="+point, p.program, "--config", "config.yaml", "apply")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = p.dir, out, out, time.Minute
	_ = cmd.Run() // how it ended is seen in what strace says
	said, err := os.ReadFile(log)
	if err == nil && !bytes.Contains(said, []byte("(INJECTED)")) && !bytes.Contains(said, []byte("killed by SIGKILL")) {
		err = fmt.Errorf("strace found nothing to strike: %s", last(said))
	}
	return err
}
