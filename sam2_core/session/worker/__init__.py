"""The inference worker: it holds the model, takes requests and reports what it finds, in a thread or a process."""
