//go:build kubernetes

package helm

// factor is something that an operator chooses, with what there is to choose from: values for Helm. The first is the usual one.
type factor struct {
	name   string
	levels []string
	daemon bool // only where there is one
}

const someConfig = `
config:
  ldap:
    urls: [ldaps://ldap1.example.org, "ldaps://ldap2.example.org:3269"]
    bind: {dn: "cn=reader,dc=example,dc=org", password_file: ldap-password}
    users: {base: "ou=people,dc=example,dc=org", disabled: {cel: "'x\\n' == \"{{ .Values }}\""}}
    page_size: 2000000
  ppms: {url: https://ppms.example.org/facility/pumapi/, api_key_file: pumapi-key, requests_per_second: 0.5}
  accounts: {attributes: {login: uid, lname: sn, fname: givenName, email: mail, unitlogin: ou}, login_pattern: '^[a-z]{2,}\d*$'}
  ledger: {keep: 30d}
`

// factors are all that the values have to choose.
func factors() []factor {
	return []factor{
		{name: "configuration", levels: []string{
			"policy: create-only" + someConfig, "policy: upsert-only" + someConfig, "policy: sync" + someConfig, "existingConfigMap: mine",
		}},
		{name: "dry run", levels: []string{"dryRun: true", "dryRun: false"}},
		{name: "secrets", levels: []string{
			"secrets: {existing: [{name: ppms-syncd}]}",
			"secrets: {create: {pumapi-key: k, ldap-password: p}}",
			"secrets: {create: {pumapi-key: k}, existing: [{name: reader, items: [{key: password, path: ldap-password}]}, {name: ca}]}",
		}},
		{name: "ledger", levels: []string{"ledger: {}", "ledger: {size: 5Gi, storageClass: standard}", "ledger: {existingClaim: mine}"}},
		{name: "web configuration", daemon: true, levels: []string{"http: {}", "http: {webConfigFile: web.yaml}", "http: {port: 8080}"}},
		{name: "annotations", daemon: true, levels: []string{"metrics: {annotations: false}", "metrics: {annotations: true}"}},
		{name: "service monitor", daemon: true, levels: []string{
			"metrics: {serviceMonitor: {enabled: false}}", "metrics: {serviceMonitor: {enabled: true}}",
			"metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}, endpoint: {interval: 1m, tlsConfig: {insecureSkipVerify: true}}}}",
		}},
		{name: "rules", daemon: true, levels: []string{
			"metrics: {prometheusRule: {enabled: false}}", "metrics: {prometheusRule: {enabled: true, labels: {release: prometheus}}}",
		}},
		{name: "dashboard", daemon: true, levels: []string{"metrics: {dashboard: {enabled: false}}", "metrics: {dashboard: {enabled: true}}"}},
		{name: "network policy", levels: []string{
			"networkPolicy: {}", "networkPolicy: {enabled: false}", "networkPolicy: {scrapers: []}",
			"networkPolicy: {directory: {to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [3269]}, ppms: {to: [{podSelector: {}}], ports: [8080]}}",
		}},
		{name: "image", levels: []string{
			"image: {}", "image: {tag: v1.2.0, pullPolicy: Always}\nimagePullSecrets: [{name: registry}]",
			"image: {repository: registry.example.org/ppms-syncd, digest: \"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
		}},
		{name: "pods", levels: []string{
			"replicas: 1",
			"replicas: 0\nterminationGracePeriodSeconds: 90\nresources: {requests: {cpu: 1}}\nenv: [{name: HTTPS_PROXY, value: http://proxy.example.org}]\n" +
				"podLabels: {team: imaging}\npodAnnotations: {a: b}\nnodeSelector: {disk: ssd}\ntolerations: [{key: a, operator: Exists}]\n" +
				"nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: a, operator: Exists}]}}]}\n" +
				"priorityClassName: system-cluster-critical",
		}},
		{name: "service account", levels: []string{
			"serviceAccount: {}", "serviceAccount: {create: false}", "serviceAccount: {create: false, name: mine}", "serviceAccount: {name: other, annotations: {a: b}}",
		}},
		{name: "name", levels: []string{"fullnameOverride: \"\"", "fullnameOverride: sync"}},
		{name: "cron job", levels: []string{
			"cronjob: {}", "cronjob: {schedule: 7 * * * *, timeZone: Europe/Zurich, activeDeadlineSeconds: 600, successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 1}",
		}},
	}
}

// choice is a level of a factor, both by their place.
type choice struct{ factor, level int }

type pair [2]choice

func pairOf(a, b choice) pair {
	if a.factor > b.factor {
		a, b = b, a
	}
	return pair{a, b}
}

// combinations are so many that any two levels of any two factors come together in at least one of them. All that there are would be
// a million; what goes wrong needs rarely more than two.
func combinations(factors []factor) (all [][]choice) {
	pairs := everyPair(factors)
	open := map[pair]bool{}
	for _, p := range pairs {
		open[p] = true
	}
	for _, p := range pairs {
		if !open[p] {
			continue
		}
		chosen := p[:]
		for f := range factors {
			if f != p[0].factor && f != p[1].factor {
				chosen = append(chosen, best(f, len(factors[f].levels), chosen, open))
			}
		}
		for i, a := range chosen {
			for _, b := range chosen[:i] {
				delete(open, pairOf(a, b))
			}
		}
		all = append(all, chosen)
	}
	return all
}

func everyPair(factors []factor) (pairs []pair) {
	for b := range factors {
		for a := range b {
			for x := range factors[a].levels {
				for y := range factors[b].levels {
					pairs = append(pairs, pair{{a, x}, {b, y}})
				}
			}
		}
	}
	return pairs
}

// best is the level that makes the most pairs with what was chosen before.
func best(f, levels int, chosen []choice, open map[pair]bool) (c choice) {
	most := -1
	for level := range levels {
		n := 0
		for _, other := range chosen {
			if open[pairOf(other, choice{f, level})] {
				n++
			}
		}
		if n > most {
			most, c = n, choice{f, level}
		}
	}
	return c
}
