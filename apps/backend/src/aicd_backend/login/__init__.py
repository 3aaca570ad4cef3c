"""People log in at a provider that their organization runs or trusts: GitHub, or any that speaks OpenID Connect."""
