"""Who works on which job: admission, leases and what must be woken again. The system role's, over all tenants."""
