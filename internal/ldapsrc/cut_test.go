package ldapsrc_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"go.uber.org/zap"

	"ppms-syncd/internal/ldapsrc"
	"ppms-syncd/internal/ldapsrc/ldaptest/slapdtest"
)

// recording is what a server said in one session, as it went over the wire, in pieces: one for each request.
type recording [][]byte

func (r recording) size() int { return len(bytes.Join(r, nil)) }

// listen is a listener on loopback that ends with the test.
func listen(tb testing.TB, serve func(net.Conn)) (url string) {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer func() { _ = c.Close() }()
				serve(c)
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		wait.Wait()
	})
	return "ldap://" + l.Addr().String()
}

// record reads the directory once through a wire that keeps what the server says.
func record(tb testing.TB, cfg ldapsrc.Config, m ldapsrc.Mapping) (recording, int) {
	tb.Helper()
	server := strings.TrimPrefix(cfg.URLs[0], "ldap://")
	var mu sync.Mutex
	var all recording
	cfg.URLs = []string{listen(tb, func(client net.Conn) {
		up, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", server)
		if err != nil {
			return
		}
		defer func() { _ = up.Close() }()
		go func() {
			buffer := make([]byte, 1<<16)
			for {
				n, err := up.Read(buffer)
				mu.Lock()
				if n > 0 {
					all[len(all)-1] = append(all[len(all)-1], buffer[:n]...)
				}
				mu.Unlock()
				if _, err2 := client.Write(buffer[:n]); err != nil || err2 != nil {
					return
				}
			}
		}()
		for {
			request, err := ber.ReadPacket(client)
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, nil)
			mu.Unlock()
			if _, err := up.Write(request.Bytes()); err != nil {
				return
			}
		}
	})}
	n := len(mustRead(tb, cfg, m, ldapsrc.Request{}).Directory.People)
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(all), n // the goodbye may still come in
}

// replay answers each request with the next piece of the recording, and hangs up after so many bytes.
func (r recording) replay(c net.Conn, left int) {
	for _, piece := range r {
		if _, err := ber.ReadPacket(c); err != nil {
			return
		}
		piece = piece[:min(left, len(piece))]
		if _, err := c.Write(piece); err != nil {
			return
		}
		if left -= len(piece); left == 0 {
			return
		}
	}
	_, _ = io.Copy(io.Discard, c)
}

// A session is cut after each of its bytes: the read fails, and never has fewer people. Whole, it is complete.
func TestCutAfterEveryByte(t *testing.T) {
	t.Parallel()
	entries := tree(person("ada"), person("ben"), person("cleo"), person("dan"), person("eve"),
		groupOf("all", uidDN("ada"), uidDN("ben"), cnDN("lab")), groupOf("lab", uidDN("cleo"), cnDN("all")))
	for name, open := range map[string]func(*testing.T) (ldapsrc.Config, ldapsrc.Mapping){
		"slapd": func(t *testing.T) (ldapsrc.Config, ldapsrc.Mapping) {
			t.Helper()
			s := slapdtest.StartSlapd(t, slapdtest.SlapdOptions{Entries: entries})
			c := reads(t, s)
			c.URLs = []string{s.URL}
			return c, mapping(ldapsrc.RuleSource{Name: "all", Group: "all"})
		},
		"ranges of Active Directory": func(t *testing.T) (ldapsrc.Config, ldapsrc.Mapping) {
			t.Helper()
			o := domain(adEntry("group", "many", 1203, "member", adDN("anna"), "member", adDN("ben"), "member", adDN("cleo"), "member", adDN("dan")))
			o.MaxValRange = 2
			_, url := fake(t, o)
			c := adConfig(t, url)
			c.Users.Base = "OU=Staff," + adBase
			return c, adMapping()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, m := open(t)
			cfg.PageSize = 2
			session, people := record(t, cfg, m)
			var next atomic.Int64
			var wait sync.WaitGroup
			for range 2 * runtime.GOMAXPROCS(0) {
				wait.Go(func() { session.cutAll(t, cfg, m, &next, people) })
			}
			wait.Wait()
			t.Logf("%d bytes in %d answers", session.size(), len(session))
		})
	}
}

// cutAll reads the session again and again, each time one byte further than anybody before.
func (r recording) cutAll(t *testing.T, cfg ldapsrc.Config, m ldapsrc.Mapping, next *atomic.Int64, people int) {
	t.Helper()
	var cut atomic.Int64
	cfg.URLs = []string{listen(t, func(c net.Conn) { r.replay(c, int(cut.Load())) })}
	src, err := ldapsrc.New(cfg, m, zap.NewNop())
	if err != nil {
		t.Error(err)
		return
	}
	for n := next.Add(1); n <= int64(r.size()); n = next.Add(1) {
		cut.Store(n)
		result, err := src.Read(t.Context(), ldapsrc.Request{})
		switch whole := n == int64(r.size()); {
		case whole && (err != nil || len(result.Directory.People) != people):
			t.Errorf("the whole session: %+v, %v", result, err)
		case !whole && err == nil:
			t.Errorf("cut after %d of %d bytes: %d people and no error", n, r.size(), len(result.Directory.People))
		}
	}
}
