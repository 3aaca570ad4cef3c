// Generated: `make generate`. Drawn by drizzle-kit from a migrated database; never edited, never migrated with.
import { pgTable, index, foreignKey, unique, pgPolicy, check, uuid, varchar, text, timestamp, bigint, integer, jsonb, date, uniqueIndex, doublePrecision, boolean, primaryKey, numeric, customType } from "drizzle-orm/pg-core"
import { sql } from "drizzle-orm"

const bytea = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })

export const apiKeys = pgTable("api_keys", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	name: varchar().notNull(),
	prefix: varchar().notNull(),
	keyHash: bytea("key_hash").notNull(),
	scopes: text().array().notNull(),
	createdBy: uuid("created_by"),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	expiresAt: timestamp("expires_at", { withTimezone: true, mode: 'date' }),
	lastUsedAt: timestamp("last_used_at", { withTimezone: true, mode: 'date' }),
	revokedAt: timestamp("revoked_at", { withTimezone: true, mode: 'date' }),
	replaces: uuid(),
}, (table) => [
	index("ix_api_keys_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	foreignKey({
			columns: [table.createdBy],
			foreignColumns: [users.id],
			name: "fk_api_keys_created_by_users"
		}).onDelete("set null"),
	foreignKey({
			columns: [table.orgId, table.replaces],
			foreignColumns: [table.orgId, table.id],
			name: "fk_api_keys_org_id_replaces_api_keys"
		}),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_api_keys_org_id_organizations"
		}),
	unique("uq_api_keys_org_id_id").on(table.orgId, table.id),
	unique("uq_api_keys_prefix").on(table.prefix),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_api_keys_name_length", sql`(char_length((name)::text) >= 1) AND (char_length((name)::text) <= 200)`),
]);

export const artifacts = pgTable("artifacts", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "artifacts_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	jobId: uuid("job_id").notNull(),
	kind: varchar({ length: 32 }).notNull(),
	round: integer().notNull(),
	content: bytea("content").notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_artifacts_org_id_job_id_jobs"
		}),
	unique("uq_artifacts_org_id_job_id_kind_round").on(table.orgId, table.jobId, table.kind, table.round),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_artifacts_kind", sql`(kind)::text = ANY ((ARRAY['config'::character varying, 'plan'::character varying, 'change'::character varying, 'test_report'::character varying, 'policy_report'::character varying, 'review'::character varying, 'pull_request'::character varying, 'evidence'::character varying, 'test_logs'::character varying, 'feedback'::character varying])::text[])`),
]);

export const auditLog = pgTable("audit_log", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "audit_log_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	actorKind: varchar("actor_kind", { length: 32 }).notNull(),
	actorId: varchar("actor_id").notNull(),
	action: varchar().notNull(),
	targetKind: varchar("target_kind").notNull(),
	targetId: varchar("target_id").notNull(),
	detail: jsonb().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	index("ix_audit_log_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_audit_log_org_id_organizations"
		}),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_audit_log_action_length", sql`(char_length((action)::text) >= 1) AND (char_length((action)::text) <= 100)`),
	check("ck_audit_log_actor_kind", sql`(actor_kind)::text = ANY ((ARRAY['user'::character varying, 'api_key'::character varying, 'system'::character varying])::text[])`),
]);

export const billingAccounts = pgTable("billing_accounts", {
	orgId: uuid("org_id").primaryKey().notNull(),
	provider: varchar().notNull(),
	customer: varchar(),
	plan: varchar().notNull(),
	revision: integer().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	mode: varchar({ length: 32 }).default('test').notNull(),
	status: varchar({ length: 32 }).default('active').notNull(),
	subscription: varchar(),
	graceUntil: timestamp("grace_until", { withTimezone: true, mode: 'date' }),
	trialEnd: timestamp("trial_end", { withTimezone: true, mode: 'date' }),
	periodStart: timestamp("period_start", { withTimezone: true, mode: 'date' }),
	periodEnd: timestamp("period_end", { withTimezone: true, mode: 'date' }),
	disputedAt: timestamp("disputed_at", { withTimezone: true, mode: 'date' }),
	chargedUntil: timestamp("charged_until", { withTimezone: true, mode: 'date' }),
	providerAsOf: timestamp("provider_as_of", { withTimezone: true, mode: 'date' }),
	creditPicoUsd: bigint("credit_pico_usd", { mode: "bigint" }).default(sql`'0'`).notNull(),
	softCap: bigint("soft_cap", { mode: "bigint" }),
	hardCap: bigint("hard_cap", { mode: "bigint" }),
	warnedPercent: integer("warned_percent").default(0).notNull(),
	warnedMonth: date("warned_month"),
	billedFrom: timestamp("billed_from", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	softWarnedPercent: integer("soft_warned_percent").default(0).notNull(),
	disputesReleasedAt: timestamp("disputes_released_at", { withTimezone: true, mode: 'date' }),
}, (table) => [
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_billing_accounts_org_id_organizations"
		}),
	unique("uq_billing_accounts_provider_customer").on(table.provider, table.customer),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_billing_accounts_mode", sql`(mode)::text = ANY ((ARRAY['test'::character varying, 'live'::character varying])::text[])`),
	check("ck_billing_accounts_status", sql`(status)::text = ANY ((ARRAY['active'::character varying, 'trialing'::character varying, 'past_due'::character varying, 'suspended'::character varying, 'cancelled'::character varying])::text[])`),
	check("ck_billing_accounts_credit", sql`credit_pico_usd >= 0`),
	check("ck_billing_accounts_caps", sql`(soft_cap >= 0) AND (hard_cap >= 0)`),
	check("ck_billing_accounts_warned", sql`(warned_percent >= 0) AND (warned_percent <= 100)`),
	check("ck_billing_accounts_past_due_until", sql`((status)::text <> 'past_due'::text) OR (grace_until IS NOT NULL)`),
	check("ck_billing_accounts_soft_warned", sql`(soft_warned_percent >= 0) AND (soft_warned_percent <= 100)`),
]);

export const billingAdjustments = pgTable("billing_adjustments", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "billing_adjustments_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	kind: varchar({ length: 32 }).notNull(),
	exportId: uuid("export_id"),
	creditPicoUsd: bigint("credit_pico_usd", { mode: "bigint" }).default(sql`'0'`).notNull(),
	subject: varchar().notNull(),
	state: varchar({ length: 32 }).default('pending').notNull(),
	reason: varchar().notNull(),
	detail: jsonb().notNull(),
	madeBy: varchar("made_by").notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	doneAt: timestamp("done_at", { withTimezone: true, mode: 'date' }),
}, (table) => [
	foreignKey({
			columns: [table.orgId, table.exportId],
			foreignColumns: [billingExports.orgId, billingExports.id],
			name: "fk_billing_adjustments_org_id_export_id_billing_exports"
		}),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_billing_adjustments_org_id_organizations"
		}),
	unique("uq_billing_adjustments_org_id_kind_subject").on(table.orgId, table.kind, table.subject),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_billing_adjustments_not_negative", sql`credit_pico_usd >= 0`),
	check("ck_billing_adjustments_cancels", sql`((kind)::text = 'cancel'::text) = (export_id IS NOT NULL)`),
	check("ck_billing_adjustments_kind", sql`(kind)::text = ANY ((ARRAY['cancel'::character varying, 'credit'::character varying])::text[])`),
	check("ck_billing_adjustments_state", sql`(state)::text = ANY ((ARRAY['pending'::character varying, 'done'::character varying, 'failed'::character varying])::text[])`),
]);

export const billingCharges = pgTable("billing_charges", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "billing_charges_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	jobId: uuid("job_id").notNull(),
	kind: varchar({ length: 32 }).notNull(),
	subject: varchar().notNull(),
	meter: varchar().notNull(),
	plan: varchar().notNull(),
	quantity: bigint({ mode: "bigint" }).notNull(),
	billable: bigint({ mode: "bigint" }).notNull(),
	unitPicoUsd: bigint("unit_pico_usd", { mode: "bigint" }).notNull(),
	creditPicoUsd: bigint("credit_pico_usd", { mode: "bigint" }).default(sql`'0'`).notNull(),
	exportId: uuid("export_id"),
	occurredAt: timestamp("occurred_at", { withTimezone: true, mode: 'date' }).notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	index("ix_billing_charges_export").using("btree", table.orgId.asc().nullsLast(), table.exportId.asc().nullsLast()),
	index("ix_billing_charges_job").using("btree", table.orgId.asc().nullsLast(), table.jobId.asc().nullsLast()),
	index("ix_billing_charges_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	index("ix_billing_charges_span").using("btree", table.orgId.asc().nullsLast(), table.occurredAt.asc().nullsLast()),
	index("ix_billing_charges_waiting").using("btree", table.orgId.asc().nullsLast(), table.meter.asc().nullsLast(), table.id.asc().nullsLast()).where(sql`((export_id IS NULL) AND (billable > 0))`),
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_billing_charges_org_id_job_id_jobs"
		}),
	foreignKey({
			columns: [table.orgId, table.exportId],
			foreignColumns: [billingExports.orgId, billingExports.id],
			name: "fk_billing_charges_org_id_export_id_billing_exports"
		}),
	unique("uq_billing_charges_org_id_kind_subject").on(table.orgId, table.kind, table.subject),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_billing_charges_quantities", sql`(quantity > 0) AND ((billable >= 0) AND (billable <= quantity))`),
	check("ck_billing_charges_not_negative", sql`(unit_pico_usd >= 0) AND (credit_pico_usd >= 0)`),
	check("ck_billing_charges_kind", sql`(kind)::text = ANY ((ARRAY['pull_request'::character varying, 'tokens'::character varying])::text[])`),
]);

export const billingExports = pgTable("billing_exports", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	mode: varchar({ length: 32 }).notNull(),
	customer: varchar().notNull(),
	meter: varchar().notNull(),
	identifier: varchar().notNull(),
	quantity: bigint({ mode: "bigint" }).notNull(),
	charges: integer().notNull(),
	occurredAt: timestamp("occurred_at", { withTimezone: true, mode: 'date' }).notNull(),
	state: varchar({ length: 32 }).default('pending').notNull(),
	attempts: integer().default(0).notNull(),
	code: varchar(),
	reason: varchar(),
	dueAt: timestamp("due_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	claimedBy: varchar("claimed_by"),
	claimedUntil: timestamp("claimed_until", { withTimezone: true, mode: 'date' }),
	firstAttemptAt: timestamp("first_attempt_at", { withTimezone: true, mode: 'date' }),
	sentAt: timestamp("sent_at", { withTimezone: true, mode: 'date' }),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	index("ix_billing_exports_dead").using("btree", table.orgId.asc().nullsLast(), table.id.asc().nullsLast()).where(sql`((state)::text = 'dead'::text)`),
	index("ix_billing_exports_identifier").using("btree", table.identifier.asc().nullsLast()),
	index("ix_billing_exports_pending").using("btree", table.orgId.asc().nullsLast(), table.meter.asc().nullsLast(), table.id.asc().nullsLast()).where(sql`((state)::text = 'pending'::text)`),
	index("ix_billing_exports_span").using("btree", table.orgId.asc().nullsLast(), table.occurredAt.asc().nullsLast()),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_billing_exports_org_id_organizations"
		}),
	unique("uq_billing_exports_org_id_id").on(table.orgId, table.id),
	unique("uq_billing_exports_org_id_identifier").on(table.orgId, table.identifier),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_billing_exports_counts", sql`(quantity > 0) AND (charges > 0) AND (attempts >= 0)`),
	check("ck_billing_exports_sent", sql`((state)::text = 'sent'::text) = (sent_at IS NOT NULL)`),
	check("ck_billing_exports_mode", sql`(mode)::text = ANY ((ARRAY['test'::character varying, 'live'::character varying])::text[])`),
	check("ck_billing_exports_state", sql`(state)::text = ANY ((ARRAY['pending'::character varying, 'sent'::character varying, 'dead'::character varying])::text[])`),
]);

export const checkpoints = pgTable("checkpoints", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "checkpoints_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	jobId: uuid("job_id").notNull(),
	round: integer().notNull(),
	number: integer().notNull(),
	changeSet: bytea("change_set").notNull(),
	history: bytea("history").notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	orgId: uuid("org_id").notNull(),
	calls: integer().notNull(),
}, (table) => [
	index("ix_checkpoints_created_at").using("btree", table.createdAt.asc().nullsLast()),
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_checkpoints_org_id_job_id_jobs"
		}),
	unique("uq_checkpoints_org_id_job_id_round_number").on(table.orgId, table.jobId, table.round, table.number),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
]);

export const deliveries = pgTable("deliveries", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id"),
	source: varchar().notNull(),
	externalId: varchar("external_id").notNull(),
	event: varchar().notNull(),
	body: bytea("body").notNull(),
	bodyHash: bytea("body_hash").notNull(),
	state: varchar({ length: 32 }).notNull(),
	attempts: integer().notNull(),
	reason: varchar(),
	receivedAt: timestamp("received_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	handledAt: timestamp("handled_at", { withTimezone: true, mode: 'date' }),
	installation: bigint({ mode: "bigint" }),
	subject: varchar(),
	code: varchar(),
	dueAt: timestamp("due_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	traceparent: varchar(),
}, (table) => [
	index("ix_deliveries_done").using("btree", table.handledAt.asc().nullsLast()).where(sql`((state)::text = ANY ((ARRAY['handled'::character varying, 'ignored'::character varying])::text[]))`),
	index("ix_deliveries_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	index("ix_deliveries_subject").using("btree", table.source.asc().nullsLast(), table.subject.asc().nullsLast(), table.id.asc().nullsLast()).where(sql`((state)::text = 'received'::text)`),
	index("ix_deliveries_waiting").using("btree", table.id.asc().nullsLast()).where(sql`((state)::text = 'received'::text)`),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_deliveries_org_id_organizations"
		}),
	unique("uq_deliveries_source_body_hash").on(table.source, table.bodyHash),
	unique("uq_deliveries_source_external_id").on(table.source, table.externalId),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_deliveries_state", sql`(state)::text = ANY ((ARRAY['received'::character varying, 'handled'::character varying, 'ignored'::character varying, 'failed'::character varying])::text[])`),
]);

export const erasedLedgers = pgTable("erased_ledgers", {
	orgId: uuid("org_id").primaryKey().notNull(),
	entries: bigint({ mode: "bigint" }).notNull(),
	inputTokens: bigint("input_tokens", { mode: "bigint" }).notNull(),
	cachedInputTokens: bigint("cached_input_tokens", { mode: "bigint" }).notNull(),
	cacheWriteTokens: bigint("cache_write_tokens", { mode: "bigint" }).notNull(),
	outputTokens: bigint("output_tokens", { mode: "bigint" }).notNull(),
	costMicroUsd: bigint("cost_micro_usd", { mode: "bigint" }).notNull(),
	erasedAt: timestamp("erased_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
]);

export const installations = pgTable("installations", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	host: varchar().notNull(),
	externalId: bigint("external_id", { mode: "bigint" }).notNull(),
	account: varchar().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	suspendedAt: timestamp("suspended_at", { withTimezone: true, mode: 'date' }),
	removedAt: timestamp("removed_at", { withTimezone: true, mode: 'date' }),
	reportedAt: timestamp("reported_at", { withTimezone: true, mode: 'date' }),
}, (table) => [
	index("ix_installations_external").using("btree", table.host.asc().nullsLast(), table.externalId.asc().nullsLast()),
	index("ix_installations_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	uniqueIndex("uq_installations_present").using("btree", table.host.asc().nullsLast(), table.externalId.asc().nullsLast()).where(sql`(removed_at IS NULL)`),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_installations_org_id_organizations"
		}),
	unique("uq_installations_org_id_id").on(table.orgId, table.id),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
]);

export const invitations = pgTable("invitations", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	email: varchar().notNull(),
	role: varchar({ length: 32 }).notNull(),
	tokenHash: bytea("token_hash").notNull(),
	invitedBy: uuid("invited_by"),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	expiresAt: timestamp("expires_at", { withTimezone: true, mode: 'date' }).notNull(),
	acceptedAt: timestamp("accepted_at", { withTimezone: true, mode: 'date' }),
	revokedAt: timestamp("revoked_at", { withTimezone: true, mode: 'date' }),
}, (table) => [
	index("ix_invitations_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	uniqueIndex("uq_invitations_open").using("btree", sql`org_id`, sql`lower((email)::text)`).where(sql`((accepted_at IS NULL) AND (revoked_at IS NULL))`),
	foreignKey({
			columns: [table.invitedBy],
			foreignColumns: [users.id],
			name: "fk_invitations_invited_by_users"
		}).onDelete("set null"),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_invitations_org_id_organizations"
		}),
	unique("uq_invitations_token_hash").on(table.tokenHash),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_invitations_one_end", sql`NOT ((accepted_at IS NOT NULL) AND (revoked_at IS NOT NULL))`),
	check("ck_invitations_email_length", sql`(char_length((email)::text) >= 3) AND (char_length((email)::text) <= 320)`),
	check("ck_invitations_role", sql`(role)::text = ANY ((ARRAY['owner'::character varying, 'admin'::character varying, 'developer'::character varying, 'viewer'::character varying, 'billing'::character varying])::text[])`),
]);

export const jobEvents = pgTable("job_events", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "job_events_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	jobId: uuid("job_id").notNull(),
	version: integer().notNull(),
	event: varchar({ length: 32 }),
	state: varchar({ length: 32 }).notNull(),
	detail: jsonb().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	index("ix_job_events_job").using("btree", table.orgId.asc().nullsLast(), table.jobId.asc().nullsLast(), table.id.asc().nullsLast()),
	index("ix_job_events_published").using("btree", table.orgId.asc().nullsLast(), table.createdAt.asc().nullsLast()).where(sql`((event)::text = 'published'::text)`),
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_job_events_org_id_job_id_jobs"
		}),
	unique("uq_job_events_org_id_job_id_version").on(table.orgId, table.jobId, table.version),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_job_events_state", sql`(state)::text = ANY ((ARRAY['queued'::character varying, 'planning'::character varying, 'awaiting_approval'::character varying, 'coding'::character varying, 'reviewing'::character varying, 'pr_open'::character varying, 'paused'::character varying, 'merged'::character varying, 'closed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[])`),
	check("ck_job_events_event", sql`(event)::text = ANY ((ARRAY['admitted'::character varying, 'plan_invalid'::character varying, 'plan_ready'::character varying, 'approval_asked'::character varying, 'approved'::character varying, 'sent_back'::character varying, 'coded'::character varying, 'rejected'::character varying, 'published'::character varying, 'feedback'::character varying, 'merged'::character varying, 'closed'::character varying, 'failed'::character varying, 'cancelled'::character varying, 'limit_reached'::character varying, 'resumed'::character varying, 'retry_scheduled'::character varying, 'handed_over'::character varying, 'given_up'::character varying])::text[])`),
]);

export const jobLog = pgTable("job_log", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "job_log_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	jobId: uuid("job_id").notNull(),
	saidAt: timestamp("said_at", { withTimezone: true, mode: 'date' }).notNull(),
	kind: varchar({ length: 32 }).notNull(),
	text: varchar().notNull(),
	outcome: varchar(),
	seconds: doublePrecision(),
}, (table) => [
	index("ix_job_log_job").using("btree", table.orgId.asc().nullsLast(), table.jobId.asc().nullsLast(), table.id.asc().nullsLast()),
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_job_log_org_id_job_id_jobs"
		}),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_job_log_kind", sql`(kind)::text = ANY ((ARRAY['message'::character varying, 'command'::character varying])::text[])`),
]);

export const jobs = pgTable("jobs", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	repositoryId: uuid("repository_id").notNull(),
	state: varchar({ length: 32 }).notNull(),
	version: integer().notNull(),
	round: integer().notNull(),
	planAttempts: integer("plan_attempts").notNull(),
	pausedFrom: varchar("paused_from", { length: 32 }),
	agent: varchar().notNull(),
	title: varchar().notNull(),
	body: varchar().notNull(),
	issueKey: varchar("issue_key").notNull(),
	baseBranch: varchar("base_branch").notNull(),
	baseSha: varchar("base_sha").notNull(),
	code: varchar(),
	reason: varchar(),
	secondsWorked: doublePrecision("seconds_worked").notNull(),
	timeLimit: doublePrecision("time_limit").notNull(),
	leaseOwner: varchar("lease_owner"),
	leaseUntil: timestamp("lease_until", { withTimezone: true, mode: 'date' }),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	updatedAt: timestamp("updated_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	priority: integer().default(0).notNull(),
	failures: integer().default(0).notNull(),
	notBefore: timestamp("not_before", { withTimezone: true, mode: 'date' }),
	wokenAt: timestamp("woken_at", { withTimezone: true, mode: 'date' }),
	costLimit: bigint("cost_limit", { mode: "bigint" }),
	issueNumber: integer("issue_number"),
	asksApproval: boolean("asks_approval").default(false).notNull(),
	note: varchar(),
	feedbackRounds: integer("feedback_rounds").default(0).notNull(),
	firstRound: integer("first_round").default(1).notNull(),
	lookAt: timestamp("look_at", { withTimezone: true, mode: 'date' }),
	traceparent: varchar(),
}, (table) => [
	index("ix_jobs_at_work").using("btree", sql`org_id`, sql`(((state)::text = 'queued'::text))`, sql`priority`, sql`id`).where(sql`((state)::text = ANY ((ARRAY['coding'::character varying, 'planning'::character varying, 'queued'::character varying, 'reviewing'::character varying])::text[]))`),
	index("ix_jobs_changed").using("btree", table.orgId.asc().nullsLast(), table.updatedAt.asc().nullsLast(), table.id.asc().nullsLast()),
	index("ix_jobs_issue").using("btree", table.orgId.asc().nullsLast(), table.repositoryId.asc().nullsLast(), table.issueKey.asc().nullsLast(), table.id.desc().nullsFirst()),
	index("ix_jobs_leased").using("btree", table.orgId.asc().nullsLast()).where(sql`(lease_owner IS NOT NULL)`),
	index("ix_jobs_look").using("btree", table.lookAt.asc().nullsLast()).where(sql`(((state)::text = 'pr_open'::text) AND (look_at IS NOT NULL))`),
	index("ix_jobs_newest").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	index("ix_jobs_pull_open").using("btree", table.orgId.asc().nullsLast(), table.repositoryId.asc().nullsLast()).where(sql`((state)::text = 'pr_open'::text)`),
	uniqueIndex("uq_jobs_open_issue").using("btree", table.orgId.asc().nullsLast(), table.repositoryId.asc().nullsLast(), table.issueKey.asc().nullsLast()).where(sql`((state)::text <> ALL ((ARRAY['cancelled'::character varying, 'closed'::character varying, 'failed'::character varying, 'merged'::character varying])::text[]))`),
	foreignKey({
			columns: [table.orgId, table.repositoryId],
			foreignColumns: [repositories.orgId, repositories.id],
			name: "fk_jobs_org_id_repository_id_repositories"
		}),
	unique("uq_jobs_org_id_id").on(table.orgId, table.id),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_jobs_state", sql`(state)::text = ANY ((ARRAY['queued'::character varying, 'planning'::character varying, 'awaiting_approval'::character varying, 'coding'::character varying, 'reviewing'::character varying, 'pr_open'::character varying, 'paused'::character varying, 'merged'::character varying, 'closed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[])`),
	check("ck_jobs_paused_from", sql`(paused_from)::text = ANY ((ARRAY['queued'::character varying, 'planning'::character varying, 'awaiting_approval'::character varying, 'coding'::character varying, 'reviewing'::character varying, 'pr_open'::character varying, 'paused'::character varying, 'merged'::character varying, 'closed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[])`),
	check("ck_jobs_counts", sql`(version >= 0) AND (round >= 0) AND (plan_attempts >= 0) AND (failures >= 0)`),
	check("ck_jobs_cost_limit", sql`cost_limit >= 0`),
	check("ck_jobs_issue_number", sql`issue_number > 0`),
	check("ck_jobs_feedback_counts", sql`(feedback_rounds >= 0) AND (first_round >= 1)`),
	check("ck_jobs_paused_from_when_paused", sql`CHECK (
CASE state
    WHEN 'paused'::text THEN (paused_from IS NOT NULL)
    WHEN 'cancelled'::text THEN true
    ELSE (paused_from IS NULL)
END)`),
]);

export const memberships = pgTable("memberships", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	userId: uuid("user_id").notNull(),
	role: varchar({ length: 32 }).notNull(),
	revision: integer().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	index("ix_memberships_of_user").using("btree", table.userId.asc().nullsLast()),
	index("ix_memberships_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_memberships_org_id_organizations"
		}),
	foreignKey({
			columns: [table.userId],
			foreignColumns: [users.id],
			name: "fk_memberships_user_id_users"
		}),
	unique("uq_memberships_org_id_id").on(table.orgId, table.id),
	unique("uq_memberships_org_id_user_id").on(table.orgId, table.userId),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_memberships_role", sql`(role)::text = ANY ((ARRAY['owner'::character varying, 'admin'::character varying, 'developer'::character varying, 'viewer'::character varying, 'billing'::character varying])::text[])`),
]);

export const modelCalls = pgTable("model_calls", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "model_calls_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	jobId: uuid("job_id").notNull(),
	step: varchar().notNull(),
	number: integer().notNull(),
	requestHash: bytea("request_hash").notNull(),
	model: varchar().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	orgId: uuid("org_id").notNull(),
	prompts: jsonb().notNull(),
	base: bytea("base"),
	requestSha256: bytea("request_sha256").notNull(),
	replySha256: bytea("reply_sha256").notNull(),
	shared: integer().notNull(),
	requestPieces: bytea("request_pieces").array().notNull(),
	replyPieces: bytea("reply_pieces").array().notNull(),
}, (table) => [
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_model_calls_org_id_job_id_jobs"
		}),
	unique("uq_model_calls_org_id_job_id_step_number_request_hash").on(table.orgId, table.jobId, table.step, table.number, table.requestHash),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
]);

export const organizationSettings = pgTable("organization_settings", {
	orgId: uuid("org_id").primaryKey().notNull(),
	agent: varchar().notNull(),
	model: varchar(),
	jobBudget: bigint("job_budget", { mode: "bigint" }),
	monthlyBudget: bigint("monthly_budget", { mode: "bigint" }),
	maxConcurrentJobs: integer("max_concurrent_jobs").notNull(),
	planApproval: varchar("plan_approval", { length: 32 }).notNull(),
	revision: integer().notNull(),
	allowedBots: text("allowed_bots").array().default([]).notNull(),
	minimumPermission: varchar("minimum_permission", { length: 32 }).default('write').notNull(),
	issueBudget: bigint("issue_budget", { mode: "bigint" }),
	repositoryBudget: bigint("repository_budget", { mode: "bigint" }),
}, (table) => [
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_organization_settings_org_id_organizations"
		}),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_organization_settings_budgets", sql`(job_budget >= 0) AND (monthly_budget >= 0)`),
	check("ck_organization_settings_concurrency", sql`(max_concurrent_jobs >= 1) AND (max_concurrent_jobs <= 1000)`),
	check("ck_organization_settings_plan_approval", sql`(plan_approval)::text = ANY ((ARRAY['never'::character varying, 'always'::character varying])::text[])`),
	check("ck_organization_settings_bots", sql`cardinality(allowed_bots) <= 100`),
	check("ck_organization_settings_minimum_permission", sql`(minimum_permission)::text = ANY ((ARRAY['none'::character varying, 'read'::character varying, 'triage'::character varying, 'write'::character varying, 'maintain'::character varying, 'admin'::character varying])::text[])`),
	check("ck_organization_settings_trusted_permission", sql`(minimum_permission)::text <> ALL ((ARRAY['none'::character varying, 'read'::character varying])::text[])`),
	check("ck_organization_settings_shared_budgets", sql`(issue_budget >= 0) AND (repository_budget >= 0)`),
]);

export const organizations = pgTable("organizations", {
	id: uuid().primaryKey().notNull(),
	slug: varchar().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	name: varchar().notNull(),
	revision: integer().notNull(),
	deletedAt: timestamp("deleted_at", { withTimezone: true, mode: 'date' }),
}, (table) => [
	unique("uq_organizations_slug").on(table.slug),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_organizations_slug_format", sql`(slug)::text ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text`),
	check("ck_organizations_name_length", sql`(char_length((name)::text) >= 1) AND (char_length((name)::text) <= 200)`),
]);

export const policies = pgTable("policies", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	version: integer().notNull(),
	rules: jsonb().notNull(),
	note: varchar().notNull(),
	createdBy: uuid("created_by"),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	foreignKey({
			columns: [table.createdBy],
			foreignColumns: [users.id],
			name: "fk_policies_created_by_users"
		}).onDelete("set null"),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_policies_org_id_organizations"
		}),
	unique("uq_policies_org_id_version").on(table.orgId, table.version),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_policies_note_length", sql`char_length((note)::text) <= 1000`),
	check("ck_policies_version", sql`version >= 1`),
]);

export const repositories = pgTable("repositories", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	source: varchar().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	installationId: uuid("installation_id"),
	enabled: boolean().default(true).notNull(),
	revision: integer().default(1).notNull(),
	disconnectedAt: timestamp("disconnected_at", { withTimezone: true, mode: 'date' }),
	issueBudget: bigint("issue_budget", { mode: "bigint" }),
	monthlyBudget: bigint("monthly_budget", { mode: "bigint" }),
	externalId: bigint("external_id", { mode: "bigint" }),
	baseBranch: varchar("base_branch"),
}, (table) => [
	index("ix_repositories_installation").using("btree", table.orgId.asc().nullsLast(), table.installationId.asc().nullsLast()).where(sql`(installation_id IS NOT NULL)`),
	index("ix_repositories_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	uniqueIndex("uq_repositories_external").using("btree", table.orgId.asc().nullsLast(), table.externalId.asc().nullsLast()).where(sql`(external_id IS NOT NULL)`),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_repositories_org_id_organizations"
		}),
	foreignKey({
			columns: [table.orgId, table.installationId],
			foreignColumns: [installations.orgId, installations.id],
			name: "fk_repositories_org_id_installation_id_installations"
		}),
	unique("uq_repositories_org_id_id").on(table.orgId, table.id),
	unique("uq_repositories_org_id_source").on(table.orgId, table.source),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_repositories_source_length", sql`(char_length((source)::text) >= 1) AND (char_length((source)::text) <= 4096)`),
	check("ck_repositories_budgets", sql`(issue_budget >= 0) AND (monthly_budget >= 0)`),
]);

export const reservations = pgTable("reservations", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "reservations_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	jobId: uuid("job_id").notNull(),
	entryKey: varchar("entry_key").notNull(),
	owner: varchar().notNull(),
	microUsd: bigint("micro_usd", { mode: "bigint" }).notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_reservations_org_id_job_id_jobs"
		}),
	unique("uq_reservations_org_id_job_id_entry_key").on(table.orgId, table.jobId, table.entryKey),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_reservations_positive", sql`micro_usd > 0`),
]);

export const secrets = pgTable("secrets", {
	id: uuid().primaryKey().notNull(),
	orgId: uuid("org_id").notNull(),
	name: varchar().notNull(),
	keyId: varchar("key_id").notNull(),
	ciphertext: bytea("ciphertext").notNull(),
	revision: integer().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_secrets_org_id_organizations"
		}),
	unique("uq_secrets_org_id_name").on(table.orgId, table.name),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_secrets_name_format", sql`(name)::text ~ '^[A-Z][A-Z0-9_]{0,99}$'::text`),
]);

export const sessions = pgTable("sessions", {
	id: uuid().primaryKey().notNull(),
	userId: uuid("user_id").notNull(),
	tokenHash: bytea("token_hash").notNull(),
	userAgent: varchar("user_agent").notNull(),
	address: varchar().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	lastUsedAt: timestamp("last_used_at", { withTimezone: true, mode: 'date' }).notNull(),
	idleUntil: timestamp("idle_until", { withTimezone: true, mode: 'date' }).notNull(),
	endsAt: timestamp("ends_at", { withTimezone: true, mode: 'date' }).notNull(),
	revokedAt: timestamp("revoked_at", { withTimezone: true, mode: 'date' }),
}, (table) => [
	index("ix_sessions_of_user").using("btree", table.userId.asc().nullsLast(), table.id.desc().nullsFirst()),
	foreignKey({
			columns: [table.userId],
			foreignColumns: [users.id],
			name: "fk_sessions_user_id_users"
		}).onDelete("cascade"),
	unique("uq_sessions_token_hash").on(table.tokenHash),
	pgPolicy("accounts", { as: "permissive", for: "all", to: ["aicd_app"], using: sql`(( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif") IS NULL)`, withCheck: sql`(( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif") IS NULL)`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
]);

export const spending = pgTable("spending", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "spending_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	subject: varchar().notNull(),
	microUsd: bigint("micro_usd", { mode: "bigint" }).notNull(),
}, (table) => [
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_spending_org_id_organizations"
		}),
	unique("uq_spending_org_id_subject").on(table.orgId, table.subject),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_spending_not_negative", sql`micro_usd >= 0`),
]);

export const standings = pgTable("standings", {
	orgId: uuid("org_id").primaryKey().notNull(),
	code: varchar(),
	reason: varchar(),
	pullRequests: integer("pull_requests"),
	limitCode: varchar("limit_code"),
	limitReason: varchar("limit_reason"),
	since: timestamp({ withTimezone: true, mode: 'date' }).notNull(),
	changedAt: timestamp("changed_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_standings_org_id_organizations"
		}),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_standings_stopped_why", sql`(code IS NULL) = (reason IS NULL)`),
	check("ck_standings_limited_why", sql`((pull_requests IS NULL) = (limit_code IS NULL)) AND ((limit_code IS NULL) = (limit_reason IS NULL))`),
	check("ck_standings_pull_requests", sql`pull_requests >= 0`),
]);

export const stripeEvents = pgTable("stripe_events", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "stripe_events_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id"),
	mode: varchar({ length: 32 }).notNull(),
	externalId: varchar("external_id").notNull(),
	kind: varchar().notNull(),
	customer: varchar(),
	body: bytea("body").notNull(),
	state: varchar({ length: 32 }).default('received').notNull(),
	attempts: integer().default(0).notNull(),
	code: varchar(),
	reason: varchar(),
	occurredAt: timestamp("occurred_at", { withTimezone: true, mode: 'date' }).notNull(),
	receivedAt: timestamp("received_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	dueAt: timestamp("due_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	handledAt: timestamp("handled_at", { withTimezone: true, mode: 'date' }),
}, (table) => [
	index("ix_stripe_events_done").using("btree", table.handledAt.asc().nullsLast()).where(sql`((state)::text = ANY ((ARRAY['handled'::character varying, 'ignored'::character varying])::text[]))`),
	index("ix_stripe_events_page").using("btree", table.orgId.asc().nullsLast(), table.id.desc().nullsFirst()),
	index("ix_stripe_events_waiting").using("btree", table.id.asc().nullsLast()).where(sql`((state)::text = 'received'::text)`),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_stripe_events_org_id_organizations"
		}),
	unique("uq_stripe_events_external_id").on(table.externalId),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
	check("ck_stripe_events_mode", sql`(mode)::text = ANY ((ARRAY['test'::character varying, 'live'::character varying])::text[])`),
	check("ck_stripe_events_state", sql`(state)::text = ANY ((ARRAY['received'::character varying, 'handled'::character varying, 'ignored'::character varying, 'failed'::character varying])::text[])`),
]);

export const usageEntries = pgTable("usage_entries", {
	id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity({ name: "usage_entries_id_seq", startWith: 1, increment: 1, minValue: 1, maxValue: 9223372036854775807, cache: 1 }),
	orgId: uuid("org_id").notNull(),
	jobId: uuid("job_id").notNull(),
	entryKey: varchar("entry_key").notNull(),
	inputTokens: bigint("input_tokens", { mode: "bigint" }).notNull(),
	cachedInputTokens: bigint("cached_input_tokens", { mode: "bigint" }).notNull(),
	cacheWriteTokens: bigint("cache_write_tokens", { mode: "bigint" }).notNull(),
	outputTokens: bigint("output_tokens", { mode: "bigint" }).notNull(),
	costMicroUsd: bigint("cost_micro_usd", { mode: "bigint" }).notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	index("ix_usage_entries_span").using("btree", table.orgId.asc().nullsLast(), table.createdAt.asc().nullsLast()),
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_usage_entries_org_id_job_id_jobs"
		}),
	unique("uq_usage_entries_org_id_job_id_entry_key").on(table.orgId, table.jobId, table.entryKey),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	check("ck_usage_entries_not_negative", sql`(input_tokens >= 0) AND (cached_input_tokens >= 0) AND (cache_write_tokens >= 0) AND (output_tokens >= 0) AND (cost_micro_usd >= 0)`),
]);

export const users = pgTable("users", {
	id: uuid().primaryKey().notNull(),
	email: varchar().notNull(),
	emailVerified: boolean("email_verified").notNull(),
	name: varchar().notNull(),
	revision: integer().notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	deletedAt: timestamp("deleted_at", { withTimezone: true, mode: 'date' }),
}, (table) => [
	uniqueIndex("uq_users_email").using("btree", sql`lower((email)::text)`).where(sql`(deleted_at IS NULL)`),
	check("ck_users_email_length", sql`(char_length((email)::text) >= 3) AND (char_length((email)::text) <= 320)`),
	check("ck_users_name_length", sql`char_length((name)::text) <= 200`),
]);

export const identities = pgTable("identities", {
	issuer: varchar().notNull(),
	subject: varchar().notNull(),
	userId: uuid("user_id").notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	index("ix_identities_user_id").using("btree", table.userId.asc().nullsLast()),
	foreignKey({
			columns: [table.userId],
			foreignColumns: [users.id],
			name: "fk_identities_user_id_users"
		}).onDelete("cascade"),
	primaryKey({ columns: [table.issuer, table.subject], name: "pk_identities" }),
	pgPolicy("accounts", { as: "permissive", for: "all", to: ["aicd_app"], using: sql`(( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif") IS NULL)`, withCheck: sql`(( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif") IS NULL)`  }),
]);

export const journalContents = pgTable("journal_contents", {
	orgId: uuid("org_id").notNull(),
	jobId: uuid("job_id").notNull(),
	sha256: bytea("sha256").notNull(),
	packed: bytea("packed").notNull(),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	index("ix_journal_contents_created_at").using("btree", table.createdAt.asc().nullsLast()),
	foreignKey({
			columns: [table.orgId, table.jobId],
			foreignColumns: [jobs.orgId, jobs.id],
			name: "fk_journal_contents_org_id_job_id_jobs"
		}),
	primaryKey({ columns: [table.orgId, table.jobId, table.sha256], name: "pk_journal_contents" }),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
	pgPolicy("system", { as: "permissive", for: "all", to: ["aicd_system"] }),
]);

export const billingReconciliations = pgTable("billing_reconciliations", {
	orgId: uuid("org_id").notNull(),
	day: date().notNull(),
	meter: varchar().notNull(),
	ledger: numeric({ precision: 30, scale:  0 }).notNull(),
	charged: numeric({ precision: 30, scale:  0 }).notNull(),
	billable: numeric({ precision: 30, scale:  0 }).notNull(),
	sent: numeric({ precision: 30, scale:  0 }).notNull(),
	provider: numeric({ precision: 30, scale:  0 }),
	differs: boolean().notNull(),
	comparedAt: timestamp("compared_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
}, (table) => [
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_billing_reconciliations_org_id_organizations"
		}),
	primaryKey({ columns: [table.orgId, table.day, table.meter], name: "pk_billing_reconciliations" }),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
]);

export const namedRequests = pgTable("named_requests", {
	orgId: uuid("org_id").notNull(),
	caller: varchar().notNull(),
	nameHash: bytea("name_hash").notNull(),
	fingerprint: bytea("fingerprint").notNull(),
	claim: uuid().notNull(),
	claimedUntil: timestamp("claimed_until", { withTimezone: true, mode: 'date' }).notNull(),
	done: boolean().notNull(),
	answer: bytea("answer"),
	createdAt: timestamp("created_at", { withTimezone: true, mode: 'date' }).defaultNow().notNull(),
	expiresAt: timestamp("expires_at", { withTimezone: true, mode: 'date' }).notNull(),
}, (table) => [
	index("ix_named_requests_expiry").using("btree", table.orgId.asc().nullsLast(), table.expiresAt.asc().nullsLast()),
	foreignKey({
			columns: [table.orgId],
			foreignColumns: [organizations.id],
			name: "fk_named_requests_org_id_organizations"
		}),
	primaryKey({ columns: [table.orgId, table.caller, table.nameHash], name: "pk_named_requests" }),
	pgPolicy("tenant", { as: "permissive", for: "all", to: ["aicd_app", "aicd_owner"], using: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`, withCheck: sql`(org_id = ( SELECT (NULLIF(current_setting('aicd.org_id'::text, true), ''::text))::uuid AS "nullif"))`  }),
]);
