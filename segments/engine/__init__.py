"""The rule language: what a rule means, in process and in words (docs/rules.md). Pure."""
