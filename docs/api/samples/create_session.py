request = Request(
    f"{base_url}/v1/sessions",
    headers={"Content-Type": "application/json"},
    data=json.dumps({"email": email, "password": password}).encode(),
)
with urlopen(request) as response:
    token = json.load(response)["access_token"]
