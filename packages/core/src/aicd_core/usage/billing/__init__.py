"""The tables of billing, and nothing that reads them: who may be charged what is the business of the API server."""
