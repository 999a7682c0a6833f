{{/* Containers that run beside ztag, or before it. */}}
{{- define "ztag.before" -}}
{{- if .Values.policy.bundle.url }}
- name: policy-bundle
  image: {{ include "ztag.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [python, -c]
  args:
    - |
      import hashlib, os, urllib.request
      with urllib.request.urlopen(os.environ["URL"], timeout=30) as response:
          bundle = response.read(64 * 1024 * 1024)
      found = hashlib.sha256(bundle).hexdigest()
      if found != os.environ["SHA256"]:
          raise SystemExit(f"the bundle's digest is {found}, not policy.bundle.sha256: {os.environ['SHA256']}")
      with open("/policies/bundle.tar.gz", "wb") as file:
          file.write(bundle)
  env:
    - {name: URL, value: {{ .Values.policy.bundle.url | quote }}}
    - {name: SHA256, value: {{ .Values.policy.bundle.sha256 | quote }}}
  securityContext: {{- include "ztag.containerSecurity" . | nindent 4 }}
  resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 192Mi}}
  volumeMounts:
    - {name: policy, mountPath: /policies}
    - {name: tmp, mountPath: /tmp}
{{- end }}
{{- if eq .Values.tls.mode "spiffe" }}
- name: spiffe-helper
  image: {{ .Values.tls.spiffe.helperImage }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  args: [-config, /etc/ztag/config/helper.conf]
  securityContext: {{- include "ztag.containerSecurity" . | nindent 4 }}
  resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 64Mi}}
  volumeMounts:
    - {name: config, mountPath: /etc/ztag/config, readOnly: true}
    - {name: tls, mountPath: /etc/ztag/tls}
    - {name: spiffe, mountPath: /run/spiffe, readOnly: true}
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
