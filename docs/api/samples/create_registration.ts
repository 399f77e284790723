const registered = await fetch(`${baseUrl}/v1/registrations`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    email,
    relation: "self",
    patient: {
      given_name: "Ann", family_name: "Example", date_of_birth: "1967-09-14",
      administrative_sex: "female", preferred_language: "en", interpreter_needed: false,
    },
  }),
});
if (registered.status !== 202) throw new Error(await registered.text());
// A mail to the address has a link with a token. Read `tokenOfTheMail` from it.
