{{- define "ztag.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ .Values.sharedMemory }}}
- name: state
  emptyDir: {sizeLimit: {{ .Values.state }}}
- name: config
  configMap: {name: {{ include "ztag.fullname" . }}}
- name: policy
  {{- if .Values.policy.bundle.url }}
  emptyDir: {sizeLimit: 256Mi}
  {{- else }}
  configMap: {name: {{ include "ztag.policyMap" . }}}
  {{- end }}
{{- if has .Values.tls.mode (list "secret" "certManager") }}
- name: tls
  secret: {secretName: {{ include "ztag.tlsSecret" . }}, defaultMode: 0440}
{{- else if eq .Values.tls.mode "spiffe" }}
- name: tls
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: spiffe
  csi: {driver: csi.spiffe.io, readOnly: true}
{{- end }}
{{- range concat .Values.secrets.existing (include "ztag.externalMounts" . | fromYamlArray) }}
- name: secret-{{ .name }}
  secret: {secretName: {{ .secretName }}, defaultMode: 0440}
{{- end }}
{{- if ne .Values.redis.mode "none" }}
- name: redis
  projected:
    defaultMode: 0440
    sources:
      - configMap: {name: {{ include "ztag.fullname" . }}-redis, items: [{key: url, path: url}]}
      - secret: {name: {{ .Values.redis.credentialsSecret }}, items: [{key: username, path: username}, {key: password, path: password}]}
      - secret: {name: {{ .Values.redis.tlsSecret }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with .Values.serviceAccount.tokenAudience }}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {audience: {{ . | quote }}, expirationSeconds: {{ $.Values.serviceAccount.tokenExpirationSeconds }}, path: token}
{{- end }}
{{- end -}}

{{- define "ztag.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: shared-memory, mountPath: /dev/shm}
- {name: state, mountPath: /var/lib/ztag}
- {name: config, mountPath: /etc/ztag/config, readOnly: true}
- {name: policy, mountPath: /etc/ztag/policies, readOnly: true}
{{- if ne .Values.tls.mode "mesh" }}
- {name: tls, mountPath: /etc/ztag/tls, readOnly: true}
{{- end }}
{{- range concat .Values.secrets.existing (include "ztag.externalMounts" . | fromYamlArray) }}
- {name: secret-{{ .name }}, mountPath: /etc/ztag/secrets/{{ .name }}, readOnly: true}
{{- end }}
{{- if ne .Values.redis.mode "none" }}
- {name: redis, mountPath: /etc/ztag/redis, readOnly: true}
{{- end }}
{{- if .Values.serviceAccount.tokenAudience }}
- {name: token, mountPath: /var/run/secrets/ztag, readOnly: true}
{{- end }}
{{- end -}}

{{/* The Secrets that External Secrets writes, as if they were existing ones. */}}
{{- define "ztag.externalMounts" -}}
{{- $mounts := list -}}
{{- range .Values.secrets.external -}}
{{- $mounts = append $mounts (dict "name" .name "secretName" (printf "%s-%s" (include "ztag.fullname" $) .name)) -}}
{{- end -}}
{{- toYaml $mounts -}}
{{- end -}}
