const signIn = await fetch(`${baseUrl}/v1/sessions`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ email, password }),
});
if (!signIn.ok) throw new Error(await signIn.text());
const { access_token: token } = await signIn.json();
