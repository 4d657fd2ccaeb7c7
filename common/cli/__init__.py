"""The `petct` command, one module per group of commands."""
