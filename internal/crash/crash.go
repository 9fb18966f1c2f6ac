//go:build linux && amd64

// Package crash runs a program as it is shipped and decides at each system call by which it touches the world what becomes of it:
// it goes on, it is killed there, the power fails, or the call fails. It is for tests, and uses ptrace, so that the program needs no
// hook for it.
//
// What touches the world are writes, syncs and truncations of the watched files, and connects, sends and receives. They are counted
// over all threads, in the order in which the kernel sees them.
package crash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// Touch is one moment at which the program touches the world.
type Touch struct {
	N     int    // from 1
	Call  string // "pwrite", "sync", "truncate", "connect", "send" or "receive"
	File  string // base name of the watched file; "" for the network
	After bool   // the call has done its work; else it is about to
}

// String is for logs.
func (t Touch) String() string {
	when := "before"
	if t.After {
		when = "after"
	}
	return fmt.Sprintf("%s %s %s (%d)", when, t.Call, t.File, t.N)
}

// Act is what becomes of the program at a touch. The zero value lets it go on.
type Act struct {
	Kill  bool          // SIGKILL: what was written stays, synced or not
	Power bool          // SIGKILL, and of the watched files all is undone that was not synced
	Fail  syscall.Errno // the call does nothing and fails; only before it
}

// Program is what is run.
type Program struct {
	Path  string
	Args  []string // without the name
	Dir   string
	Env   []string
	Out   *os.File // what it prints
	Watch string   // prefix of the base names of the files that are watched
}

// Run runs the program to its end, and returns how that was and how many touches there were.
func Run(p Program, decide func(Touch) Act) (syscall.WaitStatus, int, error) {
	runtime.LockOSThread() // the thread that starts the program is the one that may trace it
	defer runtime.UnlockOSThread()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = null.Close() }()
	pid, err := syscall.ForkExec(p.Path, append([]string{p.Path}, p.Args...), &syscall.ProcAttr{
		Dir: p.Dir, Env: p.Env, Files: []uintptr{null.Fd(), p.Out.Fd(), p.Out.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return 0, 0, err
	}
	t := &tracer{Program: p, pid: pid, decide: decide, names: calls(), calls: map[int]call{}, unsynced: map[string][]image{}}
	end, err := t.run()
	return end, t.touches, err
}

// call is a system call under way in one thread.
type call struct {
	name string // "" is none of ours
	path string
	fail syscall.Errno
}

// image is what a part of a file was before a write that is not synced yet.
type image struct {
	offset, size int64
	old          []byte
}

type tracer struct {
	Program

	pid      int
	decide   func(Touch) Act
	names    map[int]string // of system calls, by number
	calls    map[int]call   // by thread
	touches  int
	unsynced map[string][]image
	dead     bool
	power    bool
}

const (
	allThreads = 0x40000000 // __WALL
	options    = syscall.PTRACE_O_TRACESYSGOOD | syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACEEXEC | traceSeccomp | exitKill

	traceSeccomp, exitKill = 0x80, 0x100000
	seccompEvent           = 7
	prctl                  = syscall.SYS_PRCTL
)

// run follows all threads until the last one has ended.
func (t *tracer) run() (end syscall.WaitStatus, err error) {
	for started := false; ; {
		thread, waitErr := syscall.Wait4(-t.pid, &end, allThreads, nil)
		switch {
		case errors.Is(waitErr, syscall.EINTR):
			continue
		case waitErr != nil:
			return end, errors.Join(err, waitErr)
		case thread == t.pid && (end.Exited() || end.Signaled()):
			if t.power {
				err = errors.Join(err, t.undo())
			}
			return end, err
		case !end.Stopped():
			continue
		}
		var failed error
		if started {
			failed = t.resume(thread, end)
		} else {
			started = true
			failed = errors.Join(syscall.PtraceSetOptions(thread, options), filter(thread), syscall.PtraceCont(thread, 0))
		}
		if failed != nil && !errors.Is(failed, syscall.ESRCH) { // ESRCH: it is ending
			err = errors.Join(err, failed)
			_ = syscall.Kill(t.pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
}

// resume looks at why a thread stopped and lets it go on.
func (t *tracer) resume(thread int, status syscall.WaitStatus) error {
	switch stop := status.StopSignal(); {
	case stop == syscall.SIGTRAP && status.TrapCause() == seccompEvent:
		return errors.Join(t.enter(thread), syscall.PtraceSyscall(thread, 0)) // to see it leave
	case stop == syscall.SIGTRAP|0x80:
		return errors.Join(t.leave(thread), syscall.PtraceCont(thread, 0))
	case stop == syscall.SIGTRAP, stop == syscall.SIGSTOP: // of the tracing itself
		return syscall.PtraceCont(thread, 0)
	default:
		return syscall.PtraceCont(thread, int(stop))
	}
}

// enter decides before the call does anything.
func (t *tracer) enter(thread int) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &regs); err != nil {
		return err
	}
	args := [6]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10}
	c := t.classify(int(regs.Orig_rax), args)
	t.calls[thread] = c
	if c.name == "" || c.name == "receive" {
		return nil
	}
	if err := t.keep(&c, args); err != nil {
		return err
	}
	if c.fail = t.touch(c, false).Fail; c.fail == 0 {
		return nil
	}
	t.calls[thread] = c
	regs.Orig_rax = ^uint64(0) // no system call has this number
	return syscall.PtraceSetRegs(thread, &regs)
}

// leave decides when the call has done its work.
func (t *tracer) leave(thread int) error {
	c := t.calls[thread]
	delete(t.calls, thread)
	if c.name == "" {
		return nil
	}
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &regs); err != nil {
		return err
	}
	switch {
	case c.fail != 0:
		regs.Rax = uint64(-int64(c.fail))
		return syscall.PtraceSetRegs(thread, &regs)
	case int64(regs.Rax) < 0:
	case c.name == "sync":
		delete(t.unsynced, c.path)
		t.touch(c, true)
	case c.name == "send", c.name == "receive":
		t.touch(c, true)
	}
	return nil
}

// calls are the system calls that we look at.
func calls() map[int]string {
	return map[int]string{
		syscall.SYS_PWRITE64: "pwrite", syscall.SYS_FSYNC: "sync", syscall.SYS_FDATASYNC: "sync", syscall.SYS_FTRUNCATE: "truncate",
		syscall.SYS_CONNECT: "connect", syscall.SYS_WRITE: "send", syscall.SYS_SENDTO: "send", syscall.SYS_READ: "receive",
		syscall.SYS_RECVFROM: "receive",
	}
}

// filter makes the kernel stop the program at those alone, which is several times as fast as to stop at all. The program has just
// been loaded and has not run yet, so that it can be made to execute one instruction for us: the system call that does it. A prctl
// only seems to work: with it the program would make itself private, and we could not see what its files are.
func filter(thread int) error {
	const load, jumpEqual, give, trace, allow, pretend = 0x20, 0x15, 0x06, 0x7ff00000, 0x7fff0000, 0x00050000
	numbers := slices.Sorted(maps.Keys(calls()))
	rules := []syscall.SockFilter{{Code: load}, {Code: jumpEqual, Jt: uint8(len(numbers) + 2), K: prctl}}
	for i, n := range numbers {
		rules = append(rules, syscall.SockFilter{Code: jumpEqual, Jt: uint8(len(numbers) - i), K: uint32(n)})
	}
	rules = append(rules, syscall.SockFilter{Code: give, K: allow}, syscall.SockFilter{Code: give, K: trace},
		syscall.SockFilter{Code: give, K: pretend})
	var before syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &before); err != nil {
		return err
	}
	at := before.Rsp - 4096
	memory := binary.LittleEndian.AppendUint64(nil, uint64(len(rules)))
	memory = binary.LittleEndian.AppendUint64(memory, at+16)
	for _, r := range rules {
		memory = append(binary.LittleEndian.AppendUint16(memory, r.Code), r.Jt, r.Jf)
		memory = binary.LittleEndian.AppendUint32(memory, r.K)
	}
	if _, err := syscall.PtracePokeData(thread, uintptr(at), memory); err != nil {
		return err
	}
	const noNewPrivileges, seccomp, setFilter = 38, 317, 1
	for _, call := range [][5]uint64{{prctl, noNewPrivileges, 1, 0, 0}, {seccomp, setFilter, 0, at, 0}} {
		if err := inject(thread, before, call); err != nil {
			return err
		}
	}
	return nil
}

// inject makes a stopped thread do one system call and leaves it as it was.
func inject(thread int, before syscall.PtraceRegs, call [5]uint64) error {
	instruction := make([]byte, 2)
	if _, err := syscall.PtracePeekText(thread, uintptr(before.Rip), instruction); err != nil {
		return err
	}
	if _, err := syscall.PtracePokeText(thread, uintptr(before.Rip), []byte{0x0f, 0x05}); err != nil {
		return err
	}
	regs := before
	regs.Rax, regs.Orig_rax = call[0], ^uint64(0)
	regs.Rdi, regs.Rsi, regs.Rdx, regs.R10 = call[1], call[2], call[3], call[4]
	if err := errors.Join(syscall.PtraceSetRegs(thread, &regs), syscall.PtraceSingleStep(thread)); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(thread, &status, allThreads, nil); err != nil {
		return err
	}
	err := syscall.PtraceGetRegs(thread, &regs)
	if result := int64(regs.Rax); err == nil && result != 0 {
		err = fmt.Errorf("system call %d in the program: %w", call[0], syscall.Errno(-result))
	}
	_, poked := syscall.PtracePokeText(thread, uintptr(before.Rip), instruction)
	return errors.Join(err, poked, syscall.PtraceSetRegs(thread, &before))
}

// classify says what a system call is to us.
func (t *tracer) classify(number int, args [6]uint64) call {
	name, ours := t.names[number]
	if !ours {
		return call{}
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, int32(args[0])))
	socket, watched := strings.HasPrefix(path, "socket:"), strings.HasPrefix(filepath.Base(path), t.Watch)
	network := name == "connect" || name == "send" || name == "receive"
	switch {
	case err != nil, network && !socket, !network && !watched:
		return call{}
	case network:
		path = ""
	}
	return call{name: name, path: path}
}

func (t *tracer) touch(c call, after bool) Act {
	if t.dead {
		return Act{}
	}
	t.touches++
	touch := Touch{N: t.touches, Call: c.name, After: after}
	if c.path != "" {
		touch.File = filepath.Base(c.path)
	}
	act := t.decide(touch)
	if act.Kill || act.Power {
		t.dead, t.power = true, act.Power
		_ = syscall.Kill(t.pid, syscall.SIGKILL) // it may have ended by itself
	}
	return act
}

// keep remembers what a write is about to replace.
func (t *tracer) keep(c *call, args [6]uint64) error {
	if c.name != "pwrite" && c.name != "truncate" {
		return nil
	}
	info, err := os.Stat(c.path)
	if err != nil {
		return err
	}
	i := image{offset: int64(args[3]), size: info.Size()}
	length := int64(args[2])
	if c.name == "truncate" {
		i.offset = int64(args[1])
		length = max(0, i.size-i.offset)
	}
	file, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	i.old = make([]byte, max(0, min(length, i.size-i.offset)))
	if _, err := file.ReadAt(i.old, i.offset); err != nil && len(i.old) > 0 {
		return err
	}
	t.unsynced[c.path] = append(t.unsynced[c.path], i)
	return nil
}

// undo takes the watched files back to what was synced.
func (t *tracer) undo() error {
	for path, images := range t.unsynced {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, i := range slices.Backward(images) {
			if grow := i.size - int64(len(data)); grow > 0 {
				data = append(data, make([]byte, grow)...)
			}
			data = data[:i.size]
			if len(i.old) > 0 {
				copy(data[i.offset:], i.old)
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
