// Makes jobs, lists them, follows one to its end. `npm run build` first, then, with Node 22.18 or newer:
// AICD_URL=http://127.0.0.1:8080 AICD_KEY=aicd_key_… node examples/jobs.ts
import { all, createClient, jobEvents, ProblemError, unwrap } from '../dist/index.js'

const baseUrl = process.env['AICD_URL'] ?? 'http://127.0.0.1:8080'
const key = process.env['AICD_KEY']
const client = createClient(
  key === undefined
    ? { baseUrl, headers: { Cookie: process.env['AICD_COOKIE'] ?? '', Origin: process.env['AICD_ORIGIN'] ?? baseUrl } }
    : { baseUrl, key },
)

const me = await unwrap(client.GET('/v1/me'))
const org = me.organizations[0]?.slug ?? ''
const repositories = await unwrap(client.GET('/v1/organizations/{org}/repositories', { params: { path: { org } } }))
const repository = repositories.items[0]
if (repository === undefined) throw new Error('Connect a repository first.')

const made: string[] = []
for (const name of ['Ada', 'Grace', 'Barbara']) {
  const body = { repository_id: repository.id, issue: `Greet ${name} (${crypto.randomUUID()})` }
  const params = { path: { org }, header: { 'Idempotency-Key': crypto.randomUUID() } }
  made.push((await unwrap(client.POST('/v1/organizations/{org}/jobs', { params, body }))).id)
}

const listed: string[] = []
const pages = all((cursor) =>
  client.GET('/v1/organizations/{org}/jobs', { params: { path: { org }, query: { cursor, limit: 2 } } }),
)
for await (const job of pages) listed.push(job.id)

const [followed = ''] = made
const states: string[] = []
for await (const event of jobEvents(client, org, followed)) {
  states.push(event.state)
  if (event.version > 0) continue
  const params = { path: { org, job_id: followed } }
  await unwrap(client.POST('/v1/organizations/{org}/jobs/{job_id}/cancel', { params, body: { reason: 'Enough.' } }))
}
const job = await unwrap(
  client.GET('/v1/organizations/{org}/jobs/{job_id}', { params: { path: { org, job_id: followed } } }),
)
const left: string[] = []
for await (const event of jobEvents(client, org, followed, { after: job.version })) left.push(event.state)

const refused = await unwrap(
  client.GET('/v1/organizations/{org}/jobs/{job_id}', { params: { path: { org, job_id: me.id } } }),
).catch((error: unknown) => error)
const code = refused instanceof ProblemError ? refused.problem.code : String(refused)
console.log(JSON.stringify({ kind: me.kind, org, made, listed, states, left, reason: job.reason, code }))
