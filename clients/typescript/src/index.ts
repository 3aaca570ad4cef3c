import { EventSourceParserStream } from 'eventsource-parser/stream'
import createFetchClient, { type Client, type ClientOptions } from 'openapi-fetch'

import type { components, paths } from './schema.js'

export type { components, operations, paths } from './schema.js'

type Schemas = components['schemas']
export type Job = Schemas['JobAnswer']
export type JobEvent = Schemas['EventAnswer']
export type Problem = Schemas['Problem']
export type AicdClient = Client<paths>

/** How a client calls: with an API key, or, left out, with the login's cookie. */
export interface AicdOptions extends Omit<ClientOptions, 'baseUrl'> {
  /** The server, such as `https://api.example.com`. */
  baseUrl: string
  /** An API key or an access token. Never in a browser: there people log in. */
  key?: string
}

/** An answer that was an error, with the server's words and its stable `code`. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`)
    this.name = 'ProblemError'
  }
}

/** A typed client of every route: `client.GET('/v1/me')`. */
export function createClient({ key, headers, ...options }: AicdOptions): AicdClient {
  const client = createFetchClient<paths>({
    ...(key === undefined ? { credentials: 'include' as const } : {}),
    ...options,
    ...(headers === undefined ? {} : { headers }),
  })
  if (key !== undefined) {
    client.use({
      onRequest({ request }) {
        request.headers.set('Authorization', `Bearer ${key}`)
      },
    })
  }
  return client
}

/** The data of an answer. Throws a `ProblemError` when it was an error. */
export async function unwrap<T>(asked: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await asked
  if (!response.ok) throw problemOf(error, response)
  return data as T
}

function problemOf(error: unknown, response: Response): Error {
  const told = typeof error === 'object' && error !== null && 'code' in error && 'detail' in error
  return told ? new ProblemError(error as Problem) : new Error(`${response.status} from ${response.url}`)
}

/** Every item of a list, page by page: `all((cursor) => client.GET(path, { params: { query: { cursor } } }))`. */
export async function* all<T>(
  page: (
    cursor: string | null,
  ) => Promise<{ data?: { items: T[]; next_cursor: string | null }; error?: unknown; response: Response }>,
): AsyncGenerator<T> {
  let cursor: string | null = null
  do {
    const found: { items: T[]; next_cursor: string | null } = await unwrap(page(cursor))
    yield* found.items
    cursor = found.next_cursor
  } while (cursor !== null)
}

export interface FollowOptions {
  /** `version` of the last event that was seen; what came after it is told. */
  after?: number
  signal?: AbortSignal
}

/**
 * What happens to a job, from its beginning, as it happens. Ends with the job, or when the server ends the stream: then
 * go on with `after`; what follows is nothing when the job has ended.
 */
export async function* jobEvents(
  client: AicdClient,
  org: string,
  jobId: string,
  { after = -1, signal }: FollowOptions = {},
): AsyncGenerator<JobEvent> {
  const { data, error, response } = await client.GET('/v1/organizations/{org}/jobs/{job_id}/stream', {
    params: { path: { org, job_id: jobId }, header: { 'Last-Event-ID': after } },
    parseAs: 'stream',
    ...(signal === undefined ? {} : { signal }),
  })
  if (!response.ok) throw problemOf(error, response)
  if (response.status === 204 || !data) return
  const events = (data as unknown as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .pipeThrough(new EventSourceParserStream())
  const reader = events.getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      yield JSON.parse(next.value.data) as JobEvent
    }
  } finally {
    await reader.cancel()
  }
}
