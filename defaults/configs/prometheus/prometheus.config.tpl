# What Prometheus asks for metrics, and what it makes of them.
#
# A plain configs/prometheus/prometheus.config in the workspace replaces this
# file; a prometheus.yml beside it has no effect.

global:
  scrape_interval: 15s
  evaluation_interval: 15s
  external_labels:
    monitor: Prometheus

rule_files:
  - /etc/prometheus/rules/*.yml

alerting:
  alertmanagers:
    - static_configs:
        - targets: ["alertmanager:9093"]

scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ["localhost:9090"]

  # Each by its name; there is one of either.
  - job_name: monitoring
    static_configs:
      - targets: ["alertmanager:9093"]
        labels: {service: alertmanager}
      - targets: ["pushgateway:9091"]
        labels: {service: pushgateway}
    # Pushed metrics keep the job and instance that they were pushed with.
    honor_labels: true

  # Kargo itself, which is not among the stacks it keeps.
  - job_name: kargo
    authorization:
      credentials_file: /run/secrets/prometheus_kargo_token
    static_configs:
      - targets: [${PROMETHEUS_KARGO_TARGETS}]

  - job_name: additional
    static_configs:
      - targets: [${PROMETHEUS_ADDITIONAL_TARGETS}]

  - job_name: node-exporter
    dockerswarm_sd_configs:
      - host: tcp://docker-socket-proxy:2375
        role: tasks
        port: 9100
    relabel_configs:
      - source_labels: [__meta_dockerswarm_service_name, __meta_dockerswarm_task_desired_state, __meta_dockerswarm_network_name]
        regex: .+_node-exporter;running;${DOCKER_BACK_NETWORK}
        action: keep
      - source_labels: [__meta_dockerswarm_node_hostname]
        target_label: instance

  - job_name: cadvisor
    dockerswarm_sd_configs:
      - host: tcp://docker-socket-proxy:2375
        role: tasks
        port: 8080
    relabel_configs:
      - source_labels: [__meta_dockerswarm_service_name, __meta_dockerswarm_task_desired_state, __meta_dockerswarm_network_name]
        regex: .+_cadvisor;running;${DOCKER_BACK_NETWORK}
        action: keep
      - source_labels: [__meta_dockerswarm_node_hostname]
        target_label: instance
    metric_relabel_configs:
      # Containers of no service: without name and id, one could not be told
      # from another.
      - source_labels: [__name__, container_label_com_docker_swarm_service_name]
        regex: container_.+;
        action: drop
      # kargo-<stack>_<service>, as Kargo names the services of Swarm.
      - source_labels: [container_label_com_docker_swarm_service_name]
        regex: (?:kargo-)?([^_]+)_(.+)
        target_label: stack
        replacement: $1
      - source_labels: [container_label_com_docker_swarm_service_name]
        regex: (?:kargo-)?([^_]+)_(.+)
        target_label: service
        replacement: $2
      - regex: name|id|image
        action: labeldrop

  # Every service that says so in its deploy.labels: prometheus.job and
  # prometheus.port, and prometheus.updateInstance where the name of the node
  # says more than an address. On the back network, or, as Traefik, on the
  # socket network.
  - job_name: user-scrape-jobs-noupdate
    dockerswarm_sd_configs: &swarm
      - host: tcp://docker-socket-proxy:2375
        role: tasks
    relabel_configs:
      - source_labels: [__meta_dockerswarm_service_label_prometheus_job, __meta_dockerswarm_task_desired_state]
        regex: .+;running
        action: keep
      - source_labels: [__meta_dockerswarm_service_label_prometheus_updateInstance]
        regex: "true"
        action: drop
      - source_labels: [__meta_dockerswarm_network_name]
        regex: ${DOCKER_BACK_NETWORK}|${DOCKER_SOCKET_NETWORK}
        action: keep
      - source_labels: [__meta_dockerswarm_service_label_prometheus_job]
        target_label: job
      - source_labels: [__address__, __meta_dockerswarm_service_label_prometheus_port]
        regex: (.+):\d+;(\d+)
        target_label: __address__
        replacement: $1:$2
      - source_labels: [__meta_dockerswarm_node_hostname]
        target_label: docker_node

  - job_name: user-scrape-jobs-update
    dockerswarm_sd_configs: *swarm
    relabel_configs:
      - source_labels: [__meta_dockerswarm_service_label_prometheus_job, __meta_dockerswarm_task_desired_state]
        regex: .+;running
        action: keep
      - source_labels: [__meta_dockerswarm_service_label_prometheus_updateInstance]
        regex: "true"
        action: keep
      - source_labels: [__meta_dockerswarm_network_name]
        regex: ${DOCKER_BACK_NETWORK}|${DOCKER_SOCKET_NETWORK}
        action: keep
      - source_labels: [__meta_dockerswarm_service_label_prometheus_job]
        target_label: job
      - source_labels: [__address__, __meta_dockerswarm_service_label_prometheus_port]
        regex: (.+):\d+;(\d+)
        target_label: __address__
        replacement: $1:$2
      - source_labels: [__meta_dockerswarm_node_hostname]
        target_label: docker_node
      - source_labels: [__meta_dockerswarm_node_hostname]
        target_label: instance
