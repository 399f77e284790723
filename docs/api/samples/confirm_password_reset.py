request = Request(
    f"{base_url}/v1/password-resets/confirm",
    headers={"Content-Type": "application/json"},
    data=json.dumps({"token": password_token, "new_password": password}).encode(),
)
urlopen(request)
