package ledger

import (
	"os"
	"runtime"
	"syscall"
)

// asOwner opens files as the owner of their directory, where root does it in a directory of somebody else, such as an
// administrator beside the service: what is made belongs to that one, and what lies there can lead root nowhere that the
// owner could not go. It changes the file access of this thread only; root's own files can be read by all others meanwhile.
func asOwner(dir string, f func() error) error {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return f() // whose error says more
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, set := range []func() error{
		func() error { return syscall.Setfsgid(int(owner.Gid)) }, // first, while it is still allowed
		func() error { return syscall.Setfsuid(int(owner.Uid)) },
	} {
		if err := set(); err != nil {
			return err
		}
	}
	defer func() { _, _ = syscall.Setfsuid(0), syscall.Setfsgid(os.Getegid()) }() // root may always go back
	return f()
}
