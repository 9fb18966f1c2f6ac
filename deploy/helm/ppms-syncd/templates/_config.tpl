{{/* What the schema cannot say, or not so that anybody understands it. */}}
{{- define "ppms-syncd.validate" -}}
{{- if .Values.existingConfigMap -}}
{{- if or .Values.config .Values.policy }}{{ fail "policy and config: leave them out with existingConfigMap, whose config.yaml has them" }}{{ end -}}
{{- else -}}
{{- if not .Values.policy }}{{ fail "policy is required: create-only (new accounts), upsert-only (also updates and grants) or sync (also removals)" }}{{ end -}}
{{- if not .Values.config }}{{ fail "config is required: what config.yaml has under ldap, ppms, accounts and rights; or give existingConfigMap" }}{{ end -}}
{{- if hasKey .Values.config "policy" }}{{ fail "config.policy: leave it out; set policy, beside config" }}{{ end -}}
{{- if hasKey .Values.config "dry_run" }}{{ fail "config.dry_run: leave it out; set dryRun, beside config" }}{{ end -}}
{{- if hasKey .Values.config "http" }}{{ fail "config.http: leave it out; set http, beside config" }}{{ end -}}
{{- if hasKey (default dict .Values.config.ledger) "path" }}{{ fail "config.ledger.path: leave it out; the ledger is on the volume" }}{{ end -}}
{{- end -}}
{{- if not (or .Values.secrets.create .Values.secrets.existing) }}{{ fail "secrets are required: secrets.existing names Secrets whose keys are the files that the configuration asks for, such as pumapi-key" }}{{ end -}}
{{- if eq .Values.mode "cronjob" -}}
{{- range $what, $on := dict "annotations" .Values.metrics.annotations "serviceMonitor.enabled" .Values.metrics.serviceMonitor.enabled "prometheusRule.enabled" .Values.metrics.prometheusRule.enabled "dashboard.enabled" .Values.metrics.dashboard.enabled -}}
{{- if $on }}{{ fail (printf "metrics.%s: only with mode: daemon; a run that ends has nothing to scrape, watch its Jobs" $what) }}{{ end -}}
{{- end -}}
{{- if .Values.http.webConfigFile }}{{ fail "http.webConfigFile: only with mode: daemon; a run that ends listens nowhere" }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The program's config.yaml: what the operator gave, and what follows from where it runs. */}}
{{- define "ppms-syncd.config" -}}
{{- $ours := dict "policy" .Values.policy "dry_run" .Values.dryRun -}}
{{- if eq .Values.mode "daemon" -}}
{{- $http := dict "listen" (printf ":%d" (int .Values.http.port)) -}}
{{- if .Values.http.webConfigFile }}{{ $_ := set $http "web_config_file" .Values.http.webConfigFile }}{{ else }}{{ $_ := set $http "plain" true }}{{ end -}}
{{- $_ := set $ours "http" $http -}}
{{- end -}}
{{- toYaml (merge $ours (deepCopy .Values.config)) -}}
{{- end -}}
