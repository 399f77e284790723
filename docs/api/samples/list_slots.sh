slots=$(curl -sS --fail-with-body --get "$base_url/v1/slots" \
  -d "visit_type_id=$visit_type_id" -d "from=$from" -d limit=2)
slot_id=$(jq -r '.items[0].id' <<<"$slots") later_slot_id=$(jq -r '.items[1].id' <<<"$slots")
