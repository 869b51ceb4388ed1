#!/usr/bin/env bash
# The main job on a small cluster. Run from the top of the repository; WHITTLE names the binary.
set -euo pipefail
whittle=${WHITTLE:-.build/release/whittle}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export WHITTLE_DB=$folder/whittle.db
show() {
  printf '\n$ whittle %s\n' "$*"
  "$whittle" "$@" 2>&1 | sed "s|$folder/||g"
}
show load Fixtures/demo/cluster
show who-can get secrets -n shop
show can-i get secrets/cart-tls -n shop --as pod/shop/cart-6d5f7c9b8d-2xkqp
show permissions pod/orders-7c8d6f5b4-h7tnd -n shop | sed -n 1,6p
show usage load Fixtures/demo/audit.log
show usage list sa/cart -n shop
show propose sa/cart -n shop
"$whittle" propose sa/cart -n shop > "$folder/cart.yaml" 2> /dev/null
show verify "$folder/cart.yaml" --exact | sed "s|$folder/||"
