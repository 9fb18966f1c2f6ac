package ppmssim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

func TestStateFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	keep := func(o *ppmssim.Options) { o.StateFile = path }
	p := start(t, keep)
	p.ask("action=newuser login=nina lname=Nüw,_\"N\" fname=Nina email=n@example.org unitlogin=newlab pwd=nina")
	p.ask("action=setright id=57 login=nina type=N")
	p.ask("action=upduser login=jdoe active=false")
	p.SetRight("asmith", 12, "")
	p.PutSystem(ppmssim.System{ID: 60, RawID: "x", Name: "y"})
	p.PutUser(ppmssim.User{Login: "by-hand", Unitlogin: "nowhere"}) // no seed may hold that
	again := start(t, keep, func(o *ppmssim.Options) { o.Seed = ppmssim.Seed{} })
	if diff := cmp.Diff(p.Snapshot(), again.Snapshot()); diff != "" {
		t.Error(diff)
	}
	again.want("action=auth login=nina pwd=nina", "OK\r\n")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%v left behind", entries)
	}
}

func TestStateFileIsASeed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	p := start(t, func(o *ppmssim.Options) { o.StateFile = path })
	seed, err := ppmssim.ReadSeed(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Snapshot(), seed); diff != "" {
		t.Error(diff)
	}
}

func TestStateFileOfSomethingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(path, []byte(`{"people":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ppmssim.New(ppmssim.Options{Key: secret.New("k"), StateFile: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if data, _ := os.ReadFile(path); string(data) != `{"people":[]}` {
		t.Error("overwritten")
	}
}

// What cannot be kept is not answered as if it were.
func TestStateThatCannotBeKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := start(t, func(o *ppmssim.Options) { o.StateFile = filepath.Join(dir, "state.json") })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, status, err := p.try("action=upduser login=jdoe phone=99"); status != 500 || err != nil {
		t.Errorf("%d %v", status, err)
	}
	p.ask("action=getuser login=jdoe")
}

func TestEffects(t *testing.T) {
	var out bytes.Buffer
	core, logs := observer.New(zap.DebugLevel)
	p := start(t, func(o *ppmssim.Options) { o.Effects, o.Log = &out, zap.New(core) }, withFaults("setright:nothing@2"))
	p.ask("action=getuser login=jdoe")
	p.ask("action=upduser login=jdoe pwd=geheim phone=x-" + theKey)
	p.ask("action=setright id=13 login=jdoe type=N")
	p.ask("action=setright id=13 login=jdoe type=S")
	p.ask("action=setright id=13 login=nobody")
	p.ask("action=upduser apikey=wrong login=jdoe phone=1")
	p.ask("action=setright id=13 login=jdoe type=N") // changes nothing
	want := []ppmssim.Effect{
		{
			Seq: 1, Action: "upduser", Answer: "OK upduser", Changed: true,
			Params: map[string]string{"login": "jdoe", "pwd": "[redacted]", "phone": "x-[redacted]"},
			Changes: []ppmssim.Change{
				{Object: "user jdoe", Field: "phone", Before: "+41 61 555 02 02", After: "x-[redacted]"},
				{Object: "user jdoe", Field: "pwd", Before: "[redacted]", After: "[redacted]"},
			},
		},
		{
			Seq: 2, Action: "setright", Answer: "done", Changed: true,
			Params:  map[string]string{"id": "13", "login": "jdoe", "type": "N"},
			Changes: []ppmssim.Change{{Object: "right jdoe 13", Field: "level", After: "N"}},
		},
		{Seq: 3, Action: "setright", Answer: "done", Fault: "setright:nothing@2", Params: map[string]string{"id": "13", "login": "jdoe", "type": "S"}},
		{Seq: 4, Action: "setright", Answer: "error: invalid user nobody", Params: map[string]string{"id": "13", "login": "nobody"}},
		{Seq: 5, Action: "upduser", Answer: "error: request not authorized", Params: map[string]string{"login": "jdoe", "phone": "1"}},
		{Seq: 6, Action: "setright", Answer: "done", Params: map[string]string{"id": "13", "login": "jdoe", "type": "N"}},
	}
	for i := range want {
		want[i].Time = morning()
	}
	if diff := cmp.Diff(want, p.Effects()); diff != "" {
		t.Error(diff)
	}
	var written []ppmssim.Effect
	for d := json.NewDecoder(bytes.NewReader(out.Bytes())); d.More(); {
		var e ppmssim.Effect
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		written = append(written, e)
	}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Error(diff)
	}
	everything := out.String() + fmt.Sprint(logs.All())
	for _, s := range []string{theKey, "geheim"} {
		if strings.Contains(everything, s) {
			t.Errorf("%s got out", s)
		}
	}
	if got := p.Requests(); got["setright"] != 4 || got["upduser"] != 2 || got["getuser"] != 1 {
		t.Errorf("%v", got)
	}
}

// Many clients at once: nothing is lost, effects are in order, and the state on disk is the last one.
func TestConcurrency(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	p := start(t, func(o *ppmssim.Options) { o.StateFile = path })
	const clients, each = 8, 10
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := range each {
				login := fmt.Sprintf("u%d-%d", c, i)
				for _, call := range []string{
					"action=newuser fname=F email=e unitlogin=smithlab lname=L login=" + login,
					"action=setright id=12 type=A login=" + login,
					"action=getsysrights id=12", "action=getusers",
				} {
					if _, status, err := p.try(call); status != 200 || err != nil {
						t.Errorf("%s: %d %v", call, status, err)
					}
				}
				p.SetRight("jdoe", 13, []string{"A", "N"}[i%2])
				p.Snapshot()
			}
		})
	}
	all.Wait()
	effects := p.Effects()
	if len(effects) != 2*clients*each {
		t.Fatalf("%d effects", len(effects))
	}
	for i, e := range effects {
		if e.Seq != i+1 || !e.Changed {
			t.Errorf("effect %d is %+v", i, e)
		}
	}
	again, err := ppmssim.New(ppmssim.Options{Key: secret.New("k"), StateFile: path})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Snapshot(), again.Snapshot()); diff != "" {
		t.Error(diff)
	}
}
