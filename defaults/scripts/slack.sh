# shellcheck shell=bash
# Messages to Slack, through SLACK_WEBHOOK_URL; SUBDOMAIN says where from.
[[ -n ${K_SLACK-} ]] && return
K_SLACK=1

# notify_slack MESSAGE [default|good|danger]
notify_slack() {
  local body
  body=$(jq --null-input --arg title "${SUBDOMAIN-}" --arg text "$1" --arg color "${2:-default}" \
    '{attachments: [{title: $title, text: $text, color: $color}]}') || return
  # The address is a secret: not on a command line.
  curl --silent --show-error --fail --output /dev/null --header 'Content-Type: application/json' \
    --data "$body" --config <(printf 'url = "%s"\n' "${SLACK_WEBHOOK_URL:?}")
}

notify_slack_good() { notify_slack "$1" good; }
notify_slack_danger() { notify_slack "$1" danger; }
