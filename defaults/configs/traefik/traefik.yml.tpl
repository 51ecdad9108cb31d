# Traefik's static configuration, rendered from the workspace's environment.
# A plain configs/traefik/traefik.yml in the workspace replaces it.

global:
  checkNewVersion: false
  sendAnonymousUsage: false

entryPoints:
  http:
    address: ":80"
    http:
      redirections:
        entryPoint:
          to: https
          scheme: https
  https:
    address: ":443"
    http:
      middlewares:
        - compress@file
  # Not published: answers inside the networks only.
  traefik:
    address: ":8080"

providers:
  swarm:
    endpoint: "tcp://docker-socket-proxy:2375"
    network: "${DOCKER_FRONT_NETWORK}"
    exposedByDefault: false
  # What labels cannot say: TLS options, certificates of one's own.
  file:
    filename: /etc/traefik/dynamic.yml
    # A changed file is a new Swarm config, and so a new task.
    watch: false

certificatesResolvers:
  acme:
    acme:
      email: "${TRAEFIK_ACME_EMAIL}"
      caServer: "${TRAEFIK_ACME_SERVER}"
      storage: /acme/acme.json
      httpChallenge:
        entryPoint: http

# The dashboard is reached through its route, never without authentication.
api:
  dashboard: true
  insecure: false

ping:
  entryPoint: traefik

metrics:
  prometheus:
    entryPoint: traefik
    buckets: [0.1, 0.3, 1.2, 5.0]

# To standard output, where `docker service logs` and log shippers look.
log:
  level: INFO
  noColor: true
accessLog: {}
