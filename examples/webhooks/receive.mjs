// Receives webhooks and verifies their signatures.
//
// npm install standardwebhooks
// WEBHOOK_SECRET=whsec_… node receive.mjs 8085
import { createServer } from "node:http";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);

createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
        const event = webhook.verify(Buffer.concat(chunks).toString("utf8"), request.headers);
        // Store the event here, before the response. One that is stored already has the same webhook-id.
        console.log(JSON.stringify({ id: request.headers["webhook-id"], type: event.type }));
        response.writeHead(204).end();
    } catch (error) {
        if (!(error instanceof WebhookVerificationError)) throw error;
        response.writeHead(400).end();
    }
}).listen(Number(process.argv[2]), "127.0.0.1");
