{{- define "kargo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
The name of the release, alone if it contains the name of the chart. At most 52 characters:
Kubernetes adds 11 for a label of the pods of a StatefulSet, which may have 63.
*/}}
{{- define "kargo.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "kargo.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "kargo.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Must not change during the life of a release: the selector of a StatefulSet is immutable. */}}
{{- define "kargo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kargo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kargo.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "kargo.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "kargo.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "kargo.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The image by its digest, or else by its tag. Docker's other form, with both, is not read by all runtimes. */}}
{{- define "kargo.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The affinity of the values. Several replicas prefer nodes of their own, unless the values say otherwise. */}}
{{- define "kargo.affinity" -}}
{{- $apart := dict }}
{{- if gt (int .Values.replicas) 1 }}
{{- $labels := include "kargo.selectorLabels" . | fromYaml }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels) }}
{{- $preferred := list (dict "weight" 100 "podAffinityTerm" $term) }}
{{- $apart = dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $preferred) }}
{{- end }}
{{- if hasKey .Values.affinity "podAntiAffinity" }}
{{- $apart = dict }}
{{- end }}
{{- toYaml (merge $apart .Values.affinity) }}
{{- end }}

{{/*
The secrets of a release: the name of the volume, the Secret, and which of its keys
becomes which file; without "files", all keys under their own names. Each is mounted
as a directory below /etc/kargo, because everyone who may read the pod could read a
value in the environment.
*/}}
{{- define "kargo.secrets" -}}
docker:
  secret: {{ .Values.docker.tls.existingSecret }}
  files:
    ca.pem: {{ .Values.docker.tls.caKey }}
    cert.pem: {{ .Values.docker.tls.certKey }}
    key.pem: {{ .Values.docker.tls.privateKeyKey }}
{{- with .Values.git.https }}
{{- if .existingSecret }}
git-https:
  secret: {{ .existingSecret }}
  files:
    password: {{ .passwordKey }}
{{- end }}
{{- end }}
{{- with .Values.git.ssh }}
{{- if .existingSecret }}
git-ssh:
  secret: {{ .existingSecret }}
  files:
    key: {{ .privateKeyKey }}
    known_hosts: {{ .knownHostsKey }}
{{- end }}
{{- end }}
{{- with .Values.webhook }}
{{- if .existingSecret }}
webhook:
  secret: {{ .existingSecret }}
  files:
    secret: {{ .secretKey }}
{{- end }}
{{- end }}
{{- with .Values.api }}
{{- if .existingSecret }}
api:
  secret: {{ .existingSecret }}
  files:
    token: {{ .tokenKey }}
{{- end }}
{{- end }}
{{- range $variable, $from := .Values.secretFiles }}
{{ include "kargo.fileVolume" $variable }}:
  secret: {{ $from.existingSecret }}
  files:
    value: {{ $from.key }}
{{- end }}
{{- with .Values.references.existingSecret }}
references:
  secret: {{ . }}
{{- end }}
{{- end }}

{{/* The volume of a variable: KARGO_SOPS_AGE_KEY is in file-sops-age-key. */}}
{{- define "kargo.fileVolume" -}}
file-{{ trimPrefix "KARGO_" . | lower | replace "_" "-" }}
{{- end }}

{{/* Refuses values that cannot work, with messages that say what to change. */}}
{{- define "kargo.validate" -}}
{{- $repo := required "set repo to the workspace repository, such as https://git.example.com/team/workspace.git" .Values.repo }}
{{- $_ := required "set docker.host to a manager of the Swarm, such as tcp://manager.example.com:2376" .Values.docker.host }}
{{- $_ := required "set docker.tls.existingSecret to the Secret with ca.pem, cert.pem and key.pem for docker.host" .Values.docker.tls.existingSecret }}
{{- $https := .Values.git.https.existingSecret }}
{{- $ssh := .Values.git.ssh.existingSecret }}
{{- if hasPrefix "https://" $repo }}
{{- if $ssh }}
{{- fail "git.ssh is for repositories over ssh, and repo begins with https://: use git.https" }}
{{- end }}
{{- else if $https }}
{{- fail "git.https is for repositories over https, and repo is reached over ssh: use git.ssh" }}
{{- else if not $ssh }}
{{- fail "set git.ssh.existingSecret to the Secret with the private key and the known hosts: repo is reached over ssh" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "set ingress.host, the host name that the git host sends webhooks to" }}
{{- end }}
{{- if gt (int .Values.replicas) 1 }}
{{- if and .Values.persistence.enabled .Values.persistence.existingClaim }}
{{- fail "persistence.existingClaim is for one replica: with several, leave it empty, and each gets a claim of its own" }}
{{- end }}
{{- if not .Values.api.existingSecret }}
{{- fail "set api.existingSecret: without it, each replica makes a token of its own, and the service sends requests to any of them" }}
{{- end }}
{{- end }}
{{- with .Values.networkPolicy }}
{{- if and .enabled (not .ingressFrom) }}
{{- if $.Values.ingress.enabled }}
{{- fail "set networkPolicy.ingressFrom to the namespace of the ingress controller: without it nobody can open the port" }}
{{- else if ne $.Values.service.type "ClusterIP" }}
{{- fail (printf "set networkPolicy.ingressFrom to who may use the service of type %s: without it nobody can open the port" $.Values.service.type) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
