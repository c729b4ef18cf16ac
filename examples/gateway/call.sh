#!/usr/bin/env bash
# The gateway with nothing but curl: a call, a mistake, and ten seconds of events.
#   export LIENTHONG_TOKEN=$(lienthong token --subject curl --scope events.read --scope environment.read)
#   examples/gateway/call.sh https://127.0.0.1:8443 .lienthong/credentials/ca.pem
set -euo pipefail
gateway=$1 ca=$2

ask() { curl --silent --show-error --cacert "$ca" --header "Authorization: Bearer $LIENTHONG_TOKEN" "$@"; }

echo "stations:"
ask "$gateway/environment/v1/stations?pageSize=5"
echo

echo "a station nobody registered:"
ask "$gateway/environment/v1/stations/nowhere"
echo

echo "events, one a line:"
ask --no-buffer --max-time "${SECONDS_OF_EVENTS:-10}" "$gateway/events/v1/events:subscribe" || [[ $? == 28 ]]
