package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/testscript"
)

// The directory of every script and who reads it. Neither secret may ever be seen outside of its file.
const (
	suffix       = "dc=example,dc=org"
	bindDN       = "cn=reader," + suffix
	bindPassword = "xyzzy-bind-password-4711"
	pumapiKey    = "plugh-pumapi-key-0815"
)

// testdata is where the scripts and what they share are.
const testdata = "../../testdata"

// TestScript runs the scripts. testdata/script/README.md tells their commands.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join(testdata, "script"),
		Setup:              setup,
		Cmds:               commands(),
		RequireUniqueNames: true,
		UpdateScripts:      *update,
	})
}

func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"capture": capture, "configure": configure, "exits": exits, "json-keys": jsonKeys, "json-lines": jsonLines, "mode": mode,
		"ldap-start": ldapStart, "ldap-set": ldapSet, "ldap-delete": ldapDelete, "ldap-fault": ldapFault,
		"ppms-start": ppmsStart, "ppms-user": ppmsUser, "ppms-right": ppmsRight, "ppms-fault": ppmsFault, "ppms-writes": ppmsWrites,
		"sim-start": simStart, "sim-stop": simStop, "lock-run": lockRun,
	}
}

// setup gives each script the files that it does not bring itself, and looks for secrets where none may be when it has ended.
func setup(env *testscript.Env) error {
	env.Setenv("TRANSCRIPT", filepath.Join(env.WorkDir, ".transcript"))
	if env.Getenv("GORACE") == "" {
		env.Setenv("GORACE", "atexit_sleep_ms=0") // else each call of the program takes a second longer
	}
	env.Setenv("LDAP_URL", "ldap://127.0.0.1:1") // nobody listens there
	env.Setenv("PPMS_URL", "http://127.0.0.1:1/pumapi/")
	env.Values[stageKey{}] = &stage{}
	for name, content := range map[string]string{"ldap-password": bindPassword, "pumapi-key": pumapiKey + "\n"} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"directory.ldif", "ppms.yaml"} {
		if err := share(env.WorkDir, name); err != nil {
			return err
		}
	}
	env.Defer(func() {
		if err := findSecrets(env.WorkDir); err != nil {
			env.T().Fatal(err)
		}
	})
	return nil
}

func share(dir, name string) error {
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := os.ReadFile(filepath.Join(testdata, name))
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// findSecrets looks into all that is left: what the program printed, plans, ledger, configuration.
func findSecrets(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "ldap-password" || d.Name() == "pumapi-key" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, s := range []string{bindPassword, pumapiKey} {
			if i := bytes.Index(data, []byte(s)); i >= 0 {
				return fmt.Errorf("%s has a secret in it: …%q", d.Name(), data[max(0, i-100):i+len(s)])
			}
		}
		return nil
	})
}

// exits runs a command that must end with exactly this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT…]")
	}
	want, code := args[0], 0
	err := ts.Exec(args[1], args[2:]...)
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// configure writes config.yaml: the shared one with the addresses of the servers, and over it the keys that are given as YAML.
func configure(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join(testdata, "config.yaml"))
	ts.Check(err)
	config := map[string]any{}
	for _, part := range append([]string{string(text)}, args...) {
		var more map[string]any
		ts.Check(yaml.Unmarshal([]byte(os.Expand(part, ts.Getenv)), &more))
		overlay(config, more)
	}
	data, err := yaml.Marshal(config)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("config.yaml"), data, 0o600))
}

// overlay lays mappings over one another; anything else replaces what was there.
func overlay(below, above map[string]any) {
	for key, value := range above {
		if m, ok := value.(map[string]any); ok {
			if was, ok := below[key].(map[string]any); ok {
				overlay(was, m)
				continue
			}
		}
		below[key] = value
	}
}

// capture sets a variable to the first group of a pattern in the last standard output.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture VARIABLE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no match, or no group, for %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// jsonKeys prints the paths of all keys in a JSON file, each once.
func jsonKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json-keys FILE")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	paths := map[string]bool{}
	keysOf(v, "", paths)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		_, err := fmt.Fprintln(ts.Stdout(), path)
		ts.Check(err)
	}
}

func keysOf(v any, path string, paths map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			keysOf(value, strings.TrimPrefix(path+"."+key, "."), paths)
		}
	case []any:
		paths[path+"[]"] = true
		for _, value := range v {
			keysOf(value, path+"[]", paths)
		}
	default:
		paths[path] = true
	}
}

// jsonLines wants every line of a file to be a JSON object with time, level and msg, and at least one of them.
func jsonLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json-lines FILE")
	}
	text := ts.ReadFile(args[0])
	if text == "" {
		ts.Fatalf("%s is empty", args[0])
	}
	for line := range strings.Lines(text) {
		var entry struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
			ts.Fatalf("this is no log line in JSON (%v): %s", err, line)
		}
	}
}

// mode wants files to have exactly these permissions.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mode OCTAL FILE…")
	}
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}
