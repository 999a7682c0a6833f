{{/* What the schema cannot see: rules between values. Each message names the value and the remedy. */}}
{{- define "ztag.validate" -}}
{{- if gt (int (dig "server" "workers" 1 .Values.config)) 1 -}}
{{- fail "config.server.workers: a connection stays with one process, and the Service knows one port; leave it at 1 and scale pods with autoscaling.minReplicas" -}}
{{- end -}}
{{- if and (ne .Values.tls.mode "mesh") (not .Values.tls.allowedClients) -}}
{{- fail (printf "tls.allowedClients: tls.mode %s lets nobody in without it; list the SPIFFE ids or DNS names of the Envoys that may ask" .Values.tls.mode) -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "secret") (not .Values.tls.secretName) -}}
{{- fail "tls.secretName: tls.mode secret needs it; name a kubernetes.io/tls Secret that also has ca.crt" -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "certManager") (not .Values.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name: tls.mode certManager needs it; name the Issuer or ClusterIssuer" -}}
{{- end -}}
{{- if lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas) -}}
{{- fail "autoscaling.maxReplicas: is below autoscaling.minReplicas; raise it" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not (dig "requests" "cpu" "" .Values.resources)) -}}
{{- fail "resources.requests.cpu: autoscaling computes its percentage from it; set it, or set autoscaling.enabled: false" -}}
{{- end -}}
{{- if eq (int .Values.service.port) (int .Values.service.adminPort) -}}
{{- fail "service.adminPort: is service.port too; take another port" -}}
{{- end -}}
{{- with .Values.service.revocationPort -}}
{{- if has (int .) (list (int $.Values.service.port) (int $.Values.service.adminPort)) -}}
{{- fail "service.revocationPort: is service.port or service.adminPort too; take another port" -}}
{{- end -}}
{{- $revocation := $.Values.config.revocation | default dict -}}
{{- if not (or $revocation.operators $revocation.transmitters) -}}
{{- fail "service.revocationPort: nobody may revoke there; add config.revocation.operators or config.revocation.transmitters" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.policy.bundle.url (not .Values.policy.bundle.sha256) -}}
{{- fail "policy.bundle.sha256: policy.bundle.url needs it; put in the digest of the bundle (sha256sum bundle.tar.gz)" -}}
{{- end -}}
{{- if and .Values.policy.bundle.url (not (contains "/etc/ztag/policies/bundle.tar.gz" (toYaml .Values.config))) -}}
{{- fail "config.authorization: nothing reads the bundle of policy.bundle.url; write policies: [/etc/ztag/policies/bundle.tar.gz]" -}}
{{- end -}}
{{- include "ztag.validateStores" . -}}
{{- if .Values.istio.enabled -}}{{- include "ztag.validateIstio" . -}}{{- end -}}
{{- if and .Values.envoyGateway.enabled (not .Values.envoyGateway.targetRefs) -}}
{{- fail "envoyGateway.targetRefs: is empty, so nothing would ask ztag; name a Gateway or a route" -}}
{{- end -}}
{{- end -}}

{{- define "ztag.validateStores" -}}
{{- if and (eq .Values.redis.mode "external") (not .Values.redis.url) -}}
{{- fail "redis.url: redis.mode external needs it; write rediss://host:port" -}}
{{- end -}}
{{- if and (ne .Values.redis.mode "none") (not .Values.redis.credentialsSecret) -}}
{{- fail "redis.credentialsSecret: Redis is not used without an ACL user; name a Secret with username and password" -}}
{{- end -}}
{{- if and (ne .Values.redis.mode "none") (not .Values.redis.tlsSecret) -}}
{{- fail "redis.tlsSecret: Redis is not used without TLS; name a Secret with ca.crt" -}}
{{- end -}}
{{- if and .Values.secrets.vault.files (not .Values.secrets.vault.role) -}}
{{- fail "secrets.vault.role: secrets.vault.files needs it; name the role of Vault's Kubernetes authentication" -}}
{{- end -}}
{{- end -}}

{{- define "ztag.validateIstio" -}}
{{- $own := merge (include "ztag.selector" . | fromYaml) .Values.podLabels -}}
{{- $closed := list .Release.Namespace .Values.istio.rootNamespace -}}
{{- if ne .Values.tls.mode "mesh" -}}
{{- fail (printf "istio.enabled: an extension provider speaks the mesh's own mTLS, not that of tls.mode %s; set tls.mode: mesh" .Values.tls.mode) -}}
{{- end -}}
{{- range $key, $wanted := .Values.istio.filter -}}
{{- if and $wanted (eq $.Values.istio.mode "ambient") -}}
{{- fail (printf "istio.filter.%s: a waypoint takes no EnvoyFilter for a Service and never sees the caller's certificate; leave it off, and bind tokens by DPoP" $key) -}}
{{- end -}}
{{- end -}}
{{- if not (regexMatch "^([0-9]+(\\.[0-9]+)?|\\.[0-9]+)(ms|s)$" .Values.istio.provider.timeout) -}}
{{- fail (printf "istio.provider.timeout: %q is no duration, and without one Istio waits 600 s; write one such as 0.5s or 250ms" .Values.istio.provider.timeout) -}}
{{- end -}}
{{- range $index, $entry := .Values.istio.protect -}}
{{- $where := printf "istio.protect[%d] (%s)" $index $entry.name -}}
{{- if and $entry.selector $entry.targetRefs -}}
{{- fail (printf "%s: selector and targetRefs exclude each other; keep targetRefs for gateways and waypoints, selector for sidecars" $where) -}}
{{- end -}}
{{- if and (eq $.Values.istio.mode "ambient") (not $entry.targetRefs) -}}
{{- fail (printf "%s: ztunnel does not enforce CUSTOM and waypoints ignore selectors, so nothing would be checked; set targetRefs to the Service or the waypoint's Gateway" $where) -}}
{{- end -}}
{{- if and (eq $.Values.istio.mode "ambient") (not $entry.waypoint) -}}
{{- fail (printf "%s: whoever knows a pod's address passes the waypoint by; set waypoint.serviceAccount and waypoint.workloads" $where) -}}
{{- end -}}
{{- if and (has $entry.namespace $closed) (not $entry.selector) (not $entry.targetRefs) -}}
{{- fail (printf "%s: without a selector in namespace %s it selects ztag itself, which would ask itself for ever; add a selector, e.g. {ztag.dev/enforced: \"true\"}" $where $entry.namespace) -}}
{{- end -}}
{{- if and $entry.selector (has $entry.namespace $closed) -}}
{{- $matches := true -}}
{{- range $key, $value := $entry.selector -}}{{- if ne (get $own $key | toString) $value -}}{{- $matches = false -}}{{- end -}}{{- end -}}
{{- if $matches -}}
{{- fail (printf "%s: its selector matches ztag's own pods, which would ask themselves for ever; choose labels that they do not have" $where) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
