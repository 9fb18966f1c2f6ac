{{/* The name of everything. A CronJob's may have 52 characters, and -plan is one. */}}
{{- define "ppms-syncd.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "ppms-syncd" $name) }}{{ $name = printf "%s-ppms-syncd" $name }}{{ end -}}
{{- default $name .Values.fullnameOverride | trunc 47 | trimSuffix "-" -}}
{{- end -}}

{{- define "ppms-syncd.selector" -}}
app.kubernetes.io/name: ppms-syncd
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ppms-syncd.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "ppms-syncd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "ppms-syncd.serviceAccount" -}}
{{- $made := .Values.serviceAccount.create | ternary (include "ppms-syncd.name" .) "default" -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- define "ppms-syncd.claim" -}}
{{- default (include "ppms-syncd.name" .) .Values.ledger.existingClaim -}}
{{- end -}}

{{- define "ppms-syncd.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default ($.Chart.AppVersion | replace "+" "_") .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The ports of a list of URLs, as a list in JSON: that in the URL, or by its scheme. */}}
{{- define "ppms-syncd.ports" -}}
{{- $known := dict "ldaps" 636 "ldap" 389 "https" 443 "http" 80 -}}
{{- $ports := list -}}
{{- range . -}}
{{- $url := urlParse . -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- if $port }}{{ $ports = append $ports (int $port) }}{{ else if hasKey $known $url.scheme }}{{ $ports = append $ports (get $known $url.scheme) }}{{ end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
