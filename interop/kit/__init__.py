"""What the tests in this folder share: namespaces, other people's phones, a WebSocket client, ears.

Only Python's standard library is needed. A test starts with `verdict.begin()`, which moves it into a network of its own.
"""
