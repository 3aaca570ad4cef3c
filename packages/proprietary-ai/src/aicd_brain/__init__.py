"""The Brain of AI-CD. PRIVATE: never part of the public tree."""
