//go:build kubernetes

package helm

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// operator is the Prometheus Operator, of which only the definitions of its objects are used.
const operator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

// kube is a namespace of a cluster whose pods must be as the Pod Security Standard restricted wants them.
type kube struct {
	*testing.T
	helm      string // which
	namespace string
}

// TestCluster is all that needs a real API server.
func TestCluster(t *testing.T) {
	dir := t.TempDir()
	t.Log(run(t, "../../scripts/kubernetes/cluster", "start", dir))
	t.Cleanup(func() {
		if out, err := exec.Command("../../scripts/kubernetes/cluster", "stop", dir).CombinedOutput(); err != nil { //nolint:noctx // the test's context has ended
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Setenv("KUBECONFIG", filepath.Join(dir, "admin.conf"))
	for _, home := range []string{"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"} {
		t.Setenv(home, t.TempDir())
	}
	k := kube{t, "helm4", "default"}
	k.operator()
	t.Run("cluster", func(t *testing.T) {
		t.Run("renderings", func(t *testing.T) { t.Parallel(); testRenderings(k.room(t, "renderings")) })
		t.Run("weakened", func(t *testing.T) { t.Parallel(); testWeakened(k.room(t, "weakened")) })
		t.Run("guide", func(t *testing.T) { t.Parallel(); testGuide(t) })
		for _, helm := range helms() {
			t.Run(helm, func(t *testing.T) {
				t.Parallel()
				k := k.room(t, helm)
				k.helm = helm
				testLife(k)
			})
		}
	})
}

// room is a namespace of its own.
func (k kube) room(t *testing.T, name string) kube {
	t.Helper()
	k.T, k.namespace = t, name
	k.kubectl("create", "namespace", name)
	k.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
	k.kubectl("create", "secret", "generic", "ppms-syncd", "--from-literal=pumapi-key=k", "--from-literal=ldap-password=p")
	k.await("create", "serviceaccount", "default") // which the controllers make
	return k
}

// operator makes ServiceMonitor and PrometheusRule known, by the definitions of those who made them.
func (k kube) operator() {
	k.Helper()
	var module struct{ Dir string }
	must(k.T, json.Unmarshal([]byte(run(k.T, "go", "mod", "download", "-json", operator)), &module))
	for _, kind := range []string{"servicemonitors", "prometheusrules"} {
		k.kubectl("create", "--filename", module.Dir+"/example/prometheus-operator-crd/monitoring.coreos.com_"+kind+".yaml")
		k.kubectl("wait", "--for=condition=established", "--timeout=5m", "crd/"+kind+".monitoring.coreos.com")
	}
}

func (k kube) kubectl(args ...string) string {
	k.Helper()
	return run(k.T, tool(k.T, "kubectl"), append([]string{"--namespace", k.namespace}, args...)...)
}

// await waits for something to happen to an object that may not be there yet.
func (k kube) await(what string, objects ...string) {
	k.Helper()
	k.kubectl(append([]string{"wait", "--for=" + what, "--timeout=5m"}, objects...)...)
}

// apply shows objects to the API server, which takes them, says no, or warns.
func (k kube) apply(manifest string) (said string, err error) {
	k.Helper()
	_, said, err = try(k.T, manifest, tool(k.T, "kubectl"), "--namespace", k.namespace, "apply", "--dry-run=server", "--validate=strict",
		"--warnings-as-errors", "--filename=-")
	return said, err
}

// accounts makes service accounts: where nothing is made, the pod of helm test has none.
func (k kube) accounts(names ...string) {
	k.Helper()
	for _, name := range names {
		k.kubectl("create", "serviceaccount", name, "--save-config")
	}
}

// testRenderings: the API server knows every field of every object, and warns of nothing; the program takes every configuration.
func testRenderings(k kube) {
	k.accounts("ppms-syncd", "sync", "mine", "other")
	all := renderings(k.T)
	for batch := range slices.Chunk(all, 10) { // what takes long is to start kubectl
		var manifest strings.Builder
		for _, r := range batch {
			r.loads(k.T)
			manifest.WriteString(r.manifest + "---\n")
		}
		if said, err := k.apply(manifest.String()); err != nil {
			k.Errorf("%v: %s", err, said)
		}
	}
	k.Logf("%d renderings", len(all))
}

// testWeakened: the namespace does refuse pods that ask for more, so that it says something that it takes the chart's.
func testWeakened(k kube) {
	k.accounts("ppms-syncd")
	manifest, said, err := render(k.T, k.helm, example)
	if err != nil {
		k.Fatal(err, said)
	}
	if said, err := k.apply(manifest); err != nil {
		k.Fatal(err, said)
	}
	for strong, weak := range map[string]string{
		"runAsNonRoot: true":              "runAsNonRoot: false",
		"runAsUser: 65532":                "runAsUser: 0",
		"type: RuntimeDefault":            "type: Unconfined",
		"allowPrivilegeEscalation: false": "allowPrivilegeEscalation: true",
		"drop: [ALL]":                     "drop: [NET_RAW]",
		"emptyDir: {}":                    "hostPath: {path: /tmp}",
		"enableServiceLinks: false":       "hostNetwork: true",
	} {
		said, err := k.apply(strings.ReplaceAll(manifest, strong, weak))
		if err == nil || !strings.Contains(said, "violates PodSecurity") || !strings.Contains(said, "would violate PodSecurity") {
			k.Errorf("%s: %v %s", weak, err, said) // the one of the pod of helm test, the other of the templates
		}
	}
	if said, err := k.apply(strings.Replace(manifest, "strategy:", "strategi:", 1)); err == nil || !strings.Contains(said, "strategi") {
		k.Errorf("a misspelt field: %v %s", err, said)
	}
}

// do is Helm for the release, without warnings. Its library's remarks about connections that it closed itself are none.
func (k kube) do(verb string, args ...string) string {
	k.Helper()
	args = append([]string{verb, "ppms-syncd", "--namespace", k.namespace}, args...)
	out, said, err := try(k.T, "", tool(k.T, k.helm), args...)
	if err != nil || strings.Contains(strings.ToLower(said), "warn") {
		k.Fatalf("helm %s: %v\n%s%s", strings.Join(args, " "), err, out, said)
	}
	return out
}

// roll upgrades the release, and says whether the pods were replaced.
func (k kube) roll(verb string, args ...string) (rolled bool) {
	k.Helper()
	before := k.pods()
	k.do(verb, append(args, "--wait", "--timeout=10m")...)
	k.kubectl("rollout", "status", "deployment/ppms-syncd", "--timeout=5m")
	after := k.pods()
	if len(before) != 1 || len(after) != 1 {
		k.Fatalf("pods %q before and %q after", before, after)
	}
	return before[0] != after[0]
}

// pods are those of the daemon that have not been told to go.
func (k kube) pods() []string {
	k.Helper()
	return strings.Fields(k.kubectl("get", "pods", "--selector=app.kubernetes.io/component=daemon", "--output=name"))
}

func (k kube) claim() string {
	k.Helper()
	return k.kubectl("get", "pvc", "ppms-syncd", "--output=jsonpath={.metadata.uid} {.status.phase} {.spec.volumeName}")
}

// testLife is that of a release, from the install to what is left of it.
func testLife(k kube) {
	notes := k.do("install", chart, "--values", example, "--wait", "--timeout=10m")
	if !strings.Contains(notes, "helm test ppms-syncd") || !strings.Contains(notes, "It writes nothing to PPMS") || !strings.Contains(notes, "dryRun=false") {
		k.Errorf("the notes do not say how to go on: %s", notes)
	}
	claim := k.claim()
	if !strings.Contains(claim, "Bound") {
		k.Errorf("the claim is %s", claim)
	}
	template := k.kubectl("get", "deployment", "ppms-syncd", "--output=jsonpath={.spec.template}")
	watch := k.watch()
	for _, c := range []struct {
		what  string
		verb  string
		args  []string
		rolls bool
	}{
		{"nothing new", "upgrade", []string{chart, "--values", example}, false},
		{"another configuration", "upgrade", []string{chart, "--values", example, "--set", "dryRun=false"}, true},
		{"a secret", "upgrade", []string{chart, "--values", example, "--set", "dryRun=false,secrets.create.web=a"}, true},
		{"another secret", "upgrade", []string{chart, "--values", example, "--set", "dryRun=false,secrets.create.web=b"}, true},
		{"back", "rollback", []string{"1"}, true},
	} {
		if rolled := k.roll(c.verb, c.args...); rolled != c.rolls {
			k.Errorf("%s: rolled %t", c.what, rolled)
		}
	}
	watch.neverTwo(k.T)
	if now := k.kubectl("get", "deployment", "ppms-syncd", "--output=jsonpath={.spec.template}"); now != template {
		k.Errorf("rolled back to another template: %s", now)
	}
	k.job("ppms-syncd-plan")
	k.check()
	k.do("upgrade", chart, "--values", example, "--set", "mode=cronjob")
	k.await("delete", "deployment/ppms-syncd")
	k.job("ppms-syncd")

	k.do("uninstall")
	k.await("delete", "cronjob/ppms-syncd", "cronjob/ppms-syncd-plan", "serviceaccount/ppms-syncd", "configmap/ppms-syncd", "networkpolicy/ppms-syncd")
	if left := k.claim(); left != claim {
		k.Errorf("the claim was %s and is %s", claim, left)
	}
	k.do("install", chart, "--values", example, "--wait", "--timeout=10m")
	if again := k.claim(); again != claim {
		k.Errorf("the claim was %s, and the next release has %s", claim, again)
	}
	k.do("uninstall")
}

// job starts one as people do. That it ends well is KWOK's work: no container runs.
func (k kube) job(from string) {
	k.Helper()
	k.kubectl("create", "job", "--from=cronjob/"+from, "by-hand-"+from)
	k.await("condition=complete", "job/by-hand-"+from)
	k.kubectl("delete", "job", "by-hand-"+from)
}

// check is helm test. Its pod belongs to no Job, so that somebody has to end it.
func (k kube) check() {
	k.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if out, said, err := try(k.T, "", tool(k.T, k.helm), "test", "ppms-syncd", "--namespace", k.namespace, "--timeout=5m"); err != nil {
			k.Errorf("helm test: %v\n%s%s", err, out, said)
		}
	}()
	k.await("create", "pod/ppms-syncd-check")
	k.await("jsonpath={.status.phase}=Running", "pod/ppms-syncd-check")
	if args := k.kubectl("get", "pod", "ppms-syncd-check", "--output=jsonpath={.spec.containers[0].args}"); args != `["check"]` {
		k.Errorf("helm test runs %s", args)
	}
	k.kubectl("patch", "pod", "ppms-syncd-check", "--subresource=status", "--type=merge", `--patch={"status":{"phase":"Succeeded"}}`)
	<-done
}

// watcher sees the daemon's pods come and go.
type watcher struct {
	out  *strings.Builder
	stop func()
}

func (k kube) watch() watcher {
	k.Helper()
	out := &strings.Builder{}
	cmd := exec.CommandContext(k.Context(), tool(k.T, "kubectl"), "--namespace", k.namespace, "get", "pods", "--selector=app.kubernetes.io/component=daemon",
		"--watch", "--output-watch-events", "--output=custom-columns=:type,:object.metadata.name")
	cmd.Stdout = out
	must(k.T, cmd.Start())
	return watcher{out, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }}
}

// neverTwo says that each pod was gone before the next came.
func (w watcher) neverTwo(t *testing.T) {
	t.Helper()
	w.stop()
	var there []string
	seen := 0
	for line := range strings.Lines(w.out.String()) {
		event, pod, _ := strings.Cut(strings.TrimSpace(line), " ")
		pod = strings.TrimSpace(pod)
		switch event {
		case "ADDED":
			there = append(there, pod)
			seen++
		case "DELETED":
			there = slices.DeleteFunc(there, func(s string) bool { return s == pod })
		}
		if len(there) > 1 {
			t.Fatalf("two daemons at once: %q\n%s", there, w.out)
		}
	}
	if seen < 3 {
		t.Fatalf("it saw %d pods come, which proves nothing:\n%s", seen, w.out)
	}
}
