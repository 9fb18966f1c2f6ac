{{/*
The template of all pods: daemon, run, plan and check differ in what they are told to do, and the daemon listens.
Called with a dict: root, args, daemon (true or false), restart.
*/}}
{{- define "ppms-syncd.podMetadata" -}}
{{- with .root -}}
labels:
  {{- include "ppms-syncd.selector" . | nindent 2 }}
  app.kubernetes.io/component: {{ $.component }}
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  {{- if not .Values.existingConfigMap }}
  checksum/config: {{ include "ppms-syncd.config" . | sha256sum }}
  {{- end }}
  {{- if .Values.secrets.create }}
  checksum/secrets: {{ toJson .Values.secrets.create | sha256sum }}
  {{- end }}
  kubectl.kubernetes.io/default-container: ppms-syncd
  {{- with .Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "ppms-syncd.podSpec" -}}
{{- with .root -}}
serviceAccountName: {{ include "ppms-syncd.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
restartPolicy: {{ $.restart }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- with .Values.nodeAffinity }}
  nodeAffinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  podAffinity: # the volume with the ledger, and the locks on it, are on one node
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "ppms-syncd.selector" . | nindent 12 }}
containers:
  - name: ppms-syncd
    image: {{ include "ppms-syncd.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: {{ toJson $.args }}
    env:
      - {name: CREDENTIALS_DIRECTORY, value: /run/secrets/ppms-syncd}
      {{- with .Values.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- if $.daemon }}
    ports:
      - {name: http, containerPort: {{ .Values.http.port }}}
    {{- $probe := dict "httpGet" (dict "path" "/healthz" "port" "http") -}}
    {{- $ready := dict "httpGet" (dict "path" "/readyz" "port" "http") -}}
    {{- if .Values.http.webConfigFile }}
    {{- $probe = dict "tcpSocket" (dict "port" "http") }}
    {{- $ready = $probe }}
    # The kubelet has neither password nor certificate. That the daemon listens says that configuration and ledger are good.
    {{- end }}
    startupProbe: {{ toJson (merge (dict "periodSeconds" 2 "failureThreshold" 60) $probe) }}
    livenessProbe: {{ toJson (merge (dict "periodSeconds" 30 "timeoutSeconds" 10) $probe) }}
    readinessProbe: {{ toJson (merge (dict "periodSeconds" 10 "timeoutSeconds" 10) $ready) }}
    {{- end }}
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts:
      - {name: config, mountPath: /etc/ppms-syncd, readOnly: true}
      - {name: secrets, mountPath: /run/secrets/ppms-syncd, readOnly: true}
      - {name: ledger, mountPath: /var/lib/ppms-syncd}
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: config
    configMap: {name: {{ default (include "ppms-syncd.name" .) .Values.existingConfigMap }}}
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        {{- if .Values.secrets.create }}
        - secret: {name: {{ include "ppms-syncd.name" . }}-secrets}
        {{- end }}
        {{- range .Values.secrets.existing }}
        - secret: {{ toJson . }}
        {{- end }}
  - name: ledger
    persistentVolumeClaim: {claimName: {{ include "ppms-syncd.claim" . }}}
  - name: tmp
    emptyDir: {}
{{- end }}
{{- end -}}
