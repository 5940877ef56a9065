"""The live service: the store of what came in, the engine that answers from it, and the HTTP API."""
