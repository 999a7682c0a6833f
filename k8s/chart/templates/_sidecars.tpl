{{/* Containers that run beside ztag, or before it. */}}
{{- define "ztag.before" -}}
{{- if .Values.policy.bundle.url }}
- name: policy-bundle
  image: {{ include "ztag.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [python, -c]
  args:
    - |
      {{- .Files.Get "files/fetch.py" | nindent 6 }}
  env:
    - {name: URL, value: {{ .Values.policy.bundle.url | quote }}}
    - {name: SHA256, value: {{ .Values.policy.bundle.sha256 | quote }}}
    - {name: TARGET, value: /policies/bundle.tar.gz}
  securityContext: {{- include "ztag.containerSecurity" . | nindent 4 }}
  resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 192Mi}}
  volumeMounts:
    - {name: policy, mountPath: /policies}
    - {name: tmp, mountPath: /tmp}
{{- end }}
{{- if eq .Values.tls.mode "spiffe" }}
# Once before ztag, which needs the files to start; then beside it, to renew them.
- name: spiffe-first
  args: [-config, /etc/ztag/config/helper.conf, -daemon-mode=false]
  {{- include "ztag.spiffeHelper" . | nindent 2 }}
- name: spiffe-helper
  restartPolicy: Always
  args: [-config, /etc/ztag/config/helper.conf]
  {{- include "ztag.spiffeHelper" . | nindent 2 }}
{{- end }}
{{- if .Values.opa.enabled }}
- name: opa
  image: {{ .Values.opa.image }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  # On loopback: only ztag can ask it, and nobody can change its policies from outside.
  args: [run, --server, "--addr=127.0.0.1:8181", "--diagnostic-addr=0.0.0.0:8282", --disable-telemetry, --ignore=.*, /etc/ztag/policies]
  ports:
    - {name: http-opa, containerPort: 8282, protocol: TCP}
  startupProbe:
    httpGet: {path: "/health?bundles", port: http-opa}
    periodSeconds: 1
    failureThreshold: 60
  readinessProbe:
    httpGet: {path: /health, port: http-opa}
  livenessProbe:
    httpGet: {path: /health, port: http-opa}
    periodSeconds: 10
  securityContext: {{- include "ztag.containerSecurity" . | nindent 4 }}
  resources: {{- toYaml .Values.opa.resources | nindent 4 }}
  volumeMounts:
    - {name: policy, mountPath: /etc/ztag/policies, readOnly: true}
{{- end }}
{{- end -}}

{{- define "ztag.spiffeHelper" -}}
image: {{ .Values.tls.spiffe.helperImage }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- include "ztag.containerSecurity" . | nindent 2 }}
resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 64Mi}}
volumeMounts:
  - {name: config, mountPath: /etc/ztag/config, readOnly: true}
  - {name: tls, mountPath: /etc/ztag/tls}
  - {name: spiffe, mountPath: /run/spiffe, readOnly: true}
{{- end -}}
