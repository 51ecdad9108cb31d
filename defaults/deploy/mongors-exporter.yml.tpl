# Metrics of the replica set, for Prometheus: an exporter beside each server.
#
# A template for the reason that mongors.yml.tpl tells.
# Reads PROMETHEUS_MONGODB_EXPORTER_*, MONGORS_NAME, DOCKER_BACK_NETWORK.
version: "3.8"

services:
  ${MONGORS_NAME}0-exporter:
    image: ${PROMETHEUS_MONGODB_EXPORTER_IMAGE}:${PROMETHEUS_MONGODB_EXPORTER_TAG}
    command: ["--mongodb.uri=mongodb://${MONGORS_NAME}0:27017", "--mongodb.direct-connect", "--collect-all", "--compatible-mode"]
    networks:
      - kargo-back-network
    deploy:
      replicas: 1
      placement:
        constraints:
          - node.labels.${MONGORS_NAME}0 == true
      resources:
        limits:
          memory: 128M
        reservations:
          memory: 64M
      labels:
        prometheus.job: mongodb
        prometheus.port: "9216"
        prometheus.updateInstance: "true"
  ${MONGORS_NAME}1-exporter:
    image: ${PROMETHEUS_MONGODB_EXPORTER_IMAGE}:${PROMETHEUS_MONGODB_EXPORTER_TAG}
    command: ["--mongodb.uri=mongodb://${MONGORS_NAME}1:27017", "--mongodb.direct-connect", "--collect-all", "--compatible-mode"]
    networks:
      - kargo-back-network
    deploy:
      replicas: 1
      placement:
        constraints:
          - node.labels.${MONGORS_NAME}1 == true
      resources:
        limits:
          memory: 128M
        reservations:
          memory: 64M
      labels:
        prometheus.job: mongodb
        prometheus.port: "9216"
        prometheus.updateInstance: "true"
  ${MONGORS_NAME}2-exporter:
    image: ${PROMETHEUS_MONGODB_EXPORTER_IMAGE}:${PROMETHEUS_MONGODB_EXPORTER_TAG}
    command: ["--mongodb.uri=mongodb://${MONGORS_NAME}2:27017", "--mongodb.direct-connect", "--collect-all", "--compatible-mode"]
    networks:
      - kargo-back-network
    deploy:
      replicas: 1
      placement:
        constraints:
          - node.labels.${MONGORS_NAME}2 == true
      resources:
        limits:
          memory: 128M
        reservations:
          memory: 64M
      labels:
        prometheus.job: mongodb
        prometheus.port: "9216"
        prometheus.updateInstance: "true"

networks:
  kargo-back-network:
    external: true
    name: ${DOCKER_BACK_NETWORK}
