request = Request(
    f"{base_url}/v1/appointments/{appointment['id']}/cancel",
    headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    data=json.dumps({"reason": "I am away that week."}).encode(),
)
with urlopen(request) as response:
    print(json.load(response)["status"])
