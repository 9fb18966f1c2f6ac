//go:build linux && amd64

package crash

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain is also the program that is traced: it writes "one", syncs, writes "two", and replaces "one" by "three".
func TestMain(m *testing.M) {
	if path := os.Getenv("VICTIM"); path != "" {
		os.Exit(victim(path))
	}
	os.Exit(m.Run())
}

func victim(path string) int {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 1
	}
	write := func(text string, at int64) {
		if _, e := file.WriteAt([]byte(text), at); e != nil {
			err = e
		}
	}
	write("one", 0)
	if file.Sync() != nil {
		return 2
	}
	write("two", 3)
	write("three", 0)
	if err != nil {
		return 3
	}
	return 0
}

func run(t *testing.T, decide func(Touch) Act) (syscall.WaitStatus, int, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "watched.txt")
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	end, touches, err := Run(Program{
		Path: os.Args[0], Dir: dir, Env: []string{"VICTIM=" + path, "GORACE=atexit_sleep_ms=0"}, Out: out, Watch: "watched",
	}, decide)
	if err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(path)
	return end, touches, string(content)
}

func TestUndisturbed(t *testing.T) {
	end, touches, content := run(t, func(Touch) Act { return Act{} })
	if end.ExitStatus() != 0 || touches != 5 || content != "threeo" {
		t.Errorf("ended with %d after %d touches: %q", end.ExitStatus(), touches, content)
	}
}

func TestKilledAndPowerCut(t *testing.T) {
	for n, want := range []struct{ kill, power string }{
		{"", ""}, {"one", ""}, {"one", "one"}, {"one", "one"}, {"onetwo", "one"},
	} {
		at := func(act Act) func(Touch) Act {
			return func(t Touch) Act {
				if t.N == n+1 {
					return act
				}
				return Act{}
			}
		}
		end, _, content := run(t, at(Act{Kill: true}))
		if end.Signal() != syscall.SIGKILL || content != want.kill {
			t.Errorf("killed at %d: %v, %q", n+1, end, content)
		}
		end, _, content = run(t, at(Act{Power: true}))
		if end.Signal() != syscall.SIGKILL || content != want.power {
			t.Errorf("power cut at %d: %v, %q", n+1, end, content)
		}
	}
}

func TestFailingCalls(t *testing.T) {
	end, _, content := run(t, func(t Touch) Act {
		if t.Call == "sync" {
			return Act{Fail: syscall.EIO}
		}
		return Act{}
	})
	if end.ExitStatus() != 2 || content != "one" {
		t.Errorf("ended with %d: %q", end.ExitStatus(), content)
	}
	end, _, content = run(t, func(t Touch) Act {
		if t.N == 4 {
			return Act{Fail: syscall.ENOSPC}
		}
		return Act{}
	})
	if end.ExitStatus() != 3 || content != "three" {
		t.Errorf("ended with %d: %q", end.ExitStatus(), content)
	}
}
