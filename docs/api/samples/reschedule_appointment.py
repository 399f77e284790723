request = Request(
    f"{base_url}/v1/appointments/{appointment['id']}/reschedule",
    headers={
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": f"move-{appointment['id']}-{later_slot['id']}",
    },
    data=json.dumps({"slot_id": later_slot["id"]}).encode(),
)
with urlopen(request) as response:
    moved = json.load(response)
