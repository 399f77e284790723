const verification = await fetch(`${baseUrl}/v1/email-verifications`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ token: tokenOfTheMail }),
});
if (!verification.ok) throw new Error(await verification.text());
const { password_token } = await verification.json();
