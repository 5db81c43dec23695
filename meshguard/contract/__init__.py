"""The contract tests: whether a running gateway keeps `openapi.yaml`.

What the schema says is tested with made-up requests (`made_up`), what only prose says with named cases
(`cases`). Everything goes over HTTP, so that any implementation can be tested. Needs the extra `contract`.
"""
