// Before the samples in TypeScript, which need Node.js 20 or a browser. `tokenOfTheMail` comes from the mail.
const baseUrl = process.env.BASE_URL ?? "http://127.0.0.1:8080";
const email = process.env.EMAIL ?? "ann@patients.example";
const password = "violet otter hums at dawn";
const from = new Date(Date.now() + 7 * 24 * 3600 * 1000).toISOString();
