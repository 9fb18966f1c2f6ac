package ppmssim_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ppms-syncd/internal/ppmssim"
	"ppms-syncd/internal/secret"
)

// childDir is set in the process that TestKill starts and kills.
const childDir = "PPMSSIM_TEST_CHILD"

// TestChild is that process: a simulator with its files in the directory.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("runs as a child of TestKill")
	}
	effects, err := os.OpenFile(filepath.Join(dir, "effects"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, func(o *ppmssim.Options) { o.StateFile, o.Effects = filepath.Join(dir, "state"), effects })
	fmt.Println("url", p.url)
	select {}
}

// TestKill ends a simulator with SIGKILL while writes come in: what was answered is in both files, and both can be read.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	p := &ppms{t: t, client: &http.Client{Transport: transport}}
	for s := bufio.NewScanner(out); p.url == "" && s.Scan(); {
		if _, url, ok := strings.Cut(s.Text(), "url "); ok {
			p.url = url
		}
	}
	answered := 0
	for i := 0; ; i++ {
		if answered == 20 {
			go child.Process.Kill() // somewhere in the next writes
		}
		if _, status, err := p.try(fmt.Sprintf("action=upduser login=u%d", i)); err != nil || status != 200 {
			break
		}
		answered++
	}
	child.Wait()
	if answered < 20 {
		t.Fatalf("only %d answers", answered)
	}
	sim, err := ppmssim.New(ppmssim.Options{Key: secret.New("k"), StateFile: filepath.Join(dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "effects"))
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		var e ppmssim.Effect
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		written[e.Params["login"]] = true
	}
	for i := range answered {
		login := fmt.Sprintf("u%d", i)
		if _, ok := sim.User(login); !ok || !written[login] {
			t.Errorf("%s was answered, but is lost: state %v, effects %v", login, ok, written[login])
		}
	}
	for _, u := range sim.Snapshot().Users {
		if strings.HasPrefix(u.Login, "u") && !written[u.Login] {
			t.Errorf("%s is in the state, and no effect says why", u.Login)
		}
	}
}
