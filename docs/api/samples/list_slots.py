search = urlencode({"visit_type_id": visit_type_id, "from": from_time, "limit": 2})
with urlopen(f"{base_url}/v1/slots?{search}") as response:
    slot, later_slot = json.load(response)["items"]
