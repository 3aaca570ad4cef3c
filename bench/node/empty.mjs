// probot with an empty handler: what bench/webhooks.py measures us against. Says its port once it listens.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createNodeMiddleware, createProbot } from "probot";

const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs1", format: "pem" },
  publicKeyEncoding: { type: "pkcs1", format: "pem" },
});
const probot = createProbot({
  env: { APP_ID: "1", PRIVATE_KEY: privateKey, WEBHOOK_SECRET: process.env.WEBHOOK_SECRET, LOG_LEVEL: "fatal" },
});
const middleware = await createNodeMiddleware((app) => app.onAny(() => {}), {
  probot,
  webhooksPath: "/webhooks/github",
});
const server = createServer((request, response) => {
  middleware(request, response, () => response.writeHead(404).end());
});
server.listen(0, "127.0.0.1", () => console.error(`http://127.0.0.1:${server.address().port}/webhooks/github`));
