//go:build !linux

package ledger

// asOwner is for services, which run on Linux.
func asOwner(_ string, f func() error) error { return f() }
