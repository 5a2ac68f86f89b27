"""The console: pages on which people see what waits for them and answer it. Server-rendered, one stylesheet."""
