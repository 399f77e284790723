const account = await fetch(`${baseUrl}/v1/me`, { headers: { Authorization: `Bearer ${token}` } });
if (!account.ok) throw new Error(await account.text());
const patientId = (await account.json()).patients[0].id;
