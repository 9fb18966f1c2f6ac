package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const hidden = "hunter2-hunter2"

// holder has secrets where printers reach without asking: in unexported fields, behind pointers, in maps and slices.
type holder struct {
	Open    Secret
	closed  Secret
	pointer *Secret
	list    []Secret
	table   map[string]Secret
	any     any
}

func newHolder() holder {
	s := New(hidden)
	return holder{s, s, &s, []Secret{s}, map[string]Secret{"k": s}, s}
}

func TestSecretDoesNotPrintItself(t *testing.T) {
	h := newHolder()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		for _, v := range []any{h, &h, h.Open, h.pointer, h.list, h.table} {
			_, _ = fmt.Fprintf(&out, verb, v)
		}
	}
	for _, v := range []any{h, h.Open, h.list, h.table} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	text, err := xml.Marshal(h.Open)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "h", h, "s", h.Open)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "h", h, "s", h.Open)
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
	zap.New(core).Info("x", zap.Any("h", h), zap.Any("s", h.Open), zap.Stringer("t", h.Open), zap.Reflect("r", h))
	_, _ = fmt.Fprint(&out, errors.Join(fmt.Errorf("wrapped: %v", h.Open), fmt.Errorf("%+v", h)))
	_, _ = fmt.Fprint(&out, cmp.Diff(h.Open.String(), New("other").String()))
	func() {
		defer func() { _, _ = fmt.Fprint(&out, recover()) }()
		panic(h)
	}()
	for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q got out", form)
		}
	}
	if h.closed.Reveal() != hidden || (Secret{}).Reveal() != "" {
		t.Error("a secret does not reveal itself")
	}
}

func TestScrub(t *testing.T) {
	if got := New(hidden).Scrub("key " + hidden + "!"); got != "key [redacted]!" {
		t.Errorf("%q", got)
	}
	if got := (Secret{}).Scrub("abc"); got != "abc" {
		t.Errorf("%q", got)
	}
}

func TestFile(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	write := func(dir, name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(second, "good", hidden+"\r\n", 0o600)
	write(first, "both", "first", 0o440)
	write(second, "both", "second", 0o600)
	write(second, "world", hidden, 0o604)
	write(second, "empty", "\n", 0o600)
	write(second, "lines", "a\nb", 0o600)
	write(second, "long", strings.Repeat("x", longest+1), 0o600)
	dirs := []string{"", first, second}
	for _, test := range []struct{ path, want, problem string }{
		{"good", hidden, ""},
		{filepath.Join(second, "good"), hidden, ""},
		{"both", "first", ""},
		{"", "", "no file is configured"},
		{"none", "", "does not exist (looked for " + filepath.Join(first, "none") + ", " + filepath.Join(second, "none") + ")"},
		{"world", "", "has mode 0604: others may touch it; run chmod o-rwx"},
		{"empty", "", "is empty"},
		{"lines", "", "has more than one line"},
		{"long", "", "that is no password"},
		{second, "", "is not a regular file"},
	} {
		s, err := File{test.path, dirs}.Read()
		switch {
		case test.problem == "" && (err != nil || s.Reveal() != test.want):
			t.Errorf("%s: %q, %v", test.path, s.Reveal(), err)
		case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
			t.Errorf("%s: %v, want %q", test.path, err, test.problem)
		case err != nil && strings.Contains(err.Error(), hidden):
			t.Errorf("%s: %v has the secret", test.path, err)
		}
	}
}

// TestFileIsReadAnew: a secret can be rotated under a running service.
// TestNamedPipe: nobody waits for a secret that somebody may once write.
func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := File{Path: path}.Read()
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits")
	}
}

func TestFileIsReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	f := File{Path: path}
	for _, value := range []string{"old", "new"} {
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := f.Read(); err != nil || s.Reveal() != value {
			t.Errorf("%q, %v", s.Reveal(), err)
		}
	}
}
