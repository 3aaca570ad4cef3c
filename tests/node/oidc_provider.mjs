// The certified OpenID Connect provider `oidc-provider` on a loopback port, for tests of logins.
// Its settings are the JSON in OIDC_PROVIDER; it prints its issuer, then serves until stdin ends: never longer than
// whoever started it.
//
// Whoever is at the browser is who its cookie `account` says, so a test logs in by setting that cookie.

import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const settings = JSON.parse(process.env.OIDC_PROVIDER);
const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: settings.clients,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  cookies: { keys: ['only for tests'] },
  features: { devInteractions: { enabled: false } },
  findAccount: (_, sub) => settings.accounts[sub] && {
    accountId: sub,
    claims: () => ({ sub, ...settings.accounts[sub] }),
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  // Nobody is asked for consent.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope('openid email profile');
    await grant.save();
    return grant;
  },
  // A careless provider: it is ours to ask for a code challenge, and to notice when somebody took it away.
  pkce: { required: () => false },
});

const answer = provider.callback();
server.on('request', async (request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    answer(request, response);
    return;
  }
  const account = /(?:^|; )account=(\w+)/.exec(request.headers.cookie ?? '')?.[1];
  const result = account ? { login: { accountId: account } } : { error: 'access_denied' };
  await provider.interactionFinished(request, response, result);
});

process.stdin.resume().on('end', () => process.exit());
console.log(issuer);
