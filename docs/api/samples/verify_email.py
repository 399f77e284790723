request = Request(
    f"{base_url}/v1/email-verifications",
    headers={"Content-Type": "application/json"},
    data=json.dumps({"token": token_of_the_mail}).encode(),
)
with urlopen(request) as response:
    password_token = json.load(response)["password_token"]
