package ldapsrc

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

type reading struct {
	net.Conn
	io.Reader
}

func (r reading) Read(p []byte) (int, error) { return r.Reader.Read(p) }

func TestFrames(t *testing.T) {
	t.Parallel()
	entry := "\x30\x0a\x02\x01\x07\x64\x05hello"
	long := "\x30\x82\x01\x06\x02\x02\x01\x00\x65\x81\xff" + strings.Repeat("x", 255)
	for _, c := range []struct{ name, data, err string }{
		{"nothing", "", ""},
		{"messages", entry + long + entry, ""},
		{"no sequence", entry + "\x31\x05", "starts with 0x31"},
		{"id is no number", "\x30\x0a\x04\x01\x07\x64\x05hello", "no id"},
		{"id too long", "\x30\x0a\x02\x09\x07\x64\x05hello", "no id"},
		{"unknown kind", entry + "\x30\x0a\x02\x01\x07\x66\x05hello", "kind (0x66)"},
		{"indefinite length", "\x30\x80\x02", "length of 0 bytes"},
		{"long length", "\x30\x85\x02", "length of 5 bytes"},
		{"huge", "\x30\x84\x7f\xff\xff\xff", "2147483647 bytes"},
		{"tiny", "\x30\x03\x02\x01\x07", "only 3 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{strings.NewReader(c.data), iotest.OneByteReader(strings.NewReader(c.data)), iotest.HalfReader(strings.NewReader(c.data))} {
				got, err := io.ReadAll(&wire{Conn: reading{Reader: r}})
				if c.err == "" && (err != nil || string(got) != c.data) {
					t.Errorf("got %q, %v", got, err)
				}
				if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// However the bytes arrive, the verdict is the same.
func TestFramesInPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.SampledFrom([]byte{0x30, 0x02, 0x01, 0x64, 0x65, 0x05, 0x06, 0x81, 0x00})).Draw(t, "data")
		_, err1 := io.ReadAll(&wire{Conn: reading{Reader: bytes.NewReader(data)}})
		_, err2 := io.ReadAll(&wire{Conn: reading{Reader: iotest.OneByteReader(bytes.NewReader(data))}})
		if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
			t.Fatalf("%v, %v", err1, err2)
		}
		if err1 != nil && errors.Is(err1, io.ErrUnexpectedEOF) {
			t.Fatal(err1)
		}
	})
}
