# Who hears of alerts. A plain configs/prometheus/alertmanager.yml in the
# workspace replaces it.

route:
  receiver: slack
  group_by: [alertname]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h

receivers:
  - name: slack
    slack_configs:
      # Holds SLACK_WEBHOOK_URL. Without one alerts show in Alertmanager only,
      # which logs that it could not pass them on.
      - api_url_file: /run/secrets/alertmanager_slack_webhook_url
        channel: "${SLACK_CHANNEL}"
        send_resolved: true
        title: "${SUBDOMAIN}"
        text: '{{ range .Alerts }}{{ .Annotations.summary }}{{ "\n" }}{{ end }}'
