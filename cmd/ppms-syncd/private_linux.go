package main

import "syscall"

// private makes the kernel write no core of this process, whatever the limits say, and lets no other process of the same user read
// its memory or its environment: the memory holds the API key and the password.
func private() {
	const setDumpable = 4                                              // PR_SET_DUMPABLE
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0) // a kernel that refuses is as before
}
