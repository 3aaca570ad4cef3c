"""Tenancy: people, their places, keys and secrets, policies, deliveries, the journal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

TENANT_KEYS = {
    "job_events": ["job_id", "version"],
    "artifacts": ["job_id", "kind", "round"],
    "usage_entries": ["job_id", "entry_key"],
}
"""Keys that get the tenant in front: a conflict with a row of another one would tell that it is there."""


def upgrade() -> None:
    op.create_table(
        "erased_ledgers",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_erased_ledgers")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("char_length(email) BETWEEN 3 AND 320", name=op.f("ck_users_email_length")),
        sa.CheckConstraint("char_length(name) <= 200", name=op.f("ck_users_name_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index(
        "uq_users_email",
        "users",
        [sa.literal_column("lower(email)")],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaces", sa.Uuid(), nullable=True),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 200", name=op.f("ck_api_keys_name_length")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name=op.f("fk_api_keys_created_by_users"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "replaces"],
            ["api_keys.org_id", "api_keys.id"],
            name=op.f("fk_api_keys_org_id_replaces_api_keys"),
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_api_keys_org_id_organizations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("org_id", "id", name=op.f("uq_api_keys_org_id_id")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_index("ix_api_keys_page", "api_keys", ["org_id", sa.literal_column("id DESC")], unique=False)
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column(
            "actor_kind",
            sa.Enum(
                "user", "api_key", "system", name="actor_kind", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("actor_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target_kind", sa.String(), nullable=False),
        sa.Column("target_id", sa.String(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("char_length(action) BETWEEN 1 AND 100", name=op.f("ck_audit_log_action_length")),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_audit_log_org_id_organizations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_page", "audit_log", ["org_id", sa.literal_column("id DESC")], unique=False)
    op.create_table(
        "billing_accounts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_billing_accounts_org_id_organizations")
        ),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_billing_accounts")),
        sa.UniqueConstraint("provider", "customer", name=op.f("uq_billing_accounts_provider_customer")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "received",
                "handled",
                "ignored",
                "failed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_deliveries_org_id_organizations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("source", "body_hash", name=op.f("uq_deliveries_source_body_hash")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_deliveries_source_external_id")),
    )
    op.create_index("ix_deliveries_page", "deliveries", ["org_id", sa.literal_column("id DESC")], unique=False)
    op.create_index(
        "ix_deliveries_waiting", "deliveries", ["id"], unique=False, postgresql_where=sa.text("state = 'received'")
    )
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_identities_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identities")),
    )
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"], unique=False)
    op.create_table(
        "installations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("external_id", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_installations_org_id_organizations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installations")),
        sa.UniqueConstraint("org_id", "id", name=op.f("uq_installations_org_id_id")),
    )
    op.create_index("ix_installations_page", "installations", ["org_id", sa.literal_column("id DESC")], unique=False)
    op.create_index(
        "uq_installations_present",
        "installations",
        ["host", "external_id"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "owner",
                "admin",
                "developer",
                "viewer",
                "billing",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "NOT (accepted_at IS NOT NULL AND revoked_at IS NOT NULL)", name=op.f("ck_invitations_one_end")
        ),
        sa.CheckConstraint("char_length(email) BETWEEN 3 AND 320", name=op.f("ck_invitations_email_length")),
        sa.ForeignKeyConstraint(
            ["invited_by"], ["users.id"], name=op.f("fk_invitations_invited_by_users"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_invitations_org_id_organizations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index("ix_invitations_page", "invitations", ["org_id", sa.literal_column("id DESC")], unique=False)
    op.create_index(
        "uq_invitations_open",
        "invitations",
        ["org_id", sa.literal_column("lower(email)")],
        unique=True,
        postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
    )
    op.create_table(
        "memberships",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "owner",
                "admin",
                "developer",
                "viewer",
                "billing",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_memberships_org_id_organizations")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint("org_id", "id", name=op.f("uq_memberships_org_id_id")),
        sa.UniqueConstraint("org_id", "user_id", name=op.f("uq_memberships_org_id_user_id")),
    )
    op.create_index("ix_memberships_of_user", "memberships", ["user_id"], unique=False)
    op.create_index("ix_memberships_page", "memberships", ["org_id", sa.literal_column("id DESC")], unique=False)
    op.create_table(
        "organization_settings",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("job_budget", sa.BigInteger(), nullable=True),
        sa.Column("monthly_budget", sa.BigInteger(), nullable=True),
        sa.Column("max_concurrent_jobs", sa.Integer(), nullable=False),
        sa.Column(
            "plan_approval",
            sa.Enum("never", "always", name="plan_approval", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("job_budget >= 0 AND monthly_budget >= 0", name=op.f("ck_organization_settings_budgets")),
        sa.CheckConstraint("max_concurrent_jobs BETWEEN 1 AND 1000", name=op.f("ck_organization_settings_concurrency")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_organization_settings_org_id_organizations")
        ),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_organization_settings")),
    )
    op.create_table(
        "policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("char_length(note) <= 1000", name=op.f("ck_policies_note_length")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_policies_version")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name=op.f("fk_policies_created_by_users"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_policies_org_id_organizations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("org_id", "version", name=op.f("uq_policies_org_id_version")),
    )
    op.create_table(
        "secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("name ~ '^[A-Z][A-Z0-9_]{0,99}$'", name=op.f("ck_secrets_name_format")),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_secrets_org_id_organizations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
        sa.UniqueConstraint("org_id", "name", name=op.f("uq_secrets_org_id_name")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idle_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index("ix_sessions_of_user", "sessions", ["user_id", sa.literal_column("id DESC")], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("patch", sa.LargeBinary(), nullable=False),
        sa.Column("history", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "job_id"], ["jobs.org_id", "jobs.id"], name=op.f("fk_checkpoints_org_id_job_id_jobs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
        sa.UniqueConstraint(
            "org_id", "job_id", "round", "number", name=op.f("uq_checkpoints_org_id_job_id_round_number")
        ),
    )
    op.create_table(
        "model_calls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "job_id"], ["jobs.org_id", "jobs.id"], name=op.f("fk_model_calls_org_id_job_id_jobs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_calls")),
        sa.UniqueConstraint(
            "org_id", "job_id", "step", "number", name=op.f("uq_model_calls_org_id_job_id_step_number")
        ),
    )
    op.add_column("organizations", sa.Column("name", sa.String(), nullable=True))
    op.execute("UPDATE organizations SET name = slug")
    op.alter_column("organizations", "name", nullable=False)
    op.create_check_constraint(
        op.f("ck_organizations_name_length"), "organizations", "char_length(name) BETWEEN 1 AND 200"
    )
    op.add_column("organizations", sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
    op.alter_column("organizations", "revision", server_default=None)
    op.add_column("organizations", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("repositories", sa.Column("installation_id", sa.Uuid(), nullable=True))
    op.add_column("repositories", sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("repositories", sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
    op.create_check_constraint(
        op.f("ck_repositories_source_length"), "repositories", "char_length(source) BETWEEN 1 AND 4096"
    )
    op.add_column("repositories", sa.Column("disconnected_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_repositories_page", "repositories", ["org_id", sa.literal_column("id DESC")], unique=False)
    op.create_foreign_key(
        op.f("fk_repositories_org_id_installation_id_installations"),
        "repositories",
        "installations",
        ["org_id", "installation_id"],
        ["org_id", "id"],
    )
    op.create_index("ix_usage_entries_span", "usage_entries", ["org_id", "created_at"], unique=False)
    for table, columns in TENANT_KEYS.items():
        op.drop_constraint(op.f(f"uq_{table}_{'_'.join(columns)}"), table, type_="unique")
        op.create_unique_constraint(op.f(f"uq_{table}_org_id_{'_'.join(columns)}"), table, ["org_id", *columns])


def downgrade() -> None:
    op.drop_index("ix_usage_entries_span", table_name="usage_entries")
    for table, columns in TENANT_KEYS.items():
        op.drop_constraint(op.f(f"uq_{table}_org_id_{'_'.join(columns)}"), table, type_="unique")
        op.create_unique_constraint(op.f(f"uq_{table}_{'_'.join(columns)}"), table, columns)
    op.drop_constraint(op.f("fk_repositories_org_id_installation_id_installations"), "repositories", type_="foreignkey")
    op.drop_index("ix_repositories_page", table_name="repositories")
    op.drop_constraint(op.f("ck_repositories_source_length"), "repositories", type_="check")
    op.drop_column("repositories", "disconnected_at")
    op.drop_column("repositories", "revision")
    op.drop_column("repositories", "enabled")
    op.drop_column("repositories", "installation_id")
    op.drop_column("organizations", "deleted_at")
    op.drop_column("organizations", "revision")
    op.drop_column("organizations", "name")
    op.drop_table("model_calls")
    op.drop_table("checkpoints")
    op.drop_index("ix_sessions_of_user", table_name="sessions")
    op.drop_table("sessions")
    op.drop_table("secrets")
    op.drop_table("policies")
    op.drop_table("organization_settings")
    op.drop_index("ix_memberships_page", table_name="memberships")
    op.drop_index("ix_memberships_of_user", table_name="memberships")
    op.drop_table("memberships")
    op.drop_index(
        "uq_invitations_open",
        table_name="invitations",
        postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
    )
    op.drop_index("ix_invitations_page", table_name="invitations")
    op.drop_table("invitations")
    op.drop_index(
        "uq_installations_present", table_name="installations", postgresql_where=sa.text("removed_at IS NULL")
    )
    op.drop_index("ix_installations_page", table_name="installations")
    op.drop_table("installations")
    op.drop_index(op.f("ix_identities_user_id"), table_name="identities")
    op.drop_table("identities")
    op.drop_index("ix_deliveries_waiting", table_name="deliveries", postgresql_where=sa.text("state = 'received'"))
    op.drop_index("ix_deliveries_page", table_name="deliveries")
    op.drop_table("deliveries")
    op.drop_table("billing_accounts")
    op.drop_index("ix_audit_log_page", table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_index("ix_api_keys_page", table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index("uq_users_email", table_name="users", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_table("users")
    op.drop_table("erased_ledgers")
