{{/* What a policy is attached to: the selector or the targetRefs of an entry. */}}
{{- define "ztag.attach" -}}
{{- if .targetRefs }}
targetRefs: {{- toYaml .targetRefs | nindent 2 }}
{{- else if .selector }}
selector:
  matchLabels: {{- toYaml .selector | nindent 4 }}
{{- end }}
{{- end -}}

{{/* Which requests of an entry are asked about: only what CUSTOM may match on. */}}
{{- define "ztag.customRules" -}}
{{- $operation := pick . "hosts" "notHosts" "ports" "methods" "paths" "notPaths" -}}
{{- if $operation }}
- to:
    - operation: {{- toYaml $operation | nindent 8 }}
{{- else }}
- {}
{{- end }}
{{- end -}}

{{/* The extension provider, which belongs into MeshConfig and so cannot be an object of this chart. */}}
{{- define "ztag.provider" -}}
extensionProviders:
- name: {{ .Values.istio.provider.name }}
  envoyExtAuthzGrpc:
    service: {{ include "ztag.host" . }}
    port: {{ .Values.service.port }}
    timeout: {{ .Values.istio.provider.timeout }}
    statusOnError: {{ .Values.istio.provider.statusOnError | quote }}
    {{- if .Values.istio.provider.failOpen }}
    failOpen: true
    {{- end }}
    {{- if .Values.istio.provider.maxRequestBytes }}
    includeRequestBodyInCheck:
      maxRequestBytes: {{ .Values.istio.provider.maxRequestBytes }}
      allowPartialMessage: {{ .Values.istio.provider.allowPartialMessage }}
      packAsBytes: true
    {{- end }}
{{- end -}}

{{- define "ztag.filterConfig" -}}
{{- $filter := .Values.istio.filter -}}
"@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
{{- if $filter.includePeerCertificate }}
include_peer_certificate: true
{{- end }}
{{- if $filter.includeTlsSession }}
include_tls_session: true
{{- end }}
{{- if $filter.clearRouteCache }}
clear_route_cache: true
{{- end }}
{{- end -}}
