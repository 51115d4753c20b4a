{{/* What both containers have in common: environment, rights, mounts. */}}
{{- define "landfall.container" -}}
env:
  - { name: LANDFALL_CONFIG, value: /etc/landfall/landfall.yaml }
  - { name: LANDFALL_LOG_FORMAT, value: json }
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: { drop: [ALL] }
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  # state.dir is a directory inside the volume: the volume's root belongs to the storage, the directory to this user alone.
  - { name: state, mountPath: /var/lib/landfall }
  - { name: config, mountPath: /etc/landfall, readOnly: true }
  - { name: secrets, mountPath: /run/secrets/landfall, readOnly: true }
  - { name: token, mountPath: /run/secrets/landfall-token, readOnly: true }
  - { name: tls, mountPath: /run/secrets/landfall-tls, readOnly: true }
  {{- if .Values.store }}
  - { name: store, mountPath: /store, readOnly: true }
  {{- end }}
  - { name: tmp, mountPath: /tmp }
{{- end }}
