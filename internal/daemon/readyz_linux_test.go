package daemon_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"ppms-syncd/internal/daemon"
)

// TestNotReadyOnAReadOnlyDisk: a ledger that can be read only lets no run begin.
func TestNotReadyOnAReadOnlyDisk(t *testing.T) {
	w := newWorld(t)
	s := w.serving(daemon.ServeOptions{})
	if err := syscall.Mount(w.Folder, w.Folder, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	defer func() { must(t, syscall.Unmount(w.Folder, syscall.MNT_DETACH)) }()
	must(t, syscall.Mount("", w.Folder, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
	if code, text := s.get(http.MethodGet, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "read-only") {
		t.Errorf("%d %q", code, text)
	}
}
