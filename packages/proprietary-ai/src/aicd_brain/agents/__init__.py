"""The agents that this package offers: one for each vendor, which differ in nothing but the provider."""
