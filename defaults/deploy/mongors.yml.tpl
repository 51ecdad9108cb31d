# Three MongoDB servers that form a replica set named ${MONGORS_NAME}, each on the
# node with the label ${MONGORS_NAME}0, 1 or 2 set to true. The set has to be
# initiated once, by hand: docs/catalogue.md says how.
#
# A template, since the names of services cannot come from a variable in a
# compose file: ${MONGORS_NAME} is replaced before the file is read, and nothing
# else; the other variables are.
# Reads MONGORS_*, DOCKER_BACK_NETWORK.
version: "3.8"

# To share a node with others, each server has to know how much memory is its.
x-required:
  - ${MONGORS_MEMORY_LIMIT:?set MONGORS_MEMORY_LIMIT, what each server may take, such as 2G, in .env}

services:
  ${MONGORS_NAME}0:
    image: ${MONGORS_IMAGE}:${MONGORS_TAG}
    command: ["mongod", "--config", "/etc/mongo/mongod.conf"]
    networks:
      - kargo-back-network
    volumes:
      # A named volume, or with the prefix a directory of the node.
      - ${MONGORS_VOLUME_PATH}${MONGORS_NAME}0_data:/data/db
    configs:
      - source: ${MONGORS_NAME}0_conf
        target: /etc/mongo/mongod.conf
    healthcheck:
      # Answers also before the set is initiated, so that it can be.
      test: ["CMD", "mongosh", "--quiet", "--eval", "quit(db.runCommand({ ping: 1 }).ok ? 0 : 1)"]
      interval: 30s
      timeout: 10s
      retries: 3
      start_period: 1m
    deploy:
      replicas: 1
      restart_policy:
        condition: on-failure
      placement:
        constraints:
          - node.labels.${MONGORS_NAME}0 == true
      resources:
        limits:
          memory: ${MONGORS_MEMORY_LIMIT}
  ${MONGORS_NAME}1:
    image: ${MONGORS_IMAGE}:${MONGORS_TAG}
    command: ["mongod", "--config", "/etc/mongo/mongod.conf"]
    networks:
      - kargo-back-network
    volumes:
      # A named volume, or with the prefix a directory of the node.
      - ${MONGORS_VOLUME_PATH}${MONGORS_NAME}1_data:/data/db
    configs:
      - source: ${MONGORS_NAME}1_conf
        target: /etc/mongo/mongod.conf
    healthcheck:
      # Answers also before the set is initiated, so that it can be.
      test: ["CMD", "mongosh", "--quiet", "--eval", "quit(db.runCommand({ ping: 1 }).ok ? 0 : 1)"]
      interval: 30s
      timeout: 10s
      retries: 3
      start_period: 1m
    deploy:
      replicas: 1
      restart_policy:
        condition: on-failure
      placement:
        constraints:
          - node.labels.${MONGORS_NAME}1 == true
      resources:
        limits:
          memory: ${MONGORS_MEMORY_LIMIT}
  ${MONGORS_NAME}2:
    image: ${MONGORS_IMAGE}:${MONGORS_TAG}
    command: ["mongod", "--config", "/etc/mongo/mongod.conf"]
    networks:
      - kargo-back-network
    volumes:
      # A named volume, or with the prefix a directory of the node.
      - ${MONGORS_VOLUME_PATH}${MONGORS_NAME}2_data:/data/db
    configs:
      - source: ${MONGORS_NAME}2_conf
        target: /etc/mongo/mongod.conf
    healthcheck:
      # Answers also before the set is initiated, so that it can be.
      test: ["CMD", "mongosh", "--quiet", "--eval", "quit(db.runCommand({ ping: 1 }).ok ? 0 : 1)"]
      interval: 30s
      timeout: 10s
      retries: 3
      start_period: 1m
    deploy:
      replicas: 1
      restart_policy:
        condition: on-failure
      placement:
        constraints:
          - node.labels.${MONGORS_NAME}2 == true
      resources:
        limits:
          memory: ${MONGORS_MEMORY_LIMIT}

networks:
  kargo-back-network:
    external: true
    name: ${DOCKER_BACK_NETWORK}

volumes:
  ${MONGORS_NAME}0_data:
  ${MONGORS_NAME}1_data:
  ${MONGORS_NAME}2_data:

configs:
  ${MONGORS_NAME}0_conf:
    file: ./../configs/mongors/mongodb.conf
  ${MONGORS_NAME}1_conf:
    file: ./../configs/mongors/mongodb.conf
  ${MONGORS_NAME}2_conf:
    file: ./../configs/mongors/mongodb.conf
