"""The API server of AI-CD. PRIVATE: never part of the public tree."""
