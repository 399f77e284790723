// The mails of a demo, which writes them to files.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Waits for the first mail to this address, and returns the token of the link in it. */
export async function mailedToken(email: string): Promise<string> {
  const folder = process.env.MAIL_DIR ?? "data/mail";
  for (let attempt = 0; attempt < 100; attempt++) {
    for (const name of readdirSync(folder).filter((name) => name.endsWith(".eml")).sort()) {
      // Mails are quoted-printable: `=` at the end of a line continues it, `=3D` is an equals sign.
      const mail = readFileSync(join(folder, name), "utf8").replace(/=\r?\n/g, "").replace(/=3D/g, "=");
      const token = mail.includes(`<${email}>`) || mail.includes(`To: ${email}`) ? /#token=([^\s"<]+)/.exec(mail) : null;
      if (token?.[1]) return token[1];
    }
    await new Promise((resume) => setTimeout(resume, 100));
  }
  throw new Error(`no mail to ${email}`);
}
