{{- define "twochat-connector.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "twochat-connector.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "twochat-connector.selectorLabels" -}}
app.kubernetes.io/name: {{ include "twochat-connector.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "twochat-connector.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "twochat-connector.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "twochat-connector.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "twochat-connector.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "twochat-connector.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The kind of the one sink. */}}
{{- define "twochat-connector.sink" -}}
{{- keys .Values.config.sink | first }}
{{- end }}

{{/* Whether there is a volume: "true" or "". */}}
{{- define "twochat-connector.persistent" -}}
{{- $enabled := toString .Values.persistence.enabled }}
{{- if or (eq $enabled "true") (and (eq $enabled "auto") (has (include "twochat-connector.sink" .) (list "embedded" "file" "nats"))) }}true{{ end }}
{{- end }}

{{/* Whether the data folder is mounted at all: the sinks that write need one, be it lost with the pod. */}}
{{- define "twochat-connector.data" -}}
{{- if or (include "twochat-connector.persistent" .) (has (include "twochat-connector.sink" .) (list "embedded" "file" "nats")) }}true{{ end }}
{{- end }}

{{/* The configuration file: what is given, with the places on the volume that nobody named. */}}
{{- define "twochat-connector.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $sink := $config.sink }}
{{- $path := .Values.persistence.mountPath }}
{{- if hasKey $sink "embedded" }}
{{- $_ := set $sink "embedded" (merge (default dict $sink.embedded) (dict "dir" (printf "%s/embedded" $path))) }}
{{- else if hasKey $sink "file" }}
{{- $_ := set $sink "file" (merge (default dict $sink.file) (dict "path" (printf "%s/events.jsonl" $path))) }}
{{- else if hasKey $sink "nats" }}
{{- $_ := set $sink "nats" (merge (default dict $sink.nats) (dict "state" (printf "%s/state" $path))) }}
{{- end }}
{{- if $config.accounts }}
{{- $_ := unset $config "twochat" }}
{{- range $account := $config.accounts }}
{{- range $.Values.accountKeys }}
{{- if eq .name $account.name }}
{{- $_ := set $account "api_key_file" (printf "/etc/twochat-accounts/%s/api-key" .name) }}
{{- end }}
{{- end }}
{{- end }}
{{- else }}
{{- $_ := unset $config "accounts" }}
{{- end }}
{{- range .Values.accountKeys }}
{{- $key := . }}
{{- $found := false }}
{{- range $.Values.config.accounts }}{{- if eq .name $key.name }}{{- $found = true }}{{- end }}{{- end }}
{{- if not $found }}{{- fail (printf "accountKeys: config.accounts has no account %s" .name) }}{{- end }}
{{- end }}
{{- if .Values.adminToken.existingSecret }}
{{- $_ := set $config.admin "token_file" "/etc/twochat-admin/token" }}
{{- else if $config.admin.token_file }}
{{- fail "config.admin.token_file: name the Secret of the token in adminToken.existingSecret instead, so that monitors and tests send it" }}
{{- end }}
{{- if .Values.adminTLS.existingSecret }}
{{- $_ := set $config.admin "tls" (dict "cert_file" "/etc/twochat-admin-tls/tls.crt" "key_file" "/etc/twochat-admin-tls/tls.key") }}
{{- else if $config.admin.tls }}
{{- fail "config.admin.tls: name the Secret of the certificate in adminTLS.existingSecret instead, so that probes, monitors and tests speak TLS" }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- define "twochat-connector.adminPort" -}}
{{- last (splitList ":" .Values.config.admin.listen) }}
{{- end }}

{{/* A name that the admin server's certificate has. */}}
{{- define "twochat-connector.serverName" -}}
{{- default (printf "%s.%s.svc" (include "twochat-connector.fullname" .) .Release.Namespace) .Values.adminTLS.serverName }}
{{- end }}

{{- define "twochat-connector.resources" -}}
{{- if .Values.resources }}
{{- toYaml .Values.resources }}
{{- else if eq (include "twochat-connector.sink" .) "embedded" }}
requests: { cpu: 20m, memory: 128Mi }
limits: { memory: 768Mi }
{{- else }}
requests: { cpu: 20m, memory: 64Mi }
limits: { memory: 128Mi }
{{- end }}
{{- end }}

{{- define "twochat-connector.probe" -}}
httpGet: { path: {{ .path }}, port: http{{ if .root.Values.adminTLS.existingSecret }}, scheme: HTTPS{{ end }} }
{{ toYaml .probe }}
{{- end }}
