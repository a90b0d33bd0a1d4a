{{- define "twochat-connector.pod" -}}
metadata:
  labels:
    {{- include "twochat-connector.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed configuration is a new pod.
    checksum/config: {{ include "twochat-connector.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "twochat-connector.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext: {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with .Values.dnsConfig }}
  dnsConfig: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: connector
      image: {{ include "twochat-connector.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - run
        - --config=/etc/twochat-connector/config.yaml
        {{- range .Values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      {{- with .Values.extraEnv }}
      env: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - { name: http, containerPort: {{ include "twochat-connector.adminPort" . }}, protocol: TCP }
      startupProbe: {{- include "twochat-connector.probe" (dict "path" "/healthz" "probe" .Values.startupProbe "root" .) | nindent 8 }}
      livenessProbe: {{- include "twochat-connector.probe" (dict "path" "/healthz" "probe" .Values.livenessProbe "root" .) | nindent 8 }}
      readinessProbe: {{- include "twochat-connector.probe" (dict "path" "/readyz" "probe" .Values.readinessProbe "root" .) | nindent 8 }}
      resources: {{- include "twochat-connector.resources" . | nindent 8 }}
      securityContext: {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - { name: config, mountPath: /etc/twochat-connector, readOnly: true }
        {{- if .Values.apiKey.existingSecret }}
        - { name: api-key, mountPath: /etc/twochat, readOnly: true }
        {{- end }}
        {{- range .Values.accountKeys }}
        - { name: account-{{ .name }}, mountPath: /etc/twochat-accounts/{{ .name }}, readOnly: true }
        {{- end }}
        {{- if .Values.adminToken.existingSecret }}
        - { name: admin-token, mountPath: /etc/twochat-admin, readOnly: true }
        {{- end }}
        {{- if .Values.adminTLS.existingSecret }}
        - { name: admin-tls, mountPath: /etc/twochat-admin-tls, readOnly: true }
        {{- end }}
        {{- range .Values.secretFiles }}
        - { name: secret-{{ .name }}, mountPath: /etc/twochat-secrets/{{ .name }}, readOnly: true }
        {{- end }}
        {{- if include "twochat-connector.data" . }}
        - { name: data, mountPath: {{ .Values.persistence.mountPath }} }
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "twochat-connector.fullname" . }}
    {{- with .Values.apiKey }}
    {{- if .existingSecret }}
    - name: api-key
      secret:
        secretName: {{ .existingSecret }}
        defaultMode: {{ $.Values.secretMode }}
        items:
          - { key: {{ .key }}, path: api-key }
    {{- end }}
    {{- end }}
    {{- range .Values.accountKeys }}
    - name: account-{{ .name }}
      secret:
        secretName: {{ .existingSecret }}
        defaultMode: {{ $.Values.secretMode }}
        items:
          - { key: {{ .key | default "api-key" }}, path: api-key }
    {{- end }}
    {{- with .Values.adminToken }}
    {{- if .existingSecret }}
    - name: admin-token
      secret:
        secretName: {{ .existingSecret }}
        defaultMode: {{ $.Values.secretMode }}
        items:
          - { key: {{ .key }}, path: token }
    {{- end }}
    {{- end }}
    {{- with .Values.adminTLS.existingSecret }}
    - name: admin-tls
      secret:
        secretName: {{ . }}
        defaultMode: {{ $.Values.secretMode }}
        items:
          - { key: tls.crt, path: tls.crt }
          - { key: tls.key, path: tls.key }
    {{- end }}
    {{- range .Values.secretFiles }}
    - name: secret-{{ .name }}
      secret:
        secretName: {{ .existingSecret }}
        defaultMode: {{ $.Values.secretMode }}
        {{- with .items }}
        items: {{- toYaml . | nindent 10 }}
        {{- end }}
    {{- end }}
    {{- if include "twochat-connector.data" . }}
    {{- if and (include "twochat-connector.persistent" .) .Values.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim }}
    {{- else if not (include "twochat-connector.persistent" .) }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
