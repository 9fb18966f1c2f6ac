//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"ppms-syncd/internal/daemon"
)

// newTerminal makes a terminal: what is written to keyboard is typed at screen.
func newTerminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	var locked, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &locked, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { _ = screen.Close() })
	return keyboard, screen
}

// TestQuestionAtATerminal: who is there and does not say yes has said no, for forget goes on where nobody is.
func TestQuestionAtATerminal(t *testing.T) {
	t.Parallel()
	const endOfInput = "\x04"
	for typed, want := range map[string]daemon.Answer{"yes\n": daemon.Yes, "\n": daemon.No, "sure\n": daemon.No, endOfInput: daemon.No} {
		keyboard, screen := newTerminal(t)
		_, err := keyboard.WriteString(typed)
		must(t, err)
		p := &program{streams: streams{screen, screen, screen}}
		if got := p.terminal(t.Context()).Ask("Forget bauer?"); got != want {
			t.Errorf("%q: %v, want %v", typed, got, want)
		}
	}
}

// TestInterruptedQuestion: Ctrl-C ends the wait for an answer, during which a lock may be held.
func TestInterruptedQuestion(t *testing.T) {
	t.Parallel()
	keyboard, screen := newTerminal(t)
	p := &program{streams: streams{screen, screen, screen}}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := p.terminal(ctx).Ask("Forget bauer?"); got != daemon.No {
		t.Errorf("%v", got)
	}
	_, err := keyboard.WriteString("\n") // ends what still reads
	must(t, err)
}
