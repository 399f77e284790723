const visitTypes = await fetch(`${baseUrl}/v1/visit-types`);
if (!visitTypes.ok) throw new Error(await visitTypes.text());
const bookable = (await visitTypes.json()).items.filter((one) => one.online_bookable);
const visitTypeId = bookable[0].id;
