// POST /v1/reports with Fastify and pg: the same authorization, checks, answers and durability as berth-controller's, written as a good
// service of this kind is: a process per core, schemas compiled by Fastify, reports of many requests in one insert and one commit, each answered
// after it. Never for use as a controller.
//
// Environment: PEER_PORT, PEER_DATABASE, PEER_MASTER_KEY (64 hex digits), PEER_CERT, PEER_KEY, PEER_PROCESSES.
import cluster from 'node:cluster'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import pg from 'pg'

const { PEER_PORT, PEER_DATABASE, PEER_MASTER_KEY, PEER_CERT, PEER_KEY, PEER_PROCESSES } = process.env
const LIFETIME_MS = 7200 * 1000
const AHEAD_MS = 60 * 1000
const BATCH_ROWS = 256
const BATCHES_UNDER_WAY = 4
const QUEUE_ROWS = 4096

const TABLE = `create table if not exists peer_report (
  org text not null, agent text not null, report_id uuid not null, measured_at timestamptz not null,
  received_at timestamptz not null default now(), expires_at timestamptz not null, network jsonb not null,
  capabilities text[], results jsonb not null, primary key (org, agent, measured_at, report_id))`
const INSERT = `insert into peer_report (org, agent, report_id, measured_at, expires_at, network, capabilities, results)
  select org, agent, report_id, measured_at, least(measured_at, now()) + interval '7200 seconds', network,
    (select array_agg(c) from jsonb_array_elements_text(capabilities) c), results
  from unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::jsonb[], $6::jsonb[], $7::jsonb[])
    as t (org, agent, report_id, measured_at, network, capabilities, results)
  on conflict do nothing returning org, agent, report_id, received_at, expires_at`

const id = (max) => ({ type: 'string', pattern: `^[A-Za-z0-9._:-]{1,${max}}$` })
const count = { type: 'integer', minimum: 0, maximum: 60000000 }
const body = {
  type: 'object',
  required: ['report_id', 'network', 'measured_at', 'results'],
  properties: {
    report_id: { type: 'string', format: 'uuid' },
    agent: id(128),
    measured_at: { type: 'string', format: 'date-time' },
    network: {
      type: 'object',
      required: ['id', 'mapped_addresses'],
      properties: { id: id(128), mapped_addresses: { type: 'array', maxItems: 16, items: { type: 'string', maxLength: 64 } } }
    },
    capabilities: { type: 'array', items: { enum: ['udp', 'tcp', 'tls', 'proxy'] } },
    results: {
      type: 'array',
      maxItems: 4096,
      items: {
        type: 'object',
        required: ['node', 'transport', 'status'],
        properties: {
          node: id(64),
          transport: { enum: ['udp', 'tcp', 'tls', 'proxy'] },
          status: { enum: ['untested', 'reachable', 'timeout', 'refused', 'tls_error', 'proxy_error'] },
          address: { type: 'string', maxLength: 64 },
          mapped_address: { type: 'string', maxLength: 64 },
          framing: { enum: ['stun', 'websocket'] },
          rtt_us: {
            type: 'object',
            required: ['min', 'median', 'p95'],
            properties: { min: count, median: count, p95: count }
          },
          sent: count,
          received: count,
          connect_us: count,
          tls_us: count
        }
      }
    }
  }
}
const answer = {
  type: 'object',
  properties: {
    report_id: { type: 'string' }, agent: { type: 'string' }, received_at: { type: 'string' }, expires_at: { type: 'string' }
  }
}

function orgOf (authorization) {
  const [, keyId, secret] = /^Bearer ([a-z0-9]+_o[a-z0-9]{12})\.([A-Za-z0-9_-]{43})$/.exec(authorization ?? '') ?? []
  if (!keyId) return null
  const right = createHmac('sha256', Buffer.from(PEER_MASTER_KEY, 'hex')).update('berth-api-key-1').update(keyId).digest()
  const given = Buffer.from(secret, 'base64url')
  return given.length === right.length && timingSafeEqual(given, right) ? keyId.slice(0, keyId.lastIndexOf('_')) : null
}

/** Rows of many requests in one statement, which is a transaction; each promise is settled after its commit. */
class Writer {
  constructor (pool) {
    this.pool = pool
    this.queue = []
    this.underWay = 0
  }

  put (row) {
    if (this.queue.length >= QUEUE_ROWS) return Promise.reject(Object.assign(new Error('overloaded'), { statusCode: 503 }))
    return new Promise((resolve, reject) => {
      this.queue.push({ row, resolve, reject })
      this.flush()
    })
  }

  flush () {
    while (this.queue.length > 0 && this.underWay < BATCHES_UNDER_WAY && (this.underWay === 0 || this.queue.length >= BATCH_ROWS)) {
      this.underWay++
      this.write(this.queue.splice(0, BATCH_ROWS)).finally(() => {
        this.underWay--
        this.flush()
      })
    }
  }

  async write (batch) {
    try {
      const columns = [0, 1, 2, 3, 4, 5, 6].map((i) => batch.map((b) => b.row[i]))
      const { rows } = await this.pool.query({ name: 'insert', text: INSERT, values: columns })
      const stored = new Map(rows.map((r) => [`${r.org}/${r.agent}/${r.report_id}`, r]))
      for (const { row, resolve } of batch) resolve(stored.get(`${row[0]}/${row[1]}/${row[2]}`) ?? null)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}

async function serve () {
  const pool = new pg.Pool({ connectionString: PEER_DATABASE, max: BATCHES_UNDER_WAY })
  const writer = new Writer(pool)
  const nodes = new Set((await pool.query('select id from node')).rows.map((r) => r.id))
  const app = Fastify({ bodyLimit: 1 << 20, https: { cert: readFileSync(PEER_CERT), key: readFileSync(PEER_KEY) } })
  app.post('/v1/reports', { schema: { body, response: { 200: answer, 201: answer } } }, async (request, reply) => {
    const org = orgOf(request.headers.authorization)
    if (!org) return reply.code(401).send({ code: 'unauthorized' })
    const report = request.body
    const measured = Date.parse(report.measured_at)
    const now = Date.now()
    if (!report.agent) return reply.code(422).send({ code: 'invalid_member' })
    if (measured > now + AHEAD_MS || measured + LIFETIME_MS <= now) return reply.code(422).send({ code: 'report_expired' })
    const pairs = new Set()
    for (const r of report.results) {
      if (!nodes.has(r.node)) return reply.code(422).send({ code: 'unknown_node' })
      pairs.add(`${r.node} ${r.transport}`)
    }
    if (pairs.size !== report.results.length) return reply.code(422).send({ code: 'duplicate_result' })
    const stored = await writer.put([org, report.agent, report.report_id, report.measured_at, JSON.stringify(report.network),
      JSON.stringify(report.capabilities ?? null), JSON.stringify(report.results)])
    const at = stored ?? { received_at: new Date(now), expires_at: new Date(measured + LIFETIME_MS) }
    return reply.code(stored ? 201 : 200).send({
      report_id: report.report_id, agent: report.agent, received_at: at.received_at.toISOString(), expires_at: at.expires_at.toISOString()
    })
  })
  await app.listen({ port: Number(PEER_PORT), host: '127.0.0.1' })
}

if (cluster.isPrimary) {
  const pool = new pg.Pool({ connectionString: PEER_DATABASE })
  await pool.query(TABLE)
  await pool.end()
  for (let i = 0; i < Number(PEER_PROCESSES); i++) cluster.fork()
  cluster.on('exit', () => process.exit(1))
} else {
  await serve()
}
