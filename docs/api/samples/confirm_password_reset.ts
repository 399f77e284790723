const passwordSet = await fetch(`${baseUrl}/v1/password-resets/confirm`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ token: password_token, new_password: password }),
});
if (!passwordSet.ok) throw new Error(await passwordSet.text());
