request = Request(
    f"{base_url}/v1/registrations",
    headers={"Content-Type": "application/json"},
    data=json.dumps({
        "email": email,
        "relation": "self",
        "patient": {
            "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14",
            "administrative_sex": "female", "preferred_language": "en", "interpreter_needed": False,
        },
    }).encode(),
)
urlopen(request)  # 202; raises HTTPError for an error
# A mail to the address has a link with a token. Read `token_of_the_mail` from it.
